"""The plane of web maps, unrolled around a scene so that the antimeridian does not cut it."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from affine import Affine
from pyproj import Transformer
from rasterio.warp import Resampling, reproject

from .ground import crs_of

if TYPE_CHECKING:
    import geopandas as gpd
    from numpy.typing import NDArray
    from pyproj import CRS

    from .quicklook import Quicklook

__all__ = ["LatLngImage", "WebMercator"]

_RADIUS = 6_378_137.0


@dataclass(frozen=True, slots=True)
class LatLngImage:
    """Both dates as a web map lays out a picture: rows evenly spaced in Web Mercator.

    Attributes:
        image: `(T=2, C=3, h, w)` uint8.
        valid: `(h, w)` bool.
        bounds: `[[south, west], [north, east]]` in degrees; a longitude may exceed 180 degrees.
    """

    image: NDArray[np.uint8]
    valid: NDArray[np.bool_]
    bounds: list[list[float]]


@dataclass(frozen=True, slots=True)
class WebMercator:
    """Web Mercator with its middle at a longitude.

    Attributes:
        longitude: Where x is 0, in degrees.
    """

    longitude: float

    @classmethod
    def around(cls, gdf: gpd.GeoDataFrame) -> WebMercator:
        """Put the middle at the first footprint of a layer."""
        if gdf.empty:
            return cls(0.0)
        first = gdf.geometry.iloc[[0]].representative_point().to_crs("EPSG:4326")
        return cls(float(first.iloc[0].x))

    @property
    def crs(self) -> str:
        """The CRS in PROJ's words."""
        return f"+proj=webmerc +datum=WGS84 +units=m +lon_0={self.longitude!r}"

    def lat_lng(self, xy: NDArray[np.float64]) -> NDArray[np.float64]:
        """Bring `(N, 2)` metres east and north to `(N, 2)` degrees of latitude and longitude."""
        east, north = np.asarray(xy, dtype=float).T
        latitude = np.degrees(np.arctan(np.sinh(north / _RADIUS)))
        return np.column_stack([latitude, self.longitude + np.degrees(east / _RADIUS)])

    def polygons(self, gdf: gpd.GeoDataFrame) -> list[Any]:
        """Return each footprint as Leaflet wants a polygon: parts of rings of `[latitude, longitude]`."""
        return [
            [[self._ring(ring) for ring in shapely.get_rings(part)] for part in shapely.get_parts(shape)]
            for shape in gdf.geometry.to_crs(self.crs)
        ]

    def warp(self, look: Quicklook) -> LatLngImage:
        """Bring a quicklook to this plane, about as finely as it is."""
        crs = crs_of(look.geobox)
        left, bottom, right, top = self._bounds(look, crs)
        height, width = look.valid.shape
        scale = max(right - left, top - bottom) / max(height, width)
        rows, columns = ceil((top - bottom) / scale), ceil((right - left) / scale)
        grids: dict[str, Any] = {
            "src_transform": look.affine,
            "src_crs": crs.to_wkt(),
            "dst_transform": Affine(scale, 0.0, left, 0.0, -scale, top),
            "dst_crs": self.crs,
        }
        valid = np.zeros((rows, columns), np.uint8)
        reproject(look.valid.astype(np.uint8), valid, **grids, resampling=Resampling.nearest)
        image = np.zeros((6, rows, columns), np.uint8)
        reproject(look.image.reshape(6, height, width), image, **grids, resampling=Resampling.bilinear)
        corners = np.array([(left, top - rows * scale), (left + columns * scale, top)])
        return LatLngImage(image.reshape(2, 3, rows, columns), valid.astype(bool), self.lat_lng(corners).tolist())

    def _bounds(self, look: Quicklook, crs: CRS) -> NDArray[np.float64]:
        height, width = look.valid.shape
        border = shapely.get_coordinates(shapely.segmentize(shapely.box(0, 0, width, height), max(height, width) / 32))
        a, b, c, d, e, f = tuple(look.affine)[:6]
        world = border @ np.array([[a, b], [d, e]]).T + (c, f)
        x, y = Transformer.from_crs(crs, self.crs, always_xy=True).transform(*world.T)
        return np.array([np.min(x), np.min(y), np.max(x), np.max(y)])

    def _ring(self, ring: Any) -> list[list[float]]:
        degrees: list[list[float]] = np.round(self.lat_lng(shapely.get_coordinates(ring)[:-1]), 7).tolist()
        return degrees
