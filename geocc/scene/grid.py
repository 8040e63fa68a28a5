"""Grids compared and turned upright: pure mathematics on geoboxes, no pixel is read.

stored upside down            upright
row 0  ....south....          row 0  ....north....
row n  ....north....          row n  ....south....
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import shapely
from odc.geo.crs import CRS

from geocc.errors import MissingCRSError
from geocc.scene.window import PixelWindow

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from odc.geo.geobox import GeoBox
    from shapely.geometry.base import BaseGeometry

__all__ = [
    "GRID_TOLERANCE",
    "Flip",
    "LatticeShift",
    "crop",
    "crs_of",
    "grid_crs",
    "ground_in_pixels",
    "lattice_shift",
    "lonlat_extent",
    "same_crs",
    "upright",
]

GRID_TOLERANCE = 0.01
"""Pixels by which two lattices may differ, anywhere on the common ground, and still count as one."""

_EDGE_TOLERANCE = 1e-4  # pixels: what reprojection noise may move the edge of the common ground
_ROUND_TRIP = 0.01  # pixels by which a projection there and back may miss
_POINTS_PER_SIDE = 33  # enough that a straight line between two of them follows the curve of a reprojected edge

_Dtype = TypeVar("_Dtype", bound=np.generic)


@dataclass(frozen=True, slots=True)
class Flip:
    """How the stored pixels are turned to make the grid upright.

    Attributes:
        rows: Whether the stored rows run from south to north.
        cols: Whether the stored columns run from east to west.
    """

    rows: bool = False
    cols: bool = False

    def stored(self, window: PixelWindow, geobox: GeoBox) -> PixelWindow:
        """Where a window of the upright grid lies among the stored pixels."""
        height, width = geobox.shape
        row = height - window.row - window.height if self.rows else window.row
        col = width - window.col - window.width if self.cols else window.col
        return PixelWindow(row, col, window.height, window.width)

    def turn(self, pixels: NDArray[_Dtype]) -> NDArray[_Dtype]:
        """Stored pixels `(..., h, w)` turned upright, as a view."""
        return pixels[..., :: -1 if self.rows else 1, :: -1 if self.cols else 1]


def upright(geobox: GeoBox) -> tuple[GeoBox, Flip]:
    """The same ground with north up and east right, and how to turn the stored pixels.

    Only grids along the axes are turned. Rotated and sheared ones have no upright form and stay as they are.
    """
    affine = geobox.affine
    if affine.b or affine.d:
        return geobox, Flip()
    flip = Flip(rows=affine.e > 0, cols=affine.a < 0)
    if flip.rows:
        geobox = geobox.flipy()
    if flip.cols:
        geobox = geobox.flipx()
    return geobox, flip


def crs_of(crs: Any) -> CRS:
    """A rasterio CRS as odc-geo's, named by its EPSG code where it is exactly that one."""
    code = crs.to_epsg()
    return CRS(f"EPSG:{code}") if code and type(crs).from_epsg(code) == crs else CRS(crs.to_wkt())


def grid_crs(geobox: GeoBox) -> CRS:
    """The CRS of a grid; raises MissingCRSError where it has none."""
    if geobox.crs is None:
        raise MissingCRSError("The geobox has no CRS. Make it with one: GeoBox(shape, affine, 'EPSG:...').")
    return geobox.crs


def same_crs(one: CRS, other: CRS) -> bool:
    """Whether two coordinate reference systems are equivalent, however each is written down."""
    return bool(one == other or one.proj.equals(other.proj, ignore_axis_order=True) or _same_epsg(one, other))


def _same_epsg(one: CRS, other: CRS) -> bool:
    # GDAL writes WKT1 without axes; pyproj then finds the code, but not equality.
    code = one.proj.to_epsg()
    return code is not None and code == other.proj.to_epsg()


@dataclass(frozen=True, slots=True)
class LatticeShift:
    """Whole pixels from one grid's upper-left corner to another's on the same lattice."""

    rows: int
    cols: int


def lattice_shift(reference: GeoBox, other: GeoBox) -> LatticeShift | None:
    """Where `other` starts on the lattice of `reference`, or None if its pixels are not those of the lattice.

    Both must be in one CRS. The corners of `other` may lie at most `GRID_TOLERANCE` pixels beside the lattice.
    """
    height, width = other.shape
    cols, rows = np.array([0, width, width, 0], float), np.array([0, 0, height, height], float)
    placed_cols, placed_rows = reference.wld2pix(*other.pix2wld(cols, rows))
    shift = LatticeShift(rows=round(placed_rows[0]), cols=round(placed_cols[0]))
    errors = np.concatenate([placed_cols - cols - shift.cols, placed_rows - rows - shift.rows])
    return shift if np.abs(errors).max() <= GRID_TOLERANCE else None


