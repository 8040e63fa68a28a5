"""From light to digital numbers: air, optics, registration, tone and noise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geocc.data.synthetic.conditions import Conditions

    Image = NDArray[np.float32]

__all__ = ["MARGIN_PX", "expose"]

MARGIN_PX = 4
"""Pixels painted around a scene, so that shifting and blurring it needs nothing from beyond."""

_LEVELS = 4096
_HAZE = np.array([0.74, 0.77, 0.81], dtype=np.float32)


def expose(image: Image, conditions: Conditions, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return the `(3, height, width)` uint8 image that the sensor records.

    Args:
        image: `(3, height + 2 * MARGIN_PX, width + 2 * MARGIN_PX)` in [0, 1].
        conditions: Air and sensor; its shift must be below `MARGIN_PX - 1`.
        rng: Source of the noise.
    """
    kernel_x = _kernel(conditions.shift_x, conditions.blur)
    kernel_y = _kernel(conditions.shift_y, conditions.blur)
    image = _filtered(_filtered(image, kernel_y, axis=1), kernel_x, axis=2)
    image *= np.float32(_LEVELS - 1)
    levels = np.clip(image, 0, _LEVELS - 1, out=image).astype(np.uint16)
    grain = np.float32(255 * conditions.noise) * rng.standard_normal(levels.shape[1:], dtype=np.float32)
    recorded = np.empty(levels.shape, dtype=np.uint8)
    for channel, curve in enumerate(_curves(conditions)):
        # One plane of noise serves all three channels, from places too far apart to look alike.
        light = curve[levels[channel]] + np.roll(grain, 41 * channel, axis=(0, 1))
        recorded[channel] = np.clip(light, 0, 255, out=light)
    return recorded


def _kernel(shift: float, blur: float) -> dict[int, float]:
    """Return the weights, by offset in pixels, that shift bilinearly and blur with 3 taps."""
    whole = int(np.floor(shift))
    part = shift - whole
    weights: dict[int, float] = {}
    for step, share in ((whole, 1 - part), (whole + 1, part)):
        for tap, weight in ((-1, blur), (0, 1 - 2 * blur), (1, blur)):
            if share * weight:
                weights[step + tap] = weights.get(step + tap, 0.0) + share * weight
    return weights


def _filtered(image: Image, weights: dict[int, float], *, axis: int) -> Image:
    """Move and blur along an axis, taking the margin off it."""
    length = image.shape[axis] - 2 * MARGIN_PX
    total: Image | None = None
    for offset, weight in weights.items():
        start = MARGIN_PX - offset
        part = np.float32(weight) * image[(slice(None),) * axis + (slice(start, start + length),)]
        total = part if total is None else np.add(total, part, out=total)
    return image if total is None else total


def _curves(conditions: Conditions) -> Image:
    """Return the `(3, levels)` digital number of every level of light: haze, tint, exposure, gamma."""
    light = np.linspace(0, 1, _LEVELS, dtype=np.float32)[None]
    light = light + np.float32(conditions.haze) * (_HAZE[:, None] - light)
    factor = np.asarray(conditions.tint, np.float32)[:, None] * np.float32(conditions.exposure)
    # The half rounds, where the numbers are cut to whole ones.
    return np.float32(255) * np.clip(light * factor, 0, 1) ** np.float32(conditions.gamma) + np.float32(0.5)
