"""Several dates of one place on one grid, read window by window."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd

from geocc.errors import AlignmentError, InputError, NoOverlapError
from geocc.scene.alignment import check_align, grid_difference, no_overlap, view_on
from geocc.scene.bands import BandChoice, bands_per_date
from geocc.scene.grid import crop, ground_in_pixels
from geocc.scene.pair import ScenePair, describe_view, open_date
from geocc.scene.scaling import Scale, Stretch, choose_stretch
from geocc.scene.views import RESAMPLINGS, check_resampling
from geocc.scene.window import Tile

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from odc.geo.geobox import GeoBox
    from shapely.geometry.base import BaseGeometry

    from geocc.scene.source import Source
    from geocc.scene.views import View
    from geocc.scene.window import PixelWindow

__all__ = ["SceneSeries", "SeriesTile", "open_series"]

_TIME_NAMES = ("time", "t", "date", "datetime")


@dataclass(frozen=True, slots=True, eq=False)
class SeriesTile:
    """The pixels of all dates under one window.

    Attributes:
        images: `(T, C=3, h, w)` uint8, red, green, blue.
        valid: `(T, h, w)` bool, True where that date holds data.
    """

    images: NDArray[np.uint8]
    valid: NDArray[np.bool_]

    def pair(self, first: int, second: int) -> Tile:
        """Two of the dates, blank wherever either holds no data: what `ScenePair.read` gives for them."""
        valid = self.valid[first] & self.valid[second]
        images = self.images[[first, second]]
        return Tile(images if valid.all() else np.where(valid, images, np.uint8(0)), valid)


@dataclass(frozen=True, eq=False)
class SceneSeries:
    """Dates of one place, three bands each, on one grid. Make it with `open_series`.

    Attributes:
        geobox: The grid of the ground that all dates cover.
        views: Each date on this grid, the earliest first.
        scale: The one stretch that brings all dates to uint8.
        align: How the dates were brought onto one grid.
        resampling: The kernel for a date that is warped.
    """

    geobox: GeoBox
    views: tuple[View, ...] = field(repr=False)
    scale: Stretch
    align: str | GeoBox
    resampling: str

    def __len__(self) -> int:
        """Return the number of dates."""
        return len(self.views)

    @property
    def dates(self) -> tuple[pd.Timestamp, ...]:
        """When each date was taken."""
        return tuple(view.source.label for view in self.views if view.source.label is not None)

    def pair(self, first: int, second: int) -> ScenePair:
        """Two of the dates as a pair on the grid of the series, for figures, reports and single pairs."""
        t1, t2 = self.views[first], self.views[second]
        return ScenePair(self.geobox, t1, t2, self.scale, self.align, self.resampling)

    def with_views(self, views: Sequence[View]) -> Self:
        """The same series with its dates read in another way."""
        return replace(self, views=tuple(views))

    def read(self, window: PixelWindow, *, out: NDArray[np.uint8] | None = None) -> SeriesTile:
        """Read all dates under a window inside the grid, into `out` if given; raises ReadError where one cannot be read."""
        planes = [view.read(window) for view in self.views]
        images = np.empty((len(planes), 3, window.height, window.width), np.uint8) if out is None else out
        for picture, date in zip(images, planes, strict=True):
            self.scale.apply(date.values, date.valid, out=picture)
        return SeriesTile(images, np.stack([date.valid for date in planes]))

    def describe(self) -> dict[str, Any]:
        """What the series is made of, as plain JSON values without secrets."""
        described = self.pair(0, 1).describe()
        return {"dates": [describe_view(view) for view in self.views]} | {
            name: value for name, value in described.items() if name not in {"t1", "t2"}
        }


def open_series(
    data: Any,
    *,
    dates: Sequence[Any] | None = None,
    bands: BandChoice | None = None,
    align: str | GeoBox = "error",
    resampling: str = "bilinear",
    scale: Scale = "auto",
    nodata: float | None = None,
) -> SceneSeries:
    """Put several dates of one place on one grid, reading no pixel but a small sample where a stretch is needed.

    The grid is cropped to the ground that every date covers, kernels of warped dates included, so that no tile is blank at
    an edge in one date and not in another.

    Args:
        data: A DataArray or Dataset with a time dimension, or two or more rasters as `open_pair` takes them, the earliest
            first.
        dates: When each was taken, where the rasters do not say so themselves.
        bands: Red, green and blue as three names or numbers counted from 1, the same for all dates.
        align: ``"error"`` refuses grids that differ by more than whole pixels; ``"t1"`` warps all dates onto the grid of
            the first; a GeoBox warps all onto it.
        resampling: Kernel for dates that are warped.
        scale: How values become uint8, one stretch for all dates; see `open_pair`. The stretch that ``"auto"`` finds for
            values beyond uint8 follows from all dates, and may differ from the one found for two of them.
        nodata: Value that marks pixels without data, where the rasters do not say so.

    Raises:
        InputError: Fewer than two dates, a date that is not known, or dates that are not in order.
        GeoccError: As `open_pair`.
    """
    if align == "t2":
        raise InputError('align="t2" tells of a pair; for a series take "t1", the grid of the first date, or a GeoBox.')
    check_align(align)
    check_resampling(resampling)
    triples = bands_per_date(bands)
    if triples[0] != triples[1]:
        raise InputError(f"bands={bands!r} are those of a pair; for a series give one triple for all dates.")
    rasters = _rasters(data)
    sources = [open_date(f"date {i}", raster, triples[0], nodata) for i, raster in enumerate(rasters)]
    sources = _dated(sources, dates)
    geobox, views = _on_one_grid(sources, align=align, resampling=resampling)
    return SceneSeries(geobox, views, choose_stretch(scale, views, shape=geobox.shape.yx), align, resampling)


def _rasters(data: Any) -> list[Any]:
    """One raster per date."""
    import xarray as xr

    if isinstance(data, (xr.DataArray, xr.Dataset)):
        times = [dim for dim in data.dims if str(dim).lower() in _TIME_NAMES or _holds_times(data, dim)]
        if len(times) != 1:
            raise InputError(
                f"the series has the dimensions {tuple(map(str, data.dims))}, and one of them should be the time, called "
                '"time"; rename it: `ds.rename({"...": "time"})`.'
            )
        rasters: list[Any] = [data.isel({times[0]: i}) for i in range(data.sizes[times[0]])]
    elif isinstance(data, Sequence) and not isinstance(data, (str, os.PathLike)):
        rasters = list(data)
    else:
        raise InputError(
            f"the series is a {type(data).__name__}; expected a DataArray or Dataset with a time dimension, or a list of "
            'rasters or paths, as in ["2009.tif", "2014.tif", "2020.tif"].'
        )
    if len(rasters) < 2:
        raise InputError(f"the series has {len(rasters)} dates; expected two or more.")
    return rasters


def _holds_times(data: Any, dim: Any) -> bool:
    return dim in data.coords and data[dim].dtype.kind == "M"


def _dated(sources: list[Source], dates: Sequence[Any] | None) -> list[Source]:
    """The sources with their dates, which must all be known, and in order."""
    labels = [source.label for source in sources]
    if dates is not None:
        if len(dates) != len(sources):
            raise InputError(f"{len(dates)} dates were given for {len(sources)} rasters; expected one each.")
        try:
            labels = [pd.Timestamp(date) for date in dates]
        except (TypeError, ValueError) as error:
            raise InputError(
                f'dates={list(dates)!r} cannot be read as dates; expected such as "2009-08-18".'
            ) from error
    unknown = [source.name for source, label in zip(sources, labels, strict=True) if label is None or pd.isna(label)]
    if unknown:
        raise InputError(
            f"{len(unknown)} of {len(sources)} rasters do not say when they were taken, the first {unknown[0]}; pass "
            'dates=["2009-08-18", ...], one for each.'
        )
    known = [label for label in labels if label is not None]
    stamps = [label.tz_convert("UTC").tz_localize(None) if label.tzinfo else label for label in known]
    if any(later <= earlier for earlier, later in pairwise(stamps)):
        raise InputError(
            f"the dates are not in order: {', '.join(str(stamp) for stamp in stamps)}. Put the earliest first, each "
            'once, as by `ds.sortby("time")`.'
        )
    # Every kind of source is a dataclass with a label.
    return [replace(source, label=stamp) for source, stamp in zip(sources, stamps, strict=True)]  # type: ignore[type-var]


def _on_one_grid(sources: list[Source], *, align: str | GeoBox, resampling: str) -> tuple[GeoBox, tuple[View, ...]]:
    """The grid of the common ground, and every date on it."""
    reference = sources[0].geobox if isinstance(align, str) else align
    grounds = [_covered(source, reference, resampling) for source in sources]
    geobox = crop(reference, reduce(lambda one, other: one & other, grounds))
    if geobox is None:
        raise NoOverlapError(no_overlap(sources, align))
    views = tuple(view_on(source, geobox, resampling) for source in sources)
    warped = [view.source for view in views if view.is_warped]
    if warped and align == "error":
        ground = ground_in_pixels(warped[0].geobox, reference)
        raise AlignmentError(grid_difference(sources[0], warped[0], ground, common=geobox))
    return geobox, views


def _covered(source: Source, reference: GeoBox, resampling: str) -> BaseGeometry:
    """The ground, in pixels of the reference, on which the date has a value for every pixel."""
    ground = ground_in_pixels(source.geobox, reference)
    if not view_on(source, reference, resampling).is_warped or ground.is_empty:
        return ground
    # Source pixels that the kernel reaches beyond a pixel's centre, and one for the snapping to whole pixels.
    ratio = math.sqrt(ground_in_pixels(reference, source.geobox).area / ground.area)
    margin = math.ceil((RESAMPLINGS[resampling] + 1) * max(ratio, 1.0))
    height, width = source.geobox.shape
    if min(height, width) <= 2 * margin:
        return ground
    return ground_in_pixels(source.geobox[margin : height - margin, margin : width - margin], reference)
