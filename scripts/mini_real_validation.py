"""Real tiles that geocc-mini is neither trained nor judged on: what its limit of change is set by.

The eastern third of the two series, at the dates that are trained on in the west and that `benchmarks/mini_real.py` does not show.
"""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING

from mini_real_quiet import tell
from mini_real_series import EAST_MARGIN_PX, SERIES

from geocc.scene import open_pair, plan_tiles

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["UNCHANGED", "YEARS", "validation_tiles"]

YEARS = {"naip": (2010, 2012, 2014), "landsat": (1990, 2000)}
"""Those of each series; the earliest of both is judged on beside later ones."""
TILE_SIZES = (64, 128)
UNCHANGED = 0.02
"""Share of a tile that changed by its masks, below which it counts as unchanged."""


def validation_tiles(data: Path) -> Iterator[tuple[str, NDArray[np.uint8], bool]]:
    """Yield the series, the pictures `(T=2, C=3, side, side)` and whether it changed of tiles that overlap by half, in both orders of time.

    Args:
        data: Folder with `naip/` and `landsat/`.
    """
    for series in SERIES:
        for years in permutations(YEARS[series.name], 2):
            first, second = (series.open(data, year).load() for year in years)
            east = slice(series.first_held_out_column(first.sizes["x"]) + EAST_MARGIN_PX, None)
            rasters = first.isel(x=east), second.isel(x=east)
            told = tell(*rasters, series=series)
            pair = open_pair(*rasters, bands=series.bands, align="t1")
            for size in TILE_SIZES:
                for window in plan_tiles(pair, tile_size=size, stride=size // 2):
                    at = window.rows, window.cols
                    if told.valid[at].mean() >= 0.9:
                        yield series.name, pair.read(window).image, bool(told.changed[at].mean() >= UNCHANGED)
