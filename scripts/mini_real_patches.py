"""Dates that never were: patchworks of a series' dates, so that a tile's ground does not tell what changed on it."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import numpy as np
from rasterio.enums import Resampling
from scipy.ndimage import gaussian_filter

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["patchworks"]

SCALES_PX = (20.0, 60.0)
"""Smallest and largest width of the filter that a patchwork's seams follow; patches are about four times as wide."""


def patchworks(
    rasters: dict[int, xr.DataArray], pairs: int, *, seed: int
) -> tuple[dict[int, xr.DataArray], list[tuple[int, int]]]:
    """Return pairs of patchworks and the numbers they go by.

    Args:
        rasters: What each date shows; the others are warped onto the grid of the first.
        pairs: How many pairs. Where both patchworks of a pair show one date nothing changed; elsewhere what did between two.
        seed: Of where the seams run.
    """
    first, *others = rasters.values()
    dates = [first, *(one.rio.reproject_match(first, resampling=Resampling.bilinear) for one in others)]
    pixels = np.stack([one.values for one in dates])
    known = (pixels > 0).any(axis=1).all(axis=0)  # 0 is nodata
    made: dict[int, xr.DataArray] = {}
    for number in range(2 * pairs):
        rng = np.random.default_rng([seed, number, zlib.crc32(str(sorted(rasters)).encode())])
        scale = rng.uniform(*SCALES_PX)
        hills = gaussian_filter(rng.standard_normal(pixels.shape[:1] + pixels.shape[2:]), (0, scale, scale))
        # The dates' shares differ from patchwork to patchwork, so that some pairs are of nearly one date and some of four.
        hills += hills.std() * rng.normal(0, 1.0, (len(dates), 1, 1))
        chosen = np.take_along_axis(pixels, hills.argmax(axis=0)[None, None], axis=0)[0]
        made[number] = first.copy(data=np.where(known, chosen, 0).astype(first.dtype))
    return made, [(2 * number, 2 * number + 1) for number in range(pairs)]
