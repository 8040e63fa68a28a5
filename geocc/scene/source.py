"""What a raster of one date must offer, whether it lies in memory, in dask chunks or in a file."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray
    from odc.geo.geobox import GeoBox

    from geocc.scene.blocks import BlockGrid
    from geocc.scene.window import PixelWindow

__all__ = ["Planes", "Source", "all_valid", "empty_planes", "known_valid", "valid_pixels"]


@dataclass(frozen=True, slots=True, eq=False)
class Planes:
    """The pixels of one date under one window, as stored.

    Attributes:
        values: `(C=3, h, w)` in the raster's own dtype.
        valid: `(h, w)` bool, True where the raster holds data.
    """

    values: NDArray[Any]
    valid: NDArray[np.bool_]


class Source(Protocol):
    """One date of a pair: three bands on a grid, read window by window.

    The grid is north-up wherever the raster is not rotated: see `geocc.scene.grid.upright`.
    """

    @property
    def date(self) -> str:
        """``"t1"`` or ``"t2"``."""
        ...

    @property
    def name(self) -> str:
        """What the raster is called, without secrets."""
        ...

    @property
    def geobox(self) -> GeoBox:
        """Its grid."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of its values."""
        ...

    @property
    def bands(self) -> tuple[str, ...]:
        """Names of red, green and blue."""
        ...

    @property
    def nodata(self) -> tuple[float | None, ...]:
        """Nodata values of red, green and blue."""
        ...

    @property
    def label(self) -> pd.Timestamp | None:
        """When it was taken."""
        ...

    @property
    def blocks(self) -> BlockGrid | None:
        """How its pixels are stored, None where any window costs the same."""
        ...

    def read(self, window: PixelWindow) -> Planes:
        """Read a window that lies inside `geobox`.

        Raises:
            ReadError: The pixels cannot be read; the message names date, raster and window.
        """
        ...


def empty_planes(window: PixelWindow, dtype: np.dtype[Any]) -> Planes:
    """Zeros, none of them valid, for ground that a raster does not cover."""
    shape = (window.height, window.width)
    return Planes(np.zeros((3, *shape), dtype), np.zeros(shape, bool))


@lru_cache(maxsize=64)
def all_valid(shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """A mask that is True everywhere, in no memory and not to be written to."""
    return np.broadcast_to(np.True_, shape)


def known_valid(valid: NDArray[np.bool_]) -> bool:
    """Whether a mask is one of `all_valid`, or a part of one: told without a look at its pixels."""
    return valid.size > 0 and not any(valid.strides) and bool(valid[(0,) * valid.ndim])


def valid_pixels(values: NDArray[Any], nodata: tuple[float | None, ...]) -> NDArray[np.bool_]:
    """Which pixels hold data, judged by their values over the three chosen bands.

    A nodata value from 0 up may be a measurement as well, black or saturated: NAIP and Landsat declare 0, and a dark pixel
    with a 0 in one band is ground all the same. So a pixel is invalid where **all** bands hold their nodata value. A
    negative value such as -9999 is never measured, nor is NaN or infinity: they make a pixel invalid in **any** band.

    Args:
        values: `(C, h, w)` of any real dtype.
        nodata: One value per band, None where the band has none.

    Returns:
        `(h, w)` bool; from `all_valid` where no value could be invalid.
    """
    if values.dtype.kind != "f" and all(value is None for value in nodata):
        return all_valid(values.shape[1:])
    missing = np.stack([_equals(plane, value) for plane, value in zip(values, nodata, strict=True)])
    impossible = missing[[value is not None and value < 0 for value in nodata]].any(axis=0)
    if values.dtype.kind == "f":
        impossible |= ~np.isfinite(values).all(axis=0)
    return np.asarray(~(missing.all(axis=0) | impossible))


def _equals(plane: NDArray[Any], nodata: float | None) -> NDArray[np.bool_]:
    """Where the plane equals a nodata value, nowhere if its dtype cannot hold that value."""
    if nodata is None or np.isnan(nodata):
        return np.zeros(plane.shape, bool)
    if plane.dtype.kind == "f":
        with np.errstate(over="ignore"):
            return np.asarray(plane == plane.dtype.type(nodata))
    info = np.iinfo(plane.dtype)
    if nodata != int(nodata) or not info.min <= nodata <= info.max:
        return np.zeros(plane.shape, bool)
    return np.asarray(plane == int(nodata))
