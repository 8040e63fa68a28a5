"""Pillow's antialiased bicubic resize of square images as matrix products, for whole batches on an accelerator.

Bit by bit what Pillow returns, by construction: Pillow rounds its weights to integers of 22 bits and sums in integers,
along the rows first and, rounded to uint8 again, down the columns. The same integers stay exact in float64, where every
partial sum is below 2**53, so the order of summation does not matter either.
Only squares: from Pillow 13 on, other shapes may go down the columns first, and rounding between makes the order matter.
Source of the weights: Pillow, src/libImaging/Resample.c (MIT-CMU), read and written anew.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from geocc.errors import InputError

__all__ = ["resize_as_pillow"]

_WEIGHT_BITS = 22
# Values in float64 at a time: enough to keep a device busy, few enough not to show beside a model.
_VALUES_AT_ONCE = 2**24


def resize_as_pillow(images: Tensor, side: int) -> Tensor:
    """Resize square images with Pillow's bicubic filter.

    Args:
        images: `(..., H, H)` uint8, on a device that knows float64.
        side: Side in pixels to resize to.

    Returns:
        `(..., side, side)` uint8, equal in every bit to `PIL.Image.resize((side, side), Image.Resampling.BICUBIC)`.

    Raises:
        InputError: If the images are not square or not uint8, or a side is 0.
    """
    height, width = images.shape[-2:]
    if images.dtype != torch.uint8 or height != width or min(height, side) < 1:
        raise InputError(
            f"images of shape {tuple(images.shape)} and {images.dtype} are to be resized to side {side}; expected "
            "(..., H, H) torch.uint8, and sides of 1 pixel or more; PIL.Image.resize takes other shapes"
        )
    if side == height:
        return images.clone()
    planes = images.reshape(-1, height, width)
    resized = planes.new_empty(len(planes), side, side)
    weights = _weights(height, side, images.device)
    step = max(1, _VALUES_AT_ONCE // max(height, side) ** 2)
    for start in range(0, len(planes), step):
        part = planes[start : start + step]
        resized[start : start + step] = _rounded(weights @ _rounded(part.double() @ weights.T).double())
    return resized.reshape(*images.shape[:-2], side, side)


def _rounded(sums: Tensor) -> Tensor:
    """Bring sums of 22-bit weights back to grey levels, half a level up, as Pillow does."""
    return sums.add_(2 ** (_WEIGHT_BITS - 1)).div_(2**_WEIGHT_BITS).floor_().clamp_(0, 255).to(torch.uint8)


@lru_cache(maxsize=16)
def _weights(given: int, wanted: int, device: torch.device) -> Tensor:
    """Return the matrix `(wanted, given)` of integer weights in float64."""
    scale = given / wanted
    stretch = max(scale, 1.0)  # to shrink, the filter is widened: that is the antialiasing
    reach = 2.0 * stretch
    centre = (np.arange(wanted) + 0.5) * scale
    first = np.maximum((centre - reach + 0.5).astype(np.int64), 0)
    last = np.minimum((centre + reach + 0.5).astype(np.int64), given)
    at = first[:, None] + np.arange((last - first).max())
    inside = at < last[:, None]
    weights = np.where(inside, _bicubic((at - centre[:, None] + 0.5) * (1.0 / stretch)), 0.0)
    weights /= np.cumsum(weights, axis=1)[:, -1:]  # one after the other, as Pillow sums
    whole = np.trunc(weights * 2**_WEIGHT_BITS + np.copysign(0.5, weights))
    matrix = np.zeros((wanted, given))
    rows = np.broadcast_to(np.arange(wanted)[:, None], at.shape)
    matrix[rows[inside], at[inside]] = whole[inside]
    return torch.from_numpy(matrix).to(device)


def _bicubic(x: np.ndarray) -> np.ndarray:
    """Keys' cubic filter with a = -0.5."""
    a, x = -0.5, np.abs(x)
    near = ((a + 2.0) * x - (a + 3.0)) * x * x + 1
    far = (((x - 5) * x + 8) * x - 4) * a
    return np.where(x < 1.0, near, np.where(x < 2.0, far, 0.0))
