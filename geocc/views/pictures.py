"""Pictures inside HTML, so that a page needs no other file."""

from __future__ import annotations

import base64
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["data_uri"]


def data_uri(image: NDArray[np.uint8], valid: NDArray[np.bool_]) -> str:
    """Encode a picture as the URI of a WebP file, transparent where invalid.

    Args:
        image: `(3, h, w)` uint8, red, green, blue.
        valid: `(h, w)` bool.
    """
    planes = np.dstack([np.moveaxis(image, 0, -1), np.where(valid, 255, 0).astype(np.uint8)])
    file = BytesIO()
    Image.fromarray(planes, mode=None).save(file, format="WEBP", quality=88, method=4)
    return "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode("ascii")
