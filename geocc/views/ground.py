"""Where a picture lies on the Earth: its pixels in metres, its north, and the footprints upon it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from pyproj import CRS, Geod, Transformer

from geocc.errors import InputError, MissingCRSError

if TYPE_CHECKING:
    import geopandas as gpd
    from numpy.typing import NDArray
    from odc.geo.geobox import GeoBox

__all__ = ["Ground", "crs_of", "footprints_on", "ground_of"]


@dataclass(frozen=True, slots=True)
class Ground:
    """How a picture lies on the Earth, measured at its middle.

    Attributes:
        longitude: Of the middle, in degrees.
        latitude: Of the middle, in degrees.
        pixel_width_m: Metres on the ground from one column to the next.
        pixel_height_m: Metres on the ground from one row to the next.
        north: Unit vector in the picture, with square pixels, that points to true north: to the right, and down.
    """

    longitude: float
    latitude: float
    pixel_width_m: float
    pixel_height_m: float
    north: tuple[float, float]

    @property
    def aspect(self) -> float:
        """How many times as high as wide a pixel is."""
        return self.pixel_height_m / self.pixel_width_m

    @property
    def place(self) -> str:
        """The middle in words, as ``36.141\N{DEGREE SIGN}N 98.994\N{DEGREE SIGN}W``."""
        north, east = ("N" if self.latitude >= 0 else "S"), ("E" if self.longitude >= 0 else "W")
        return f"{abs(self.latitude):.3f}\N{DEGREE SIGN}{north} {abs(self.longitude):.3f}\N{DEGREE SIGN}{east}"


def ground_of(geobox: GeoBox) -> Ground:
    """Measure how a grid lies on the Earth.

    Raises:
        InputError: The middle of the grid has no longitude and latitude.
    """
    crs = crs_of(geobox)
    geodetic = crs.geodetic_crs
    to_degrees = Transformer.from_crs(crs, "EPSG:4326" if geodetic is None else geodetic, always_xy=True)
    x, y = geobox.shape.x / 2, geobox.shape.y / 2
    steps = np.array([[x, y], [x + 1, y], [x, y + 1]])
    degrees = np.column_stack(to_degrees.transform(*_to_world(geobox, steps).T))
    if not np.isfinite(degrees).all():
        raise InputError(
            f"the middle of the grid has no longitude and latitude in {crs.name}: expected a grid on Earth"
        )
    geod = crs.get_geod() or Geod(ellps="WGS84")
    azimuths, _, metres = geod.inv(*np.repeat(degrees[:1], 2, axis=0).T, *degrees[1:].T)
    # North along the picture's axes: the cosines of the angles between north and the directions of column and row.
    north = np.cos(np.radians(azimuths))
    north = north / np.hypot(*north)
    return Ground(
        longitude=float(degrees[0, 0]),
        latitude=float(degrees[0, 1]),
        pixel_width_m=float(metres[0]),
        pixel_height_m=float(metres[1]),
        north=(float(north[0]), float(north[1])),
    )


def footprints_on(gdf: gpd.GeoDataFrame, geobox: GeoBox) -> NDArray[Any]:
    """Bring the footprints of a layer to the pixels of a grid.

    Args:
        gdf: A layer in any CRS.
        geobox: The grid of the picture.

    Returns:
        `(N,)` shapely geometries in pixels: x to the right, y down, the corner of the first pixel at 0, 0.
    """
    a, b, c, d, e, f = tuple(geobox.affine)[:6]
    to_pixels = np.linalg.inv([[a, b], [d, e]]).T
    shapes = gdf.geometry.to_crs(crs_of(geobox)).to_numpy()
    return np.asarray(shapely.transform(shapes, lambda xy: (xy - (c, f)) @ to_pixels))


def crs_of(geobox: GeoBox) -> CRS:
    """Return the CRS of a grid.

    Raises:
        MissingCRSError: It has none.
    """
    if geobox.crs is None:
        raise MissingCRSError("the pair's geobox has no CRS: open the rasters with one, as by ds.rio.write_crs(...)")
    return geobox.crs.proj


def _to_world(geobox: GeoBox, xy: NDArray[np.float64]) -> NDArray[np.float64]:
    a, b, c, d, e, f = tuple(geobox.affine)[:6]
    world: NDArray[np.float64] = xy @ np.array([[a, b], [d, e]]).T + (c, f)
    return world
