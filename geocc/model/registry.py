"""The weights that geocc knows by name, and the way from a name, a folder or a hub id to files on this disk.

Nothing here imports torch: `geocc models` answers at once.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from geocc.errors import CheckpointError, ModelNotFoundError

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

__all__ = ["ModelEntry", "ModelSource", "list_models", "resolve_model"]

_PACKAGED = Path(__file__).parent / "weights"
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
_SAFE_FILES = ["*.safetensors", "*.json", "*.txt", "*.jinja"]
_PICKLED_FILES = ["pytorch_model*.bin"]
# What comes beside the weights in some repositories, and geocc never reads.
_OTHER_FILES = ["onnx/*", "*/onnx/*"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelEntry:
    """Named weights, and what a user should know before relying on them.

    Attributes:
        id: The name.
        summary: What it is, in one line.
        source: Where the weights come from.
        hub_id: Hugging Face repository, or None.
        revision: Branch, tag or commit there, or the edition of weights that are not on the hub; None where unknown.
        sha256: Digest of each weight file, checked on every load; empty where none is published.
        weights_licence: Licence of the weights.
        data_licence: Licence of the data they were trained on.
        training_gsd: Ground sampling distance of the training imagery.
        input_size: Side in pixels of the square that every tile is resized to.
        languages: Languages it answers in, as ISO 639-1 codes.
        note: What else to know, above all how to get it.
    """

    id: str
    summary: str
    source: str
    hub_id: str | None = None
    revision: str | None = None
    sha256: Mapping[str, str] = field(default_factory=dict)
    weights_licence: str
    data_licence: str
    training_gsd: str
    input_size: int
    languages: tuple[str, ...] = ("en",)
    note: str

    @property
    def packaged(self) -> Path | None:
        """The folder inside the package that holds the weights, or None."""
        folder = _PACKAGED / self.id
        return folder if (folder / "config.json").is_file() else None

    def __str__(self) -> str:
        digests = ", ".join(f"{name} {digest}" for name, digest in sorted(self.sha256.items())) or "not published"
        fields = {
            "source": self.source,
            "revision": self.revision or "not stated",
            "sha256": digests,
            "licence of the weights": self.weights_licence,
            "licence of the data": self.data_licence,
            "training imagery": self.training_gsd,
            "input size": f"{self.input_size} x {self.input_size} pixels",
            "languages": ", ".join(self.languages) or "none",
            "note": self.note,
        }
        return "\n".join([f"{self.id}: {self.summary}", *(f"  {name}: {value}" for name, value in fields.items())])


@dataclass(frozen=True, slots=True)
class ModelSource:
    """A model on this disk.

    Attributes:
        path: Folder of the checkpoint, or one weight file.
        name: What it was asked for by.
        revision: Commit on the hub, or sha256 of packaged weights; None for a folder of the user's.
        entry: Its entry, where the name is a known one.
    """

    path: Path
    name: str
    revision: str | None = None
    entry: ModelEntry | None = None

    def __fspath__(self) -> str:
        return str(self.path)


def list_models() -> tuple[ModelEntry, ...]:
    """Return the entries of all weights that geocc knows by name."""
    return _entries()


def resolve_model(
    name: str | os.PathLike[str], *, revision: str | None = None, local_files_only: bool = False
) -> ModelSource:
    """Find a model on this disk, and fetch it from the hub where it may.

    Packaged weights come first, then a folder or file of that name, then the other known names, then the hub. From the
    hub only safetensors, JSON and text are fetched, and pickled weights only where a repository has no others.

    Args:
        name: A name of `list_models`, a folder, a weight file, or a hub id such as `"someone/some-model"`.
        revision: Branch, tag or commit on the hub.
        local_files_only: Do not use the network.

    Raises:
        ModelNotFoundError: If there is no such model, or it cannot be fetched; says what was tried.
        CheckpointError: If packaged weights are not what was shipped.
    """
    known = {entry.id: entry for entry in _entries()}
    entry = known.get(str(name))
    if entry is not None and entry.packaged is not None:
        return ModelSource(entry.packaged, entry.id, revision=_verified(entry, entry.packaged), entry=entry)
    path = Path(name).expanduser()
    if path.exists():
        return ModelSource(path, str(name))
    tried = [f"a folder or file {path.absolute()}"]
    if entry is not None and entry.hub_id is None:
        raise ModelNotFoundError(f"{entry.id} cannot be fetched, and {tried[0]} does not exist. {entry.note}")
    hub_id = entry.hub_id if entry is not None else str(name)
    if hub_id is not None and _HUB_ID.fullmatch(hub_id):
        tried.append(f"the hub repository {hub_id}")
        revision = revision or (entry.revision if entry is not None else None)
        try:
            folder = _fetch(hub_id, revision=revision, local_files_only=local_files_only)
        except (OSError, ValueError) as error:
            tried[-1] += f" ({_first_line(error)})"
        else:
            return ModelSource(folder, str(name), revision=folder.name, entry=entry)
    raise ModelNotFoundError(
        f"there is no model {str(name)!r}. Known names: {', '.join(sorted(known))} (see geocc.list_models()); a checkpoint "
        f"folder or a hub id such as 'someone/some-model' works too. Tried: {'; '.join(tried)}."
    )


def _fetch(hub_id: str, *, revision: str | None, local_files_only: bool) -> Path:
    from huggingface_hub import snapshot_download

    def snapshot(patterns: list[str]) -> Path:
        return Path(
            snapshot_download(
                hub_id,
                revision=revision,
                local_files_only=local_files_only,
                allow_patterns=patterns,
                ignore_patterns=_OTHER_FILES,
            )
        )

    folder = snapshot(_SAFE_FILES)
    return folder if any(folder.glob("*.safetensors")) else snapshot(_SAFE_FILES + _PICKLED_FILES)


def _verified(entry: ModelEntry, folder: Path) -> str:
    """Check every digest and return one that stands for them all."""
    for name, expected in entry.sha256.items():
        with (folder / name).open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != expected:
            raise CheckpointError(
                f"{folder / name} is not the file that geocc ships: expected sha256 {expected}, found {found}; "
                "install geocc again"
            )
    return hashlib.sha256("".join(sorted(entry.sha256.values())).encode()).hexdigest()


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {next(iter(str(error).strip().splitlines()), '')}"


def _shipped(model: str) -> dict[str, str]:
    """Read the digests of packaged weights from `weights/SHA256SUMS`, as `sha256sum` writes it in that folder."""
    sums = _PACKAGED / "SHA256SUMS"
    if not sums.is_file():
        return {}
    pairs = (line.split(maxsplit=1) for line in sums.read_text(encoding="utf-8").splitlines() if line)
    return {
        name.removeprefix(f"{model}/"): digest
        for digest, name in ((digest, name.removeprefix("*")) for digest, name in pairs)
        if name.startswith(f"{model}/")
    }


_OWN_DATA = "Apache-2.0 (synthetic, made by geocc.data.synthetic); NAIP and Landsat, public domain"
_OWN_GSD = "0.4 to 30 m synthetic scenes; 5 m NAIP and 30 m Landsat of one place each"
_LEVIR = (
    "LEVIR-CC imagery: academic use only, whatever licence a copy is tagged with; other sources of CC-Foundation vary"
)
_BAIDU = (
    "Its authors publish it on a Baidu disk only (links and passwords in the README of github.com/Meize0729/CCExpert). "
    "Unpack the archive, run `geocc convert path/to/the/folder my-ccexpert`, and give model='my-ccexpert'; the unconverted "
    "folder works too."
)
_START = "A start for training, not a captioner: its difference module is fresh. `geocc convert` writes that start."


@cache
def _entries() -> tuple[ModelEntry, ...]:
    return (
        ModelEntry(
            id="geocc-mini",
            summary="a small CCExpert to try geocc with",
            source="inside the package, trained by geocc from nothing, on scenes that geocc paints and two real series",
            revision="thirteenth edition",
            sha256=_shipped("geocc-mini"),
            weights_licence="Apache-2.0",
            data_licence=_OWN_DATA,
            training_gsd=_OWN_GSD,
            input_size=192,
            note="The default. Small, and it errs; its card, README.md beside the weights, says how often and on what.",
        ),
        ModelEntry(
            id="geocc-scout",
            summary="a change scout, which says whether, where and into what ground changed and writes no sentences",
            source="inside the package, trained by geocc from nothing, on scenes that geocc paints and two real series",
            revision="ninth edition",
            sha256=_shipped("geocc-scout"),
            weights_licence="Apache-2.0",
            data_licence=_OWN_DATA,
            training_gsd=_OWN_GSD,
            input_size=192,
            languages=(),
            note="Stands before a larger model as Gates(scout=...), or alone for a layer of change without captions.",
        ),
        ModelEntry(
            id="ccexpert-0.5b",
            summary="CCExpert-0.5B, LEVIR-CC S*m 80.99 as published",
            source="Baidu disk pan.baidu.com/s/1XUTWog9mToXqNAYk5knQOQ (password cc05)",
            weights_licence="not stated; the code is Apache-2.0",
            data_licence=_LEVIR,
            training_gsd="0.5 m (LEVIR-CC), and natural images",
            input_size=384,
            note=_BAIDU,
        ),
        ModelEntry(
            id="ccexpert-7b",
            summary="CCExpert-7B, LEVIR-CC S*m 81.80 as published",
            source="Baidu disk pan.baidu.com/s/1jLfZ8pirXM_JqRNRo9TGSA (password cc70)",
            weights_licence="not stated; the code is Apache-2.0",
            data_licence=_LEVIR,
            training_gsd="0.5 m (LEVIR-CC), and natural images",
            input_size=384,
            note=_BAIDU,
        ),
        *(_base(size, hub_id=hub_id, layout=layout) for size in ("0.5b", "7b") for hub_id, layout in _base_ids(size)),
    )


def _base_ids(size: str) -> tuple[tuple[str, str], ...]:
    return (
        (f"lmms-lab/llava-onevision-qwen2-{size}-ov", "original layout, what CCExpert itself starts from"),
        (f"llava-hf/llava-onevision-qwen2-{size}-ov-hf", "Transformers' layout"),
    )


def _base(size: str, *, hub_id: str, layout: str) -> ModelEntry:
    return ModelEntry(
        id=hub_id.split("/")[1],
        summary=f"LLaVA-OneVision {size.upper()}, {layout}",
        source=f"huggingface.co/{hub_id}",
        hub_id=hub_id,
        revision="main",
        weights_licence="Apache-2.0",
        data_licence="LLaVA-OneVision's data, many sources with licences of their own",
        training_gsd="none: natural images and documents",
        input_size=384,
        languages=("en", "zh"),
        note=_START,
    )
