"""Writing a layer to a file, whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from geocc.errors import WriteError

from .atomic import replacing
from .checks import LAYER_NAME, check_suffix, check_writable
from .formats import FORMATS
from .schema import restore_dtypes, validate_layer

if TYPE_CHECKING:
    import geopandas as gpd

__all__ = ["write_frame", "write_layer"]


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
    form = FORMATS[check_suffix(path)]
    target = Path(os.path.realpath(path))
    try:
        with replacing(target, companion=form.companion(target) if form.companion else None) as draft:
            form.write(gdf, draft, layer=layer, csv_safe=csv_safe)
    except (OSError, RuntimeError, ValueError) as error:
        raise WriteError(f"cannot write {path} as {form.name}; what was there is as it was: {error}") from error
    return path
