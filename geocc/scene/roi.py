"""Which tiles lie in a region of interest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from geocc.errors import InputError, MissingCRSError
from geocc.scene.grid import grid_crs

if TYPE_CHECKING:
    from geopandas import GeoDataFrame, GeoSeries
    from numpy.typing import NDArray
    from odc.geo.geobox import GeoBox
    from odc.geo.geom import Geometry

__all__ = ["Region", "region_in_pixels", "windows_in_region"]

Region: TypeAlias = "BaseGeometry | GeoSeries | GeoDataFrame | Geometry"

_SNAP = 1e-6  # pixels: a region drawn along tile edges must not catch the neighbours by rounding


def region_in_pixels(roi: Region, geobox: GeoBox) -> BaseGeometry:
    """A region as one geometry in the pixel plane of a grid.

    Args:
        roi: A shapely geometry in the CRS of the grid, or a GeoSeries, GeoDataFrame or odc-geo Geometry in any CRS.
        geobox: The grid.

    Raises:
        InputError: It is empty, not valid or has no area.
        MissingCRSError: It is of a kind that has a CRS, and has none.
    """
    world = _in_crs(roi, geobox)
    if world.is_empty or world.area <= 0:
        raise InputError(f"roi= is a {world.geom_type} without area. Give polygons, as in `roi=lines.buffer(100)`.")
    if not world.is_valid:
        raise InputError(
            f"roi= is not valid: {shapely.is_valid_reason(world)}. Mend it with `shapely.make_valid(roi)`."
        )
    pixels = shapely.transform(world, lambda points: np.column_stack(geobox.wld2pix(points[:, 0], points[:, 1])))
    snapped: BaseGeometry = shapely.set_precision(pixels, _SNAP)
    return snapped


def _in_crs(roi: Any, geobox: GeoBox) -> BaseGeometry:
    if isinstance(roi, BaseGeometry):
        return roi
    if not hasattr(roi, "to_crs"):
        raise InputError(
            f"roi= is a {type(roi).__name__}, and should be a shapely geometry in the CRS of the scene, a GeoSeries, a "
            "GeoDataFrame or an odc.geo.geom.Geometry."
        )
    if roi.crs is None:
        raise MissingCRSError('roi= has no CRS. If you know it, set it: `roi.set_crs("EPSG:...")`.')
    crs, is_frame = grid_crs(geobox), hasattr(roi, "union_all")
    world: BaseGeometry = roi.to_crs(crs.proj).union_all() if is_frame else roi.to_crs(crs).geom
    return world


def windows_in_region(
    region: BaseGeometry,
    *,
    row: NDArray[np.int64],
    col: NDArray[np.int64],
    height: NDArray[np.int64],
    width: NDArray[np.int64],
) -> NDArray[np.bool_]:
    """Which windows share ground, more than an edge, with a region in their pixel plane."""
    left, top, right, bottom = region.bounds
    near: NDArray[np.bool_] = (col < right) & (col + width > left) & (row < bottom) & (row + height > top)
    at = np.flatnonzero(near)
    boxes = shapely.box(col[at], row[at], (col + width)[at], (row + height)[at])
    shapely.prepare(region)
    near[at] = shapely.intersects(region, boxes) & ~shapely.touches(region, boxes)
    return near
