r"""A source seen through the grid of the pair: shifted by whole pixels, or warped tile by tile.

Nothing is warped before it is asked for, and then only the part of the source under the tile.

    grid of the pair            source
    +-----------+               +--------------+
    |  +----+   |   boundary    |   ,-----.    |
    |  |tile| --+-------------->|  /  roi  \   |   read roi + kernel radius,
    |  +----+   |               |  `-------'   |   warp values and coverage
    +-----------+               +--------------+
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import rasterio.warp
from odc.geo.geobox import GeoBox, gbox_boundary
from odc.geo.overlap import native_pix_transform
from odc.geo.roi import roi_from_points
from odc.geo.types import xy_

from geocc.errors import InputError
from geocc.scene.blocks import Windows
from geocc.scene.grid import grid_crs, same_crs
from geocc.scene.source import Planes, Source, empty_planes
from geocc.scene.window import PixelWindow

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["RESAMPLINGS", "ShiftedView", "View", "WarpedView", "check_resampling"]

# Reach of each kernel in source pixels. Only kernels that are weighted means: a weighted mean of the valid pixels can be
# told from the warped validity, the mode or the maximum cannot.
RESAMPLINGS = {"nearest": 1, "bilinear": 1, "cubic": 2, "cubic_spline": 2, "lanczos": 3, "average": 1}
"""Resampling kernels that geocc offers, and how many source pixels each reaches."""

_MAX_ROI_PIXELS = 2**22  # per warp: where the grid is much coarser than the source, a tile is warped in parts
_FULL = 1e-4  # how far the warped coverage may fall from 1: float32 sums of weights that are 1 in theory

# rasterio quiets a warning around every warp by swapping the process's warning filters, which two threads at once would
# leave in disorder.
_WARPING = threading.Lock()


class View(Protocol):
    """One date on the grid of the pair."""

    @property
    def source(self) -> Source:
        """The raster behind the view."""
        ...

    @property
    def is_warped(self) -> bool:
        """Whether pixels are resampled on the way."""
        ...

    def read(self, window: PixelWindow) -> Planes:
        """Read a window of the pair's grid; ground outside the source comes back as invalid zeros."""
        ...

    def source_windows(self, windows: Windows) -> Windows:
        """The windows of the source that are read for windows of the pair's grid, to within a few pixels."""
        ...


@dataclass(frozen=True)
class ShiftedView:
    """A source on the pair's own lattice.

    Attributes:
        source: The source.
        row: Row of the source at the first row of the grid.
        col: Column of the source at the first column of the grid.
    """

    source: Source
    row: int = 0
    col: int = 0

    @property
    def is_warped(self) -> bool:
        """Never."""
        return False

    def read(self, window: PixelWindow) -> Planes:
        """Read a window of the pair's grid; ground outside the source comes back as invalid zeros."""
        wanted = window.shifted(rows=self.row, cols=self.col) if self.row or self.col else window
        height, width = self.source.geobox.shape.yx
        inside = wanted.clipped(height=height, width=width)
        if inside == wanted:
            return self.source.read(inside)
        planes = empty_planes(window, self.source.dtype)
        if not inside.is_empty:
            part = self.source.read(inside)
            place = inside.shifted(rows=-wanted.row, cols=-wanted.col)
            planes.values[:, place.rows, place.cols] = part.values
            planes.valid[place.rows, place.cols] = part.valid
        return planes

    def source_windows(self, windows: Windows) -> Windows:
        """The windows of the source under windows of the pair's grid."""
        height, width = self.source.geobox.shape
        moved = Windows(
            windows.top + self.row, windows.bottom + self.row, windows.left + self.col, windows.right + self.col
        )
        return moved.clipped(height=height, width=width)


