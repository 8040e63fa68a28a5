"""Pixels of masks and labels, and the size of images, read without trusting them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from geocc.errors import ReadError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["image_size", "read_pixels"]


def image_size(path: Path) -> tuple[int, int]:
    """Return width and height of an image from its header.

    Raises:
        ReadError: It is not there, or no image that Pillow reads.
    """
    try:
        with Image.open(path) as image:
            return image.size
    except (OSError, Image.DecompressionBombError) as error:
        raise ReadError(f"{path} is no readable image: {getattr(error, 'strerror', None) or error}") from error


def read_pixels(path: Path) -> NDArray[np.uint8]:
    """Read an image of one channel, or of three.

    Returns:
        `(height, width)` or `(height, width, 3)` uint8; a palette is resolved to colours, an alpha channel dropped.

    Raises:
        ReadError: It is not there, or no image that Pillow reads.
    """
    try:
        with Image.open(path) as image:
            single = image.mode in {"1", "L", "I", "I;16", "F"}
            return np.asarray(image.convert("L" if single else "RGB"), dtype=np.uint8)
    except (OSError, Image.DecompressionBombError) as error:
        raise ReadError(f"{path} is no readable image: {getattr(error, 'strerror', None) or error}") from error
