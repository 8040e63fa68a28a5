"""A pair as a TorchGeo dataset, so that its samplers, loaders and transforms work on rasters that never were files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from geopandas import GeoDataFrame
from shapely import box
from torchgeo.datasets import GeoDataset

from geocc.errors import InputError
from geocc.scene.grid import grid_crs
from geocc.scene.window import PixelWindow

if TYPE_CHECKING:
    from collections.abc import Callable

    from odc.geo.geobox import GeoBox

    from geocc.scene.pair import ScenePair

__all__ = ["NORTH_UP_REMEDY", "ScenePairDataset", "box_window", "window_slices"]

NORTH_UP_REMEDY = (
    "Bring the pair to a north-up grid, `open_pair(t1, t2, align=GeoBox.from_bbox(pair.geobox.boundingbox, resolution=...))`, "
    "or leave the sampler out: plan_tiles follows rotated grids by itself."
)

Sample = dict[str, Any]


class ScenePairDataset(GeoDataset):
    """Both dates of a `ScenePair` as one TorchGeo `GeoDataset`.

    A sample holds tensors only, as TorchGeo 0.10 wants it and 0.8 takes it:

    - ``image``: `(T=2, C=3, H, W)` uint8, red, green, blue, the earlier date first; 0 where a pixel is not valid. It stays
      uint8, for a model's processor knows its own scaling: `sample["image"].float() / 255` is one line away.
    - ``valid``: `(H, W)` bool, True where both dates hold data.
    - ``bounds``: 9 float64: start, stop and step of x, y and t, times as seconds since 1970.
    - ``transform``: 9 float64, the affine of this sample's pixels, row by row.

    The CRS is that of the dataset: `dataset.crs`. Windows over the edge are filled with invalid zeros.

    Args:
        pair: The pair. Its grid must lie along the axes.
        transforms: Takes a sample and returns it changed.

    Raises:
        InputError: The grid is rotated or sheared, which TorchGeo's windows cannot follow.
    """

    def __init__(self, pair: ScenePair, *, transforms: Callable[[Sample], Sample] | None = None) -> None:
        geobox = pair.geobox
        if not geobox.axis_aligned:
            raise InputError(
                f"The grid of this pair is rotated, and TorchGeo's windows lie along the axes. {NORTH_UP_REMEDY}"
            )
        self.pair = pair
        self.transforms = transforms
        self.paths = []
        # Rasters without a date get a day that sorts before every real one.
        stamps = [stamp for stamp in (pair.t1_label, pair.t2_label) if stamp is not None] or [pd.Timestamp(0)]
        times = pd.IntervalIndex.from_arrays([min(stamps)], [max(stamps)], closed="both", name="datetime")
        self.index = GeoDataFrame(geometry=[box(*geobox.boundingbox.bbox)], index=times, crs=grid_crs(geobox).proj)
        self._res = (abs(geobox.affine.a), abs(geobox.affine.e))

    def __getitem__(self, query: Any) -> Sample:
        """Read the window under `(x, y[, t])` slices of coordinates.

        Raises:
            IndexError: The window misses the scene.
        """
        if self.crs != grid_crs(self.pair.geobox).proj:  # TorchGeo's `&` and `|` convert the index, not the pixels
            raise InputError(
                f"The index of this dataset was converted to {self.crs.name}, its pixels are in {self.pair.geobox.crs}. "
                "Put it first in the combination, or open the pair on a grid in that CRS: `open_pair(..., align=geobox)`."
            )
        x, y, t = self._disambiguate_slice(query)
        window = box_window((x, y), self.pair.geobox)
        height, width = self.pair.geobox.shape
        if window.clipped(height=height, width=width).is_empty:
            raise IndexError(f"{query} lies outside the scene, whose bounds are {self.bounds}")
        tile = self.pair.read(window)
        affine = self.pair.geobox.translate_pix(window.col, window.row).affine
        times = (pd.Timestamp(t.start).timestamp(), pd.Timestamp(t.stop).timestamp(), t.step)
        sample = {
            "image": torch.from_numpy(tile.image),
            "valid": torch.from_numpy(tile.valid),
            "bounds": torch.tensor([x.start, x.stop, x.step, y.start, y.stop, y.step, *times], dtype=torch.float64),
            "transform": torch.tensor(tuple(affine), dtype=torch.float64),
        }
        return sample if self.transforms is None else self.transforms(sample)


def box_window(index: Any, geobox: GeoBox) -> PixelWindow:
    """The window of an axis-aligned grid under `(x, y[, t])` slices of coordinates, snapped to whole pixels."""
    x, y = index[0], index[1]
    cols, rows = geobox.wld2pix(np.array([x.start, x.stop], float), np.array([y.start, y.stop], float))
    left, right = sorted(round(value) for value in cols.tolist())
    top, bottom = sorted(round(value) for value in rows.tolist())
    return PixelWindow(top, left, bottom - top, right - left)


def window_slices(window: PixelWindow, geobox: GeoBox) -> tuple[slice, slice]:
    """The x and y slices of coordinates around a window of an axis-aligned grid."""
    x0, y0 = geobox.pix2wld(window.col, window.row)
    x1, y1 = geobox.pix2wld(window.col + window.width, window.row + window.height)
    return slice(min(x0, x1), max(x0, x1)), slice(min(y0, y1), max(y0, y1))
