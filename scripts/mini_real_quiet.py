"""Tiles of two dates on which water and vegetation indices show no change, beside what light and season do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from geocc.data.masks import INDICES, ChangeMask
from geocc.data.own_region import WATER
from geocc.scene import PixelWindow, open_pair, plan_tiles

if TYPE_CHECKING:
    from collections.abc import Iterator

    import xarray as xr
    from mini_real_series import Series
    from numpy.typing import NDArray


__all__ = ["Told", "quiet_tiles", "tell"]


@dataclass(frozen=True, slots=True)
class Told:
    """What the indices tell of a whole pair, `(height, width)` each.

    Attributes:
        valid: Where both dates hold data.
        labels: Classes of either date, 0 where not sure.
        changed: Where both are sure and differ.
        doubtful: Where an index differs by more than it may; ground of one sure class excepted, if the series is such.
        strange: The same after the whole scene's shift is taken off, as light and season shift all of it.
    """

    valid: NDArray[np.bool_]
    labels: tuple[NDArray[np.int64], NDArray[np.int64]]
    changed: NDArray[np.bool_]
    doubtful: NDArray[np.bool_]
    strange: NDArray[np.bool_]


def tell(t1: xr.DataArray, t2: xr.DataArray, *, series: Series) -> Told:
    """Read a pair as a whole and tell its classes; the later date is warped onto the grid of the earlier."""
    indices = series.indices
    triples = [(indices.green, indices.nir, indices.red)]
    if indices.swir is not None:
        triples.append((indices.swir, indices.nir, indices.green))
    pairs = [open_pair(t1, t2, bands=bands, align="t1") for bands in triples]
    tiles = [pair.read(PixelWindow(0, 0, *pair.geobox.shape)) for pair in pairs]
    valid = np.logical_and.reduce([tile.valid for tile in tiles])
    images = np.concatenate([tiles[0].image, *(tile.image[:, :1] for tile in tiles[1:])], axis=1)
    before, after = (np.where(valid, indices.classify(image), 0) for image in images)
    differences = [two - one for one, two in zip(*map(indices.measure, images), strict=True)]
    open_to_doubt = valid & ~((before == after) & (before > 0)) if series.same_class_is_same else valid
    return Told(
        valid=valid,
        labels=(before, after),
        changed=ChangeMask.from_to(before, after, vocabulary=INDICES).changed,
        doubtful=open_to_doubt & _beyond(differences, indices.doubt),
        strange=open_to_doubt & _beyond([one - np.median(one[valid]) for one in differences], indices.doubt),
    )


def quiet_tiles(
    t1: xr.DataArray,
    t2: xr.DataArray,
    *,
    series: Series,
    told: Told,
    tile_size: int,
    stride: int,
    changed_below: float,
    sure: bool,
) -> Iterator[tuple[PixelWindow, NDArray[np.uint8]]]:
    """Yield windows of a pair that did not change, and their pictures `(T=2, C=3, height, width)`.

    Args:
        t1: The earlier date.
        t2: The later date.
        series: The series they are of.
        told: What the indices tell of both.
        tile_size: Side of a tile in pixels.
        stride: Pixels from one to the next.
        changed_below: Share of a tile that changed by the classes; water likewise.
        sure: Whether the indices must leave no doubt of the rest.
    """
    pair = open_pair(t1, t2, bands=series.bands, align="t1")
    for window in plan_tiles(pair, tile_size=tile_size, stride=stride):
        at = window.rows, window.cols
        water = [(labels[at] == WATER).mean() for labels in told.labels]
        if (
            told.valid[at].mean() > 0.98
            and told.changed[at].mean() < changed_below
            and abs(water[0] - water[1]) < changed_below
            and (not sure or min(told.doubtful[at].mean(), told.strange[at].mean()) < series.doubt)
        ):
            yield window, pair.read(window).image


def _beyond(differences: list[NDArray[np.float64]], doubt: float) -> NDArray[np.bool_]:
    beyond: NDArray[np.bool_] = np.logical_or.reduce([np.abs(one) > doubt for one in differences])
    return beyond
