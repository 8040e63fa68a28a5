"""Small rasters whose pixels say where they lie, so that any mistake of place shows.

The three bands of a pixel encode its row and column on a *lattice* that all rasters of a test share: red is the column
modulo 251, green the row modulo 241, blue counts the wraps. `decode` gives rows and columns back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import rasterio
import rioxarray  # noqa: F401 - registers the `rio` accessor
from affine import Affine
from odc.geo.geobox import GeoBox
from odc.geo.xr import wrap_xr

if TYPE_CHECKING:
    import xarray as xr

UTM = "EPSG:32632"
_COLS, _ROWS = 251, 241

AFFINES = {
    "north-up": Affine(10.0, 0.0, 500_000.0, 0.0, -10.0, 5_000_000.0),
    "south-up": Affine(10.0, 0.0, 500_000.0, 0.0, 10.0, 4_990_000.0),
    "rotated": Affine(8.66, 5.0, 500_000.0, 5.0, -8.66, 5_000_000.0),
    "sheared": Affine(10.0, 3.0, 500_000.0, 1.0, -12.0, 5_000_000.0),
}
"""One affine of every kind: a 10 m grid in UTM 32 north."""


def grid(height: int, width: int, *, kind: str = "north-up", crs: str = UTM) -> GeoBox:
    """A grid of one of the kinds in `AFFINES`."""
    return GeoBox((height, width), AFFINES[kind], crs)


def encode(geobox: GeoBox, *, row: int = 0, col: int = 0, dtype: Any = np.uint8) -> np.ndarray:
    """`(3, h, w)` pixels that hold their place, the first one being `row`, `col` of the lattice."""
    height, width = geobox.shape
    rows, cols = np.mgrid[row : row + height, col : col + width]
    return np.stack([cols % _COLS, rows % _ROWS, cols // _COLS + 16 * (rows // _ROWS)]).astype(dtype)


def decode(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns on the lattice of every pixel of a `(3, h, w)` image that `encode` made."""
    red, green, blue = image.astype(int)
    return (blue // 16) * _ROWS + green, (blue % 16) * _COLS + red


def scene(
    geobox: GeoBox,
    values: np.ndarray | None = None,
    *,
    nodata: float | None = None,
    names: tuple[str, ...] | None = None,
    time: str | None = None,
    chunks: dict[str, int] | None = None,
) -> xr.DataArray:
    """A DataArray `(band, y, x)` on a grid; by default its pixels hold their place.

    Args:
        geobox: Any grid; a rotated one is written as odc-geo does.
        values: `(C, h, w)`, default `encode(geobox)`.
        nodata: Written as attribute.
        names: Written as the `band` coordinate.
        time: Written as a scalar coordinate.
        chunks: Makes it dask-backed.
    """
    values = encode(geobox) if values is None else values
    array = wrap_xr(np.moveaxis(values, 0, -1), geobox, nodata=nodata).transpose("band", ...)
    if nodata is None:
        array.attrs.pop("nodata", None)  # NetCDF cannot write None
    if names is not None:
        array = array.assign_coords(band=list(names))
    if time is not None:
        array = array.assign_coords(time=np.datetime64(time, "ns"))
    return array if chunks is None else array.chunk(chunks)


def write(path: Any, geobox: GeoBox, values: np.ndarray | None = None, **profile: Any) -> str:
    """Write a GeoTIFF, tiled in blocks of 64 pixels; by default its pixels hold their place. Returns the path as a text.

    `profile` goes to rasterio; `descriptions`, `tags`, `colorinterp` and `mask` `(h, w)` are written after the pixels.
    """
    values = encode(geobox) if values is None else values
    extras = {name: profile.pop(name, None) for name in ("descriptions", "tags", "colorinterp", "mask")}
    count, height, width = values.shape
    crs = None if geobox.crs is None else str(geobox.crs)
    layout = {"tiled": True, "blockxsize": 64, "blockysize": 64, "photometric": "minisblack"} | profile
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(
            path, "w", driver="GTiff", height=height, width=width, count=count, dtype=values.dtype, crs=crs,
            transform=geobox.affine, **layout,
        ) as file,
    ):  # fmt: skip
        if extras["colorinterp"]:
            file.colorinterp = extras["colorinterp"]
        file.write(values)
        file.descriptions = extras["descriptions"] or file.descriptions
        file.update_tags(**(extras["tags"] or {}))
        if extras["mask"] is not None:
            file.write_mask(extras["mask"])
    return str(path)


def no_compute(*_args: Any, **_kwargs: Any) -> Any:
    """A dask scheduler that must not be called: `dask.config.set(scheduler=no_compute)`."""
    raise AssertionError("a dask array was computed")


class CountingScheduler:
    """A dask scheduler that counts how often it is asked to compute."""

    def __init__(self) -> None:
        self.computes = 0

    def __call__(self, graph: Any, keys: Any, **kwargs: Any) -> Any:
        import dask

        self.computes += 1
        return dask.get(graph, keys, **kwargs)
