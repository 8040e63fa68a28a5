"""VisMin, whose images stand inside Arrow files and are written out as the reader meets them."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any

from PIL import Image

from geocc.data.readers.layout import Draft, Layout
from geocc.errors import InputError, ReadError
from geocc.table.atomic import replacing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["read_vismin"]

_FOLDER = "geocc-images"


def read_vismin(root: Path) -> Iterator[Draft]:
    """Read VisMin: `data/train/*.arrow` with `image_id, image, caption, source_image_id, category`.

    An edited image names the original by `source_image_id`. What was edited is told by a column whose name holds
    `instruction`, where there is one; otherwise by both images' own captions. The images are written to `geocc-images`
    in the folder. Columns and files are those of the card of huggingface.co/datasets/mair-lab/vismin; the name of the
    instruction's column is not known to us, and no file of it was seen.
    """
    layout = Layout(root)
    files = sorted(root.glob("data/train/*.arrow")) or sorted(root.glob("**/*.arrow"))
    if not files:
        raise ReadError(f"{root} holds no *.arrow file; fetch it with: git clone the data set, with git-lfs installed.")
    (root / _FOLDER).mkdir(exist_ok=True)
    # Originals first, in full: an edit may stand in an earlier file than its original.
    originals = {
        row["image_id"]: (_write(layout, row), row["caption"]) for row in _rows(files) if not row.get("source_image_id")
    }
    for row in _rows(files):
        source = row.get("source_image_id")
        if not source:
            continue
        before = originals.get(source)
        yield Draft(
            uid=str(row["image_id"]),
            img1=before[0] if before else layout.path(_FOLDER, f"{_safe(source)}.png"),
            img2=_write(layout, row),
            split="train",
            captions=[_caption(row, before[1] if before else None)],
            changed=True,
            extra={"category": row.get("category")},
        )


def _rows(files: list[Path]) -> Iterator[dict[str, Any]]:
    import pyarrow as pa

    for path in files:
        try:
            with pa.OSFile(str(path)) as file, pa.ipc.open_stream(file) as stream:
                for batch in stream:
                    missing = {"image_id", "image", "caption"} - set(batch.schema.names)
                    if missing:
                        raise InputError(f"{path} has no column {', '.join(sorted(missing))}; expected VisMin's files.")
                    yield from batch.to_pylist()
        except (OSError, pa.ArrowInvalid) as error:
            raise ReadError(f"{path} is not a readable Arrow file: {error}; was it downloaded to its end?") from error


def _caption(row: dict[str, Any], before: object) -> str | None:
    instruction = next((value for key, value in row.items() if "instruction" in key and value), None)
    if instruction:
        return str(instruction)
    if not (before and row["caption"]):
        return None
    return f'the picture has changed from "{before}" to "{row["caption"]}"'


def _write(layout: Layout, row: dict[str, Any]) -> Path:
    """Write an image out as PNG, unless it is there; its bytes are decoded, never trusted to be what they say."""
    path = layout.path(_FOLDER, f"{_safe(row['image_id'])}.png")
    if path.exists():
        return path
    image = row["image"]
    data = image.get("bytes") if isinstance(image, dict) else image
    if data:
        try:
            with Image.open(io.BytesIO(data)) as opened:
                pixels = opened.convert("RGB")
        except OSError:
            return path  # named as damaged by whoever finds the file missing
        with replacing(path) as draft:
            pixels.save(draft)
    return path


def _safe(name: object) -> str:
    return re.sub(r"[^\w.-]", "_", str(name)).lstrip(".") or "_"
