"""What makes two pictures of unchanged ground differ: light, sensor, registration and storage."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from scipy import ndimage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.random import Generator
    from numpy.typing import NDArray

__all__ = ["MARGIN_PX", "NUISANCES", "disturb"]

MARGIN_PX = 4
"""Pixels that a tile needs around itself, so that a shifted copy has no empty border."""

NUISANCES = ("light", "other date's tones", "shift", "blur", "noise", "jpeg")
"""In the order in which they come about."""


def disturb(
    image: NDArray[np.uint8], kinds: Sequence[str], *, tones: NDArray[np.uint8] | None, rng: Generator
) -> NDArray[np.uint8]:
    """Return a picture of the same ground, taken otherwise.

    Args:
        image: `(3, height, width)`, with a margin of `MARGIN_PX` that is cut off again.
        kinds: Some of `NUISANCES`.
        tones: `(3, 256)` which value each value would have at another date; for that nuisance only.
        rng: Draws their strength.
    """
    if "other date's tones" in kinds and tones is not None:
        image = np.stack([curve[plane] for curve, plane in zip(tones, image, strict=True)])
    values = image.astype(np.float64)
    for kind, change in _CHANGES.items():
        if kind in kinds:
            values = change(values, rng)
    inside = slice(MARGIN_PX, -MARGIN_PX)
    result = np.clip(np.rint(values[:, inside, inside]), 0, 255).astype(np.uint8)
    return _compressed(result, rng) if "jpeg" in kinds else result


def _light(values: NDArray[np.float64], rng: Generator) -> NDArray[np.float64]:
    """Change brightness, contrast and gamma, of all bands alike and a little of each on its own."""
    band = (3, 1, 1)
    gamma = np.exp(rng.normal(0, 0.15) + rng.normal(0, 0.04, band))
    contrast = np.exp(rng.normal(0, 0.15) + rng.normal(0, 0.04, band))
    offset = rng.normal(0, 14) + rng.normal(0, 4, band)
    mean = values.mean(axis=(1, 2), keepdims=True)
    bent: NDArray[np.float64] = 255 * (np.clip((values - mean) * contrast + mean + offset, 0, 255) / 255) ** gamma
    return bent


def _shift(values: NDArray[np.float64], rng: Generator) -> NDArray[np.float64]:
    """Shift by up to two pixels either way, half of the time by whole ones."""
    if rng.random() < 0.5:
        rows, cols = rng.choice([(r, c) for r in range(-2, 3) for c in range(-2, 3) if (r, c) != (0, 0)])
        return np.roll(values, (int(rows), int(cols)), axis=(1, 2))
    moved: NDArray[np.float64] = ndimage.shift(values, (0, *rng.uniform(-2, 2, 2)), order=1, mode="nearest")
    return moved


def _blur(values: NDArray[np.float64], rng: Generator) -> NDArray[np.float64]:
    sigma = float(rng.uniform(0.3, 0.9))
    blurred: NDArray[np.float64] = ndimage.gaussian_filter(values, (0, sigma, sigma))
    return blurred


def _noise(values: NDArray[np.float64], rng: Generator) -> NDArray[np.float64]:
    noisy: NDArray[np.float64] = values + rng.normal(0, rng.uniform(1, 7), values.shape)
    return noisy


def _compressed(image: NDArray[np.uint8], rng: Generator) -> NDArray[np.uint8]:
    buffer = io.BytesIO()
    picture = Image.fromarray(np.ascontiguousarray(image.transpose(1, 2, 0)))
    picture.save(buffer, "JPEG", quality=int(rng.integers(60, 96)))
    return np.asarray(Image.open(buffer)).transpose(2, 0, 1)


_CHANGES: dict[str, Callable[[NDArray[np.float64], Generator], NDArray[np.float64]]] = {
    "light": _light,
    "shift": _shift,
    "blur": _blur,
    "noise": _noise,
}