def ground_in_pixels(geobox: GeoBox, reference: GeoBox) -> BaseGeometry:
    """The ground of a grid as a geometry in the pixel plane of `reference`, clipped to it; empty where there is none.

    Projections fail far from where they were made for: the corners of a world map have no place in a UTM zone. So the
    outline that survives the way there and back is the one that is followed, be it that of the grid or of the reference.
    """
    frame = shapely.box(0, 0, reference.shape.x, reference.shape.y)
    outline = _project(_outline(geobox), geobox, reference)
    if np.isfinite(outline).all():
        return _polygon(outline) & frame
    seen_from_there = _project(_outline(reference), reference, geobox)
    if not np.isfinite(seen_from_there).all():
        return _polygon(outline[np.isfinite(outline).all(axis=1)]) & frame
    height, width = geobox.shape
    common = shapely.segmentize(
        _polygon(seen_from_there) & shapely.box(0, 0, width, height), max(height, width) / _POINTS_PER_SIDE
    )
    return shapely.transform(common, lambda points: _project(points, geobox, reference)) & frame


def _polygon(points: NDArray[np.float64]) -> BaseGeometry:
    if len(points) < 3:
        return shapely.Polygon()
    polygon = shapely.Polygon(points)
    return polygon if polygon.is_valid else polygon.convex_hull


def _outline(geobox: GeoBox) -> NDArray[np.float64]:
    """`(N, 2)` pixel coordinates, column and row, along the four sides of a grid."""
    steps = np.linspace(0, 1, _POINTS_PER_SIDE)[:-1]
    zero, one = np.zeros_like(steps), np.ones_like(steps)
    cols = np.concatenate([steps, one, 1 - steps, zero]) * geobox.shape.x
    rows = np.concatenate([zero, steps, one, 1 - steps]) * geobox.shape.y
    return np.column_stack([cols, rows])


def _project(points: NDArray[np.float64], src: GeoBox, dst: GeoBox) -> NDArray[np.float64]:
    """`(N, 2)` pixel coordinates of one grid in those of another; NaN where the way back leads elsewhere."""
    x, y = src.pix2wld(points[:, 0], points[:, 1])
    if same_crs(grid_crs(src), grid_crs(dst)):
        return np.column_stack(dst.wld2pix(x, y))
    there, back = (grid_crs(one).transformer_to_crs(grid_crs(other)) for one, other in ((src, dst), (dst, src)))
    with np.errstate(invalid="ignore"):  # what cannot be projected comes back as infinity, which turns into NaN here
        x, y = there(x, y)
        projected = np.column_stack(dst.wld2pix(np.asarray(x), np.asarray(y)))
        returned = np.column_stack(src.wld2pix(*back(x, y)))
        projected[~(np.abs(returned - points) < _ROUND_TRIP).all(axis=1)] = np.nan
    return projected


def crop(geobox: GeoBox, ground: BaseGeometry) -> GeoBox | None:
    """The part of a grid that a polygon inside its pixel plane touches, in whole pixels; None if below one pixel.

    The crop is snapped outwards, so that it covers all of the polygon.
    """
    if ground.is_empty or ground.area < 1 - _EDGE_TOLERANCE:
        return None
    left, top, right, bottom = ground.bounds
    if min(right - left, bottom - top) < 1 - _EDGE_TOLERANCE:
        return None
    col, row = (int(np.floor(edge + _EDGE_TOLERANCE)) for edge in (left, top))
    stop_col, stop_row = (int(np.ceil(edge - _EDGE_TOLERANCE)) for edge in (right, bottom))
    return geobox[row:stop_row, col:stop_col]


def lonlat_extent(geobox: GeoBox) -> str:
    """West, east, south and north of a grid in degrees, as a text for messages."""
    lon, lat = grid_crs(geobox).transformer_to_crs("EPSG:4326")(*geobox.pix2wld(*_outline(geobox).T))
    lon, lat = np.asarray(lon), np.asarray(lat)
    inside = np.isfinite(lon) & np.isfinite(lat)
    if not inside.any():
        return "outside the range of its CRS"
    lon, lat = lon[inside], lat[inside]
    if np.ptp(lon) > 180:  # it crosses the antimeridian
        lon = np.where(lon < 0, lon + 360, lon)
    return f"lon {lon.min():.5f} to {lon.max():.5f}, lat {lat.min():.5f} to {lat.max():.5f}"
