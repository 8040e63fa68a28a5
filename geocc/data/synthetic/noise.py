"""Smooth random fields, the raw material of textures and of outlines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geocc.data.synthetic.frame import Frame

__all__ = ["fractal_noise", "smooth_noise"]


def smooth_noise(rng: np.random.Generator, frame: Frame, *, scale_px: float) -> NDArray[np.float32]:
    """Return a `(height, width)` field of about zero mean and unit deviation that varies over `scale_px` pixels.

    A coarse lattice of normal deviates, at a random offset, is interpolated bicubically.
    """
    rows, cols = (int(np.ceil(side / scale_px)) + 4 for side in (frame.height, frame.width))
    # Interpolation shrinks the deviation of the lattice by about a third.
    lattice = Image.fromarray(np.float32(1.5) * rng.standard_normal((rows, cols), dtype=np.float32))
    top, left = rng.uniform(0.5, 1.5, size=2)
    box = (left, top, left + frame.width / scale_px, top + frame.height / scale_px)
    field = lattice.resize((frame.width, frame.height), Image.Resampling.BICUBIC, box=box)
    return np.asarray(field, dtype=np.float32)


def fractal_noise(rng: np.random.Generator, frame: Frame, *, scale_px: float, octaves: int = 3) -> NDArray[np.float32]:
    """Return a sum of `octaves` smooth fields, each of half the scale and half the strength of the one before."""
    total = smooth_noise(rng, frame, scale_px=scale_px)
    for octave in range(1, octaves):
        scale = max(scale_px / 2**octave, 1.0)
        total = total + np.float32(0.5**octave) * smooth_noise(rng, frame, scale_px=scale)
    return total * np.float32(np.sqrt(0.75))
