"""Values to uint8 by one stretch for both dates.

A stretch per date makes a dull day look like a bright one, and every field look changed. So there is one, found from a
bounded sample of both dates together, and written down in `ScenePair.describe`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from geocc.errors import ScaleError
from geocc.scene.source import known_valid
from geocc.scene.window import PixelWindow

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geocc.scene.source import Source
    from geocc.scene.views import View

__all__ = ["Scale", "Stretch", "choose_stretch"]

Scale: TypeAlias = str | Sequence[float] | Sequence[Sequence[float]] | None

_WINDOWS_PER_SIDE = 4
_WINDOW_SIZE = 128
_PERCENTILES = (2.0, 98.0)
_EIGHT_BIT_SHARE = 0.99  # of the sample that must look like 8-bit numbers for them to be taken as such
_REMEDY = "scale=(lo, hi), the values that become black and white in both dates, as in scale=(0, 3000)"


@dataclass(frozen=True, slots=True)
class Stretch:
    """A linear map of values to 0..255, the same for both dates.

    Attributes:
        lo: Value of each band that becomes 0; what lies below becomes 0 as well.
        hi: Value of each band that becomes 255; what lies above becomes 255 as well.
        origin: Where it comes from: ``"as is"``, ``"given"`` or ``"percentiles"``.
    """

    lo: tuple[float, float, float]
    hi: tuple[float, float, float]
    origin: str

    def apply(self, values: NDArray[Any], valid: NDArray[np.bool_], *, out: NDArray[np.uint8]) -> None:
        """Map `(C, h, w)` values to uint8, into `out` of that shape; invalid pixels become 0."""
        if values.dtype == np.uint8 and self._is_identity:
            out[...] = values
        else:
            lo = np.asarray(self.lo, float)[:, None, None]
            hi = np.asarray(self.hi, float)[:, None, None]
            out[...] = np.rint((np.clip(np.where(valid, values, lo), lo, hi) - lo) * (255.0 / (hi - lo)))
        if not known_valid(valid):
            out *= valid

    @property
    def _is_identity(self) -> bool:
        return self.lo == (0.0, 0.0, 0.0) and self.hi == (255.0, 255.0, 255.0)


def choose_stretch(scale: Scale, views: Sequence[View], *, shape: tuple[int, int]) -> Stretch:
    """The one stretch for all dates.

    Args:
        scale: ``"auto"``, None, ``(lo, hi)`` or three such pairs; see `geocc.scene.open_pair`.
        views: The dates on the common grid.
        shape: Height and width of that grid.

    Raises:
        ScaleError: The dates hold different types, or values that none of the automatic ways fits.
    """
    for view in views:
        _check_real(view.source)
    if scale is None or isinstance(scale, str):
        return _automatic(scale, views, shape)
    return _given(scale)


def _check_real(source: Source) -> None:
    if source.dtype.kind not in "uif":
        raise ScaleError(
            f"{source.date} ({source.name}) holds {source.dtype} values, which make no picture. Turn them into real numbers "
            "first, as in `abs(ds)` or `ds.astype('uint8')`."
        )


def _automatic(scale: str | None, views: Sequence[View], shape: tuple[int, int]) -> Stretch:
    types = [view.source.dtype for view in views]
    if scale not in ("auto", None):
        raise ScaleError(f'scale={scale!r} is not "auto", None, a pair (lo, hi) or three pairs. Pass {_REMEDY}.')
    if all(dtype == np.uint8 for dtype in types):
        return _eight_bit("as is")
    if scale is None:
        raise ScaleError(f"scale=None takes uint8 as it is, but {_types(views, 'is')}. Pass {_REMEDY}.")
    if len(set(types)) > 1 and not all(dtype.kind == "f" for dtype in types):
        raise ScaleError(
            f"{_types(views, 'holds')}, which rarely count in one unit, so geocc does not guess a common "
            f"stretch. Bring all to one unit, or if they are, pass {_REMEDY}."
        )
    sample = np.concatenate([_sample(view, shape) for view in views], axis=1)
    if not sample.size:
        raise ScaleError(
            f"No valid pixel was found in the sample of any date, so there is no stretch to find. Pass {_REMEDY}."
        )
    return _eight_bit("as is") if _counts_to_255(sample) else _percentile_stretch(sample)


def _types(views: Sequence[View], verb: str) -> str:
    """Which date holds what, each type once."""
    first = {view.source.dtype: view.source.date for view in reversed(views)}
    parts = [f"{date} {dtype}" for dtype, date in reversed(first.items())]
    return " and ".join([parts[0].replace(" ", f" {verb} "), *parts[1:]])


def _given(scale: Sequence[float] | Sequence[Sequence[float]]) -> Stretch:
    try:
        pairs = np.asarray(scale, float)
    except (TypeError, ValueError):
        pairs = np.empty(0)
    if pairs.shape == (2,):
        pairs = np.tile(pairs, (3, 1))
    if pairs.shape != (3, 2) or not np.isfinite(pairs).all() or (pairs[:, 0] >= pairs[:, 1]).any():
        raise ScaleError(
            f"scale={scale!r} is not a pair (lo, hi) with lo < hi, nor three of them for red, green and blue. Pass {_REMEDY}."
        )
    return _stretch(pairs.tolist(), "given")


def _stretch(pairs: list[list[float]], origin: str) -> Stretch:
    (lo_r, hi_r), (lo_g, hi_g), (lo_b, hi_b) = pairs
    return Stretch((lo_r, lo_g, lo_b), (hi_r, hi_g, hi_b), origin)


def _eight_bit(origin: str) -> Stretch:
    return Stretch((0.0, 0.0, 0.0), (255.0, 255.0, 255.0), origin)


def _sample(view: View, shape: tuple[int, int]) -> NDArray[Any]:
    """Valid values `(C, n)` under a fixed number of small windows spread over the grid, before any warping.

    The pixels of the source itself are taken, so that a warp does not change which numbers a raster seems to hold.
    """
    height, width = view.source.geobox.shape if view.is_warped else shape
    parts = []
    for window in _sample_windows(height, width):
        planes = view.source.read(window) if view.is_warped else view.read(window)
        parts.append(planes.values[:, planes.valid])
    return np.concatenate(parts, axis=1)


def _sample_windows(height: int, width: int) -> list[PixelWindow]:
    return [
        PixelWindow(row, col, row_stop - row, col_stop - col)
        for row, row_stop in _spread(height)
        for col, col_stop in _spread(width)
    ]


def _spread(size: int) -> list[tuple[int, int]]:
    """Starts and stops of the windows along one axis: all of it where it is short, evenly spread pieces where not."""
    if size <= _WINDOWS_PER_SIDE * _WINDOW_SIZE:
        edges = np.linspace(0, size, min(_WINDOWS_PER_SIDE, size) + 1).astype(int)
        return [(int(start), int(stop)) for start, stop in itertools.pairwise(edges)]
    starts = np.linspace(0, size - _WINDOW_SIZE, _WINDOWS_PER_SIDE).astype(int)
    return [(int(start), int(start) + _WINDOW_SIZE) for start in starts]


def _counts_to_255(sample: NDArray[Any]) -> bool:
    """Whether the numbers are those of an 8-bit scene in a wider type: whole, from 0 to 255, and not just 0 and 1."""
    fits = (sample >= 0) & (sample <= 255) & (sample == np.rint(sample))
    return bool(fits.mean() >= _EIGHT_BIT_SHARE and np.percentile(sample, 99) > 1)


def _percentile_stretch(sample: NDArray[Any]) -> Stretch:
    return _stretch([_limits(band.astype(float)) for band in sample], "percentiles")


def _limits(values: NDArray[np.float64]) -> list[float]:
    """Round numbers just outside the percentiles of one band of both dates.

    One hot pixel must not shift every other one: what lies far outside is left out before the percentiles are taken, and
    they are rounded outwards, to a fortieth of their range or coarser, so that nearby samples give the same stretch.
    """
    lo, hi = np.percentile(values, _PERCENTILES)
    reach = 3 * (hi - lo)
    if reach > 0:
        values = values[(values >= lo - reach) & (values <= hi + reach)]
        lo, hi = np.percentile(values, _PERCENTILES)
    if not hi > lo:
        return [float(lo), float(lo) + 1.0]
    step = _round_step((hi - lo) / 20)
    first, last = math.floor(lo / step), math.ceil(hi / step)
    return [first * step, max(last, first + 1) * step]


def _round_step(step: float) -> float:
    """The nearest of 1, 2, 5, 10, ... times a power of ten at or below `step`."""
    power = 10.0 ** math.floor(math.log10(step))
    return max(factor * power for factor in (1, 2, 5) if factor * power <= step * (1 + 1e-9))
