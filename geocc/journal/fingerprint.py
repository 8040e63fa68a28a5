"""What a run depends on, as plain JSON values, so that two runs can be told apart by name and value."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geocc import __version__
from geocc.errors import ReadError
from geocc.scene.window import PixelWindow
from geocc.table.metadata import json_safe

if TYPE_CHECKING:
    from geocc.scene import ScenePair, TilePlan
    from geocc.scene.series import SceneSeries
    from geocc.scene.source import Source

__all__ = ["differences", "run_fingerprint"]

_SAMPLE = 64  # pixels a side of the windows whose pixels stand for an array or an address


def run_fingerprint(
    pair: ScenePair | SceneSeries, plan: TilePlan, captioner: Mapping[str, Any], parameters: Mapping[str, Any]
) -> dict[str, Any]:
    """All that the rows of a layer depend on.

    Args:
        pair: The two dates, or those of a series. A local file counts as the same by path, size and time of change; an array, a Zarr store and
            an address by a digest of the pixels at its corners and centre.
        plan: The tiles.
        captioner: What the captioner says of itself.
        parameters: The other arguments that a result depends on. Not among them: those that change the way and not the
            result, such as the batch size, so that a run may go on with other values of these.
    """
    inputs = {view.source.date: _input(view.source) for view in pair.views}
    found: dict[str, Any] = json_safe(
        {
            "geocc": __version__,
            "inputs": inputs,
            "pair": pair.describe(),
            "plan": plan.summary() | {"digest": plan.digest()},
            "captioner": captioner,
            "parameters": parameters,
        }
    )
    # Through JSON and back, so that a new one equals the one read from a file.
    loaded: dict[str, Any] = json.loads(json.dumps(found))
    return loaded


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Where two fingerprints differ, as lines `key: old -> new`."""
    one, other = dict(_flat(old)), dict(_flat(new))
    missing = object()
    return [
        f"{key}: {_shown(one.get(key, missing), missing)} -> {_shown(other.get(key, missing), missing)}"
        for key in sorted(one.keys() | other.keys())
        if one.get(key, missing) != other.get(key, missing)
    ]


def _flat(value: Any, key: str = "") -> list[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        return [item for name, part in value.items() for item in _flat(part, f"{key}.{name}" if key else str(name))]
    return [(key, value)]


def _shown(value: Any, missing: object) -> str:
    return "nothing" if value is missing else json.dumps(value)


def _input(source: Source) -> dict[str, Any]:
    if hasattr(source, "files"):
        return {"files": [_input(file) for file in source.files]}
    path = getattr(source, "path", None)
    if path is not None and Path(path).is_file():
        status = Path(path).stat()
        return {"path": str(Path(path).resolve()), "bytes": status.st_size, "modified_ns": status.st_mtime_ns}
    return {"name": source.name, "pixels": _digest(source)}


def _digest(source: Source) -> str:
    height, width = source.geobox.shape
    rows = sorted({0, max(height - _SAMPLE, 0) // 2, max(height - _SAMPLE, 0)})
    cols = sorted({0, max(width - _SAMPLE, 0) // 2, max(width - _SAMPLE, 0)})
    corners = {(row, col) for row in (rows[0], rows[-1]) for col in (cols[0], cols[-1])}
    digest = hashlib.sha256()
    for row, col in sorted(corners | {(rows[len(rows) // 2], cols[len(cols) // 2])}):
        window = PixelWindow(row, col, min(_SAMPLE, height), min(_SAMPLE, width))
        try:
            planes = source.read(window)
        except ReadError:
            digest.update(b"unreadable")
            continue
        digest.update(planes.values.tobytes() + planes.valid.tobytes())
    return digest.hexdigest()[:16]
