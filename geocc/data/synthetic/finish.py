"""What happens to an image besides light and sensor: offsets, resampling, JPEG, and borders without data."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from scipy import ndimage

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geocc.data.synthetic.frame import Frame

    Picture = NDArray[np.float32]
    Mask = NDArray[np.bool_]

__all__ = ["Finish", "blank", "compress", "draw_finish", "resample"]

_OFTEN_COLLAR = 0.18
_OFTEN_JPEG = 0.35
_OFTEN_SOFT = 0.35


@dataclass(frozen=True, slots=True)
class Finish:
    """How the image of one date was handled.

    Attributes:
        offset: What is added to every channel, on the scale of [0, 1].
        softness_px: Standard deviation of the blur that resampling left.
        jpeg: Quality of the compression, 1 to 95; 0 for none.
        collar: Border without data as `(angle, distance)`: the direction in radians in which it lies, and how far from the
            middle of the scene it begins, as a share of half the diagonal; None without a border.
    """

    offset: tuple[float, float, float] = (0.0, 0.0, 0.0)
    softness_px: float = 0.0
    jpeg: int = 0
    collar: tuple[float, float] | None = None


def draw_finish(rng: np.random.Generator, *, nuisance: float) -> tuple[Finish, Finish]:
    """Draw how the two dates are handled; alike, and without loss, where `nuisance` is 0."""
    if nuisance == 0:
        return Finish(), Finish()
    return _draw(rng, nuisance), _draw(rng, nuisance)


def resample(image: Picture, finish: Finish) -> Picture:
    """Return a `(3, height, width)` image in [0, 1], blurred and offset."""
    if finish.softness_px > 0.2:
        image = ndimage.gaussian_filter(image, (0, finish.softness_px, finish.softness_px), truncate=2.5)
    return image + np.asarray(finish.offset, np.float32)[:, None, None]


def compress(image: NDArray[np.uint8], finish: Finish) -> NDArray[np.uint8]:
    """Send a `(3, height, width)` image through JPEG, where that was drawn."""
    if not finish.jpeg:
        return image
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image.transpose(1, 2, 0))).save(buffer, "JPEG", quality=finish.jpeg)
    return np.ascontiguousarray(np.asarray(Image.open(buffer)).transpose(2, 0, 1))


def blank(frame: Frame, finish: Finish) -> Mask:
    """Return `(height, width)` where a date has no data."""
    if finish.collar is None:
        return np.zeros((frame.height, frame.width), dtype=bool)
    angle, begins = finish.collar
    y, x = np.ogrid[: frame.height, : frame.width]
    out = (x - frame.width / 2) * np.cos(angle) + (y - frame.height / 2) * np.sin(angle)
    beyond: Mask = out > begins * np.hypot(frame.height, frame.width) / 2
    return beyond


def _draw(rng: np.random.Generator, nuisance: float) -> Finish:
    offset = nuisance * (rng.normal(0, 0.012) + rng.normal(0, 0.008, size=3))
    collar = None
    if rng.random() < _OFTEN_COLLAR * nuisance:
        collar = (float(rng.integers(4) * np.pi / 2 + rng.normal(0, 0.25)), float(rng.uniform(0.42, 0.68)))
    return Finish(
        offset=(float(offset[0]), float(offset[1]), float(offset[2])),
        softness_px=float(nuisance * (rng.random() < _OFTEN_SOFT) * rng.uniform(0.3, 0.8)),
        jpeg=int(rng.integers(70, 96)) if rng.random() < _OFTEN_JPEG * nuisance else 0,
        collar=collar,
    )
