"""Captions as people keep them: a vector file, or a GeoDataFrame, in a coordinate reference system of its own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import geopandas as gpd
import numpy as np
import pyogrio
import shapely

from geocc.errors import InputError, MissingCRSError, ReadError
from geocc.scene.grid import grid_crs

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

    from numpy.typing import NDArray
    from odc.geo.geobox import GeoBox

__all__ = ["column_texts", "in_pixels", "name_some", "read_captions"]

_SUFFIXES = (".gpkg", ".geojson", ".json", ".fgb", ".shp", ".parquet", ".geoparquet", ".csv")
_SHOWN = 10


def read_captions(path: str | os.PathLike[str]) -> gpd.GeoDataFrame:
    """Read captioned polygons, or a layer of change captions as it came back from a GIS.

    Args:
        path: GeoPackage of one layer, GeoJSON, FlatGeobuf, Shapefile, GeoParquet, or a CSV that geocc wrote. Nothing is
            checked here beyond that it can be read: what a person edited is checked with the names of the tiles.

    Raises:
        ReadError: There is no such file, it cannot be read, or holds several layers.
    """
    path = Path(path)
    if path.suffix.lower() not in _SUFFIXES:
        raise ReadError(f"{path} is of no format that captions are read from; expected {', '.join(_SUFFIXES)}.")
    if not path.is_file():
        raise ReadError(f"there is no file {path}.")
    try:
        return _read(path)
    except MissingCRSError as error:
        raise ReadError(str(error)) from error
    except (OSError, ValueError, RuntimeError, LookupError) as error:  # pyogrio's DataSourceError is a RuntimeError
        raise ReadError(f"the captions {path} cannot be read: {error}") from error


def _read(path: Path) -> gpd.GeoDataFrame:
    if path.suffix.lower() in {".parquet", ".geoparquet"}:
        return gpd.read_parquet(path)
    if path.suffix.lower() == ".csv":
        from geocc.table.delimited import read_csv

        return read_csv(path)
    layers = [name for name, geometry in pyogrio.list_layers(path) if geometry is not None]
    if len(layers) != 1:
        raise ValueError(f"it holds the layers {layers}, expected one: pass geopandas.read_file(path, layer=...)")
    return gpd.GeoDataFrame(pyogrio.read_dataframe(path, layer=layers[0]))


def in_pixels(gdf: gpd.GeoDataFrame, geobox: GeoBox, *, names: Iterable[Any]) -> NDArray[np.object_]:
    """Bring polygons to the pixel plane of a grid: x to the right, y downwards, (0, 0) the grid's upper-left corner.

    Args:
        gdf: Polygons in any CRS; converted from their own, as a region of interest is.
        geobox: The grid.
        names: What to call each row in an error.

    Raises:
        MissingCRSError: The polygons have no CRS.
        InputError: A row is no polygon, or one that is not valid.
    """
    if gdf.crs is None:
        raise MissingCRSError('the captions have no CRS. If you know it, set it: `captions.set_crs("EPSG:...")`.')
    world = gdf.geometry.to_crs(grid_crs(geobox).proj).to_numpy()
    areal = np.isin(shapely.get_type_id(world), (3, 6)) & ~shapely.is_empty(world)  # polygons and multipolygons
    named = np.array(list(names), dtype=object)
    if not areal.all():
        raise InputError(f"no polygon at {name_some(named[~areal])}: draw one, or delete the row.")
    valid = shapely.is_valid(world)
    if not valid.all():
        raise InputError(
            f"the polygons at {name_some(named[~valid])} are not valid: {shapely.is_valid_reason(world[~valid][0])}. Mend "
            "them with `captions.make_valid()`, in QGIS with 'Fix geometries'."
        )

    def to_pixels(points: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.column_stack(geobox.wld2pix(points[:, 0], points[:, 1]))  # type: ignore[no-untyped-call]

    pixels: NDArray[np.object_] = shapely.transform(world, to_pixels)
    return pixels


def column_texts(gdf: gpd.GeoDataFrame, column: str) -> list[str]:
    """Return a column as cleaned texts, empty where there is none.

    Raises:
        InputError: There is no such column.
    """
    from geocc.table.text import clean_caption

    if column not in gdf.columns:
        known = ", ".join(str(name) for name in gdf.columns if name != gdf.active_geometry_name)
        raise InputError(f"there is no column {column!r} of captions; the file has {known}: name one of them.")
    return [clean_caption(str(text)).strip() for text in gdf[column].astype("string").fillna("")]


def name_some(names: Iterable[Any]) -> str:
    """Name the first few of many, and count the rest."""
    names = [str(name) for name in names]
    rest = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + rest
