"""Random fields with the spectra of real land: their power falls off with a power of the frequency."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from scipy import fft

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geocc.data.synthetic.frame import Frame

    Field = NDArray[np.float32]

__all__ = ["power_noise", "scatter_cells"]


def power_noise(rng: np.random.Generator, frame: Frame, *, slope: float, longest_px: float = 1e9) -> Field:
    """Return a `(height, width)` field of zero mean and unit deviation whose power goes with frequency to the `-slope`.

    Args:
        rng: Source of randomness.
        frame: Its size.
        slope: 0 for white noise; real tiles have 2.0 (Landsat) to 2.5 (NAIP at 5 m).
        longest_px: Waves longer than this are no stronger than those of this length.
    """
    rows, cols = fft.next_fast_len(frame.height, real=True), fft.next_fast_len(frame.width, real=True)
    spectrum = fft.rfft2(rng.standard_normal((rows, cols), dtype=np.float32))
    spectrum *= _weights(rows, cols, slope, longest_px)
    field = fft.irfft2(spectrum, s=(rows, cols))[: frame.height, : frame.width]
    field -= field.mean()
    return np.asarray(field / max(float(field.std()), 1e-6), dtype=np.float32)


@lru_cache(maxsize=32)
def _weights(rows: int, cols: int, slope: float, longest_px: float) -> Field:
    fy, fx = np.fft.fftfreq(rows)[:, None], np.fft.rfftfreq(cols)[None, :]
    frequency = np.maximum(np.hypot(fy, fx), max(1 / longest_px, 1 / (2 * max(rows, cols))))
    weights: Field = (frequency ** (-slope / 2)).astype(np.float32)
    weights[0, 0] = 0
    return weights


def scatter_cells(rng: np.random.Generator, u: Field, v: Field, *, size_u: float, size_v: float) -> Field:
    """Return a number in [0, 1) for every pixel, the same all over each cell of a grid along `u` and `v`, in metres."""
    table = rng.random(4096, dtype=np.float32)
    across = np.floor(u / np.float32(size_u)).astype(np.int64) * 73_856_093
    along = np.floor(v / np.float32(size_v)).astype(np.int64) * 19_349_663
    cells: Field = table[(across ^ along) & 4095]
    return cells