@dataclass(frozen=True)
class WarpedView:
    """A source warped to the pair's grid, tile by tile.

    Attributes:
        source: The source.
        geobox: The grid of the pair.
        resampling: One of `RESAMPLINGS`.
    """

    source: Source
    geobox: GeoBox
    resampling: str

    @property
    def is_warped(self) -> bool:
        """Always."""
        return True

    def read(self, window: PixelWindow) -> Planes:
        """Warp one window of the pair's grid.

        A pixel is valid only where every source pixel under the kernel is: no nodata, and no ground outside the source,
        ever bleeds into it.
        """
        target = self.geobox[window.rows, window.cols]
        step_x, step_y = _source_pixels_per_pixel(self.source.geobox, target)
        roi = self._source_window(target, reach=max(step_x, step_y, 1.0))
        if roi.is_empty:
            return empty_planes(window, self.source.dtype)
        if roi.height * roi.width > _MAX_ROI_PIXELS and window.height * window.width > 1:
            return self._read_in_parts(window)
        planes = self.source.read(roi)
        if not planes.valid.any():
            return empty_planes(window, self.source.dtype)
        return self._warp(
            planes, self.source.geobox[roi.rows, roi.cols], target, scale=(1 / max(step_x, 1), 1 / max(step_y, 1))
        )

    def source_windows(self, windows: Windows) -> Windows:
        """The windows of the source that are read for windows of the pair's grid, to within a few pixels."""
        x, y = self._spread(windows)
        # How many source pixels one of the grid spans is told by the windows; the kernel reaches as many of those.
        spans = np.ptp(x, axis=1) / np.maximum(windows.right - windows.left, 1)
        reach = max(float(np.nanmax(spans, initial=1.0)), 1.0)
        padding = math.ceil(RESAMPLINGS[self.resampling] * reach) + 2
        edges = (y.min(axis=1) - padding, y.max(axis=1) + padding, x.min(axis=1) - padding, x.max(axis=1) + padding)
        height, width = self.source.geobox.shape
        found = Windows(*(np.nan_to_num(np.floor(edge), nan=-1.0).astype(np.int64) for edge in edges))
        return found.clipped(height=height, width=width)

    def _spread(self, windows: Windows) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """`(N, 9)` columns and rows of the source under nine points of each window; NaN where it has no place there."""
        left, right = windows.left.astype(float), windows.right.astype(float)
        top, bottom = windows.top.astype(float), windows.bottom.astype(float)
        cols = np.stack([left, (left + right) / 2, right] * 3, axis=1)
        rows = np.repeat(np.stack([top, (top + bottom) / 2, bottom], axis=1), 3, axis=1)
        x, y = self.geobox.pix2wld(cols.ravel(), rows.ravel())
        ours, theirs = grid_crs(self.geobox), grid_crs(self.source.geobox)
        if not same_crs(ours, theirs):
            x, y = ours.transformer_to_crs(theirs)(x, y)
        with np.errstate(invalid="ignore"):
            placed = self.source.geobox.wld2pix(np.asarray(x), np.asarray(y))
        x, y = (np.where(np.isfinite(axis), axis, np.nan).reshape(cols.shape) for axis in placed)
        return x, y

    def _read_in_parts(self, window: PixelWindow) -> Planes:
        planes = empty_planes(window, self.source.dtype)
        half_rows, half_cols = -(-window.height // 2), -(-window.width // 2)
        for row in range(0, window.height, half_rows):
            for col in range(0, window.width, half_cols):
                part = PixelWindow(row, col, min(half_rows, window.height - row), min(half_cols, window.width - col))
                read = self.read(part.shifted(rows=window.row, cols=window.col))
                planes.values[:, part.rows, part.cols] = read.values
                planes.valid[part.rows, part.cols] = read.valid
        return planes

    def _source_window(self, target: GeoBox, *, reach: float) -> PixelWindow:
        """The pixels of the source under a target grid and its kernels."""
        points = _to_source(gbox_boundary(target, 17), self.source.geobox, target)
        points = points[np.isfinite(points).all(axis=1)]
        if not len(points):
            return PixelWindow(0, 0, 0, 0)
        padding = math.ceil(RESAMPLINGS[self.resampling] * reach) + 2
        rows, cols = roi_from_points(points, self.source.geobox.shape, padding)
        return PixelWindow(rows.start, cols.start, rows.stop - rows.start, cols.stop - cols.start)

    def _warp(self, planes: Planes, src: GeoBox, dst: GeoBox, *, scale: tuple[float, float]) -> Planes:
        dtype = self.source.dtype
        working = np.float64 if dtype.itemsize > 4 or dtype in (np.int32, np.uint32) else np.float32
        # The coverage goes through the same kernel as the values, in the same call: GDAL does the geometry once.
        stack = np.empty((4, *planes.valid.shape), working)
        stack[:3] = np.where(planes.valid, planes.values, 0)
        stack[3] = planes.valid
        warped = np.zeros((4, *dst.shape), working)
        with _WARPING:
            rasterio.warp.reproject(
                stack,
                warped,
                src_transform=src.affine,
                src_crs=str(src.crs),
                dst_transform=dst.affine,
                dst_crs=str(dst.crs),
                resampling=rasterio.warp.Resampling[self.resampling],
                # Left alone, GDAL guesses the kernel's size from each window's shape, so that tiles would differ at their
                # seams and rotation would blur: https://github.com/OSGeo/gdal/issues/7750
                XSCALE=scale[0],
                YSCALE=scale[1],
            )
        coverage = warped[3]
        valid = np.abs(coverage - 1) <= _FULL
        values = np.where(valid, warped[:3] / np.where(valid, coverage, 1), 0)
        return Planes(_cast(values, dtype), valid)


def _to_source(points: NDArray[np.float64], src: GeoBox, dst: GeoBox) -> NDArray[np.float64]:
    """`(N, 2)` pixel coordinates of the target in those of the source; not finite where they cannot be projected."""
    with np.errstate(invalid="ignore"):
        placed = native_pix_transform(src, dst).back([xy_(*point) for point in points.tolist()])
    return np.array([point.xy for point in placed])


def _source_pixels_per_pixel(src: GeoBox, dst: GeoBox) -> tuple[float, float]:
    """How many source columns and rows one target pixel spans, at the centre of the target."""
    height, width = dst.shape
    col, row = width / 2, height / 2
    cross = np.array([(col - 0.5, row), (col + 0.5, row), (col, row - 0.5), (col, row + 0.5)])
    left, right, top, bottom = _to_source(cross, src, dst)
    span_x, span_y = np.hypot(right - left, bottom - top).tolist()
    return (span_x, span_y) if math.isfinite(span_x + span_y) else (1.0, 1.0)


def _cast(values: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Warped values back in the dtype of the source, rounded and kept in its range."""
    if dtype.kind == "f":
        return values.astype(dtype)
    info = np.iinfo(dtype)
    return np.asarray(np.clip(np.rint(values), info.min, info.max), dtype)


def check_resampling(resampling: str) -> None:
    """Raise InputError unless the kernel is one of `RESAMPLINGS`."""
    if resampling not in RESAMPLINGS:
        raise InputError(f"resampling={resampling!r} is not one of {', '.join(RESAMPLINGS)}.")
