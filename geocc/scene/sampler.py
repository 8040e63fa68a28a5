"""TorchGeo's samplers and geocc's tiles: a sampler that covers everything, and windows from any sampler."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from affine import Affine
from odc.geo.geobox import GeoBox
from torchgeo.samplers import GeoSampler

from geocc.errors import InputError
from geocc.scene.dataset import NORTH_UP_REMEDY, ScenePairDataset, box_window, window_slices
from geocc.scene.pair import ScenePair
from geocc.scene.plan import TilePlan, plan_tiles

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd
    from shapely import Polygon
    from torchgeo.datasets import GeoDataset

    from geocc.scene.plan import Sampler
    from geocc.scene.window import PixelWindow

__all__ = ["FullCoverGridSampler", "sampled_windows"]


class FullCoverGridSampler(GeoSampler):
    """Every pixel of every scene in a dataset, without duplicates: the tiles of `geocc.scene.plan_tiles`.

    TorchGeo's own grid samplers start at the lower left (0.8) or centre their grid (0.10), let the last row and column
    hang over the edge, and skip scenes smaller than a patch. This one starts at the upper left, pulls the last row and
    column back inside, and gives a scene smaller than a tile one window of its own size.

    Works with every TorchGeo `GeoDataset`, not only `ScenePairDataset`.

    Args:
        dataset: The dataset to sample from.
        size: Side of a tile in pixels.
        stride: Pixels from one tile to the next, default `size`.
        roi: Region in the CRS of the dataset: only tiles that share area with it.
        toi: Time of interest.
    """

    def __init__(
        self,
        dataset: GeoDataset,
        *,
        size: int = 256,
        stride: int | None = None,
        roi: Polygon | None = None,
        toi: pd.Interval[Any] | None = None,
    ) -> None:
        self.index = dataset.index
        self.res = dataset.res
        if toi is not None:
            self.index = self.index.iloc[self.index.index.overlaps(toi)]
        self._plans = [(plan, slice(when.left, when.right)) for plan, when in self._plan_scenes(size, stride, roi)]

    def _plan_scenes(self, size: int, stride: int | None, roi: Polygon | None) -> Iterator[tuple[TilePlan, Any]]:
        for geometry, when in zip(self.index.geometry, self.index.index, strict=True):
            if roi is None or geometry.intersection(roi).area > 0:
                yield (
                    plan_tiles(
                        _grid_under(geometry.bounds, self.res, self.index.crs), tile_size=size, stride=stride, roi=roi
                    ),
                    when,
                )

    def __iter__(self) -> Iterator[tuple[slice, slice, slice]]:
        """Iterate over the tiles' slices x, y and t, in reading order."""
        for plan, when in self._plans:
            for window in plan:
                yield (*window_slices(window, plan.geobox), when)

    def __len__(self) -> int:
        """Return the number of tiles."""
        return sum(len(plan) for plan, _ in self._plans)


def _grid_under(bounds: tuple[float, float, float, float], res: tuple[float, float], crs: Any) -> GeoBox:
    left, bottom, right, top = bounds
    shape = max(round((top - bottom) / res[1]), 1), max(round((right - left) / res[0]), 1)
    return GeoBox(shape, Affine(res[0], 0, left, 0, -res[1], top), crs)


def sampled_windows(scene: ScenePair | GeoBox, sampler: Sampler) -> list[PixelWindow]:
    """The windows that a sampler chooses, snapped to whole pixels, in its order and each once.

    Args:
        scene: A pair, or the grid of one if `sampler` is a sampler already.
        sampler: A TorchGeo sampler, or a callable that takes a `ScenePairDataset` and returns one.

    Raises:
        InputError: The grid is rotated, a window lies outside the scene, or there is none.
    """
    geobox = scene.geobox if isinstance(scene, ScenePair) else scene
    if not geobox.axis_aligned:
        raise InputError(f"This scene's grid is rotated, and a sampler's windows lie along the axes. {NORTH_UP_REMEDY}")
    if callable(sampler) and not hasattr(sampler, "__iter__"):
        if not isinstance(scene, ScenePair):
            raise InputError(
                "A callable sampler= needs the pixels' dataset: pass the pair from `open_pair`, not its geobox."
            )
        sampler = sampler(ScenePairDataset(scene))
    windows = dict.fromkeys(_checked(box_window(box, geobox), geobox) for batch in sampler for box in _boxes(batch))
    if not windows:
        raise InputError(
            "The sampler gives no window. TorchGeo's own skip scenes smaller than their patch: take a smaller size, or "
            "leave sampler= out."
        )
    return list(windows)


def _boxes(item: Any) -> list[Any]:
    """One index `(x, y[, t])`, or the list of them that a batch sampler gives."""
    return list(item) if isinstance(item, list) else [item]


def _checked(window: PixelWindow, geobox: GeoBox) -> PixelWindow:
    height, width = geobox.shape
    if window.is_empty or window.clipped(height=height, width=width).is_empty:
        raise InputError(
            f"The sampler gives a window outside the scene: {window} of {height} rows and {width} columns. Make it over this "
            "scene: `sampler=lambda dataset: GridGeoSampler(dataset, size=256)`."
        )
    return window
