"""Writing a layer to a file, whole or not at all."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pyogrio

from geocc.errors import WriteError

from .atomic import DRAFT_PREFIX, replacing
from .formats import FORMATS, Format, accepted_suffixes
from .schema import restore_dtypes, validate_layer

if TYPE_CHECKING:
    import geopandas as gpd

__all__ = ["LAYER_NAME", "check_writable", "write_frame", "write_layer"]

LAYER_NAME = "change_captions"
"""The name of the layer in formats that name their layers."""

_BYTES_PER_FILE = 256 * 1024
_BYTES_PER_ROW = 512


def write_layer(
    gdf: gpd.GeoDataFrame,
    path: str | os.PathLike[str],
    *,
    overwrite: bool = True,
    layer: str = LAYER_NAME,
    csv_safe: bool = True,
) -> Path:
    """Write a layer of change captions in the format of the path's suffix.

    ===================== ============ ==================================================================
    Suffix                Format       Where the metadata are
    ===================== ============ ==================================================================
    .gpkg                 GeoPackage   metadata tables, item `geocc` of the layer
    .parquet, .geoparquet GeoParquet   key `geocc` of the file
    .fgb                  FlatGeobuf   header, item `geocc`; features in the order of the spatial index
    .geojson, .json       GeoJSON      foreign member `geocc`; always EPSG:4326 (RFC 7946)
    .csv                  CSV          `<name>.metadata.json` beside it, with the CRS; footprints as WKT
    ===================== ============ ==================================================================

    The file is drafted in the same folder and moved into place, so that whatever happens the path holds the previous
    file or the new one, whole.

    Args:
        gdf: What `build_layer` returned, or a selection of its rows, with or without further columns.
        path: Where to write. The folder must exist.
        overwrite: Whether a file that is there may be replaced.
        layer: The layer's name, where the format names its layers.
        csv_safe: Whether CSV texts that a spreadsheet would run as a formula get an apostrophe before the sign. With
            False the texts are exactly the layer's, for programs only: such a file belongs in no spreadsheet.

    Returns:
        The path.

    Raises:
        InputError: `gdf` is not a layer of change captions.
        WriteError: The suffix is none of the above, or the file cannot be written.
    """
    path = Path(path)
    check_writable(path, overwrite=overwrite, layer=layer, rows=len(gdf))
    gdf = restore_dtypes(gdf)
    validate_layer(gdf)
    return write_frame(gdf, path, layer=layer, csv_safe=csv_safe)


def write_frame(gdf: gpd.GeoDataFrame, path: Path, *, layer: str, csv_safe: bool = True) -> Path:
    """Write any GeoDataFrame of polygons, whole or not at all, once `check_writable` has let it pass."""
    form = _format_of(path)
    target = Path(os.path.realpath(path))
    try:
        with replacing(target, companion=form.companion(target) if form.companion else None) as draft:
            form.write(gdf, draft, layer=layer, csv_safe=csv_safe)
    except (OSError, RuntimeError, ValueError) as error:
        raise WriteError(f"cannot write {path} as {form.name}; what was there is as it was: {error}") from error
    return path


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
    _format_of(path)
    _check_folder(Path(os.path.realpath(path)).parent, rows=rows or 0)
    if path.is_dir():
        raise WriteError(f"{path} is a folder: give the name of a file in it")
    if path.exists():
        _check_replaceable(path, overwrite=overwrite)
        if path.suffix.lower() == ".gpkg":
            _check_geopackage(path, layer=layer)


def _format_of(path: Path) -> Format:
    form = FORMATS.get(path.suffix.lower())
    if form is not None:
        return form
    if path.suffix.lower() == ".shp":
        raise WriteError(
            f"{path}: a Shapefile cuts captions at 254 bytes and column names at 10; use one of {accepted_suffixes()}"
        )
    raise WriteError(
        f"{path}: the suffix {path.suffix!r} names no format geocc writes; use one of {accepted_suffixes()}"
    )


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
    try:
        others = [name for name, _ in pyogrio.list_layers(path) if name not in {layer, "layer_styles"}]
    except pyogrio.errors.DataSourceError:
        return  # not a GeoPackage in spite of its name: there are no layers to lose
    if others:
        raise WriteError(
            f"{path} holds other layers too ({', '.join(map(str, others))}), which would be lost: give another name"
        )
