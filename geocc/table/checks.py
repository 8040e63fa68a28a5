"""Whether a layer can be written, asked before the long work. Free of pandas, which the answer does not need."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from geocc.errors import WriteError

from .atomic import DRAFT_PREFIX

__all__ = ["FORMAT_NAMES", "LAYER_NAME", "accepted_suffixes", "check_suffix", "check_writable"]

LAYER_NAME = "change_captions"
"""The name of the layer in formats that name their layers."""

FORMAT_NAMES = {
    ".gpkg": "GeoPackage",
    ".parquet": "GeoParquet",
    ".geoparquet": "GeoParquet",
    ".fgb": "FlatGeobuf",
    ".geojson": "GeoJSON",
    ".json": "GeoJSON",
    ".csv": "CSV",
}
"""What every format is called, by the suffix of its files."""

_BYTES_PER_FILE = 256 * 1024
_BYTES_PER_ROW = 512


def check_writable(
    path: str | os.PathLike[str], *, overwrite: bool = True, layer: str = LAYER_NAME, rows: int | None = None
) -> None:
    """Check, before the long work, that `write_layer` will be able to write.

    Args:
        path: Where the layer is to be written.
        overwrite: Whether a file that is there may be replaced.
        layer: The layer's name, where the format names its layers.
        rows: How many tiles there will be, to see that the disk has room for them; unknown if left out.

    Raises:
        WriteError: The suffix is unknown, the folder is missing, read-only or full, or the file there must not or
            cannot be replaced. The message says which, and what to do.
    """
    path = Path(path)
    check_suffix(path)
    _check_folder(Path(os.path.realpath(path)).parent, rows=rows or 0)
    if path.is_dir():
        raise WriteError(f"{path} is a folder: give the name of a file in it")
    if path.exists():
        _check_replaceable(path, overwrite=overwrite)
        if path.suffix.lower() == ".gpkg":
            _check_geopackage(path, layer=layer)


def check_suffix(path: Path) -> str:
    """Return a file's suffix in lower case, as in `FORMAT_NAMES`.

    Raises:
        WriteError: No format has it.
    """
    suffix = path.suffix.lower()
    if suffix in FORMAT_NAMES:
        return suffix
    if suffix == ".shp":
        raise WriteError(
            f"{path}: a Shapefile cuts captions at 254 bytes and column names at 10; use one of {accepted_suffixes()}"
        )
    raise WriteError(
        f"{path}: the suffix {path.suffix!r} names no format geocc writes; use one of {accepted_suffixes()}"
    )


def accepted_suffixes() -> str:
    """Name the suffixes and their formats, for messages."""
    return ", ".join(f"{suffix} ({name})" for suffix, name in FORMAT_NAMES.items())


def _check_folder(folder: Path, *, rows: int) -> None:
    if not folder.is_dir():
        raise WriteError(f"there is no folder {folder}: Path({str(folder)!r}).mkdir(parents=True)")
    try:
        # Trying is the one test that sees quotas, read-only mounts and access lists alike.
        with TemporaryDirectory(prefix=DRAFT_PREFIX, dir=folder):
            free = shutil.disk_usage(folder).free
    except OSError as error:
        raise WriteError(f"nothing can be written in the folder {folder}: {error.strerror or error}") from error
    needed = _BYTES_PER_FILE + _BYTES_PER_ROW * rows
    if free < needed:
        raise WriteError(f"the folder {folder} has {free:,} bytes free, and at least {needed:,} are needed")


def _check_replaceable(path: Path, *, overwrite: bool) -> None:
    if not overwrite:
        raise WriteError(f"{path} exists: give another name, or overwrite=True to replace it")
    if not os.access(path, os.W_OK):
        raise WriteError(f"{path} is write-protected: give another name, or lift the protection")


def _check_geopackage(path: Path, *, layer: str) -> None:
    # A log that belongs to the previous file would be applied to the new one, and spoil it.
    logs = [log.name for end in ("-wal", "-journal") if (log := path.with_name(path.name + end)).exists()]
    if logs:
        raise WriteError(
            f"{path} is open in another program, or was when that ended ({', '.join(logs)}): close it there"
        )
    import pyogrio

    try:
        others = [name for name, _ in pyogrio.list_layers(path) if name not in {layer, "layer_styles"}]
    except pyogrio.errors.DataSourceError:
        return  # not a GeoPackage in spite of its name: there are no layers to lose
    if others:
        raise WriteError(
            f"{path} holds other layers too ({', '.join(map(str, others))}), which would be lost: give another name"
        )
