"""Both dates of a scene as a picture of bounded size, read block by block."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Protocol

import numpy as np
from affine import Affine
from odc.geo.geobox import GeoBox

from geocc.errors import InputError
from geocc.scene.window import PixelWindow

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd
    from numpy.typing import NDArray

    from geocc.scene.window import Tile

__all__ = ["PairLike", "Quicklook", "quicklook"]

_BLOCK_SIDE = 1024


class PairLike(Protocol):
    """What the views need to know of a `geocc.scene.ScenePair`."""

    @property
    def geobox(self) -> GeoBox:
        """The grid of both dates."""
        ...

    @property
    def t1_label(self) -> pd.Timestamp | None:
        """When the earlier date was taken."""
        ...

    @property
    def t2_label(self) -> pd.Timestamp | None:
        """When the later date was taken."""
        ...

    def read(self, window: PixelWindow) -> Tile:
        """Return `image` `(2, 3, h, w)` uint8, the earlier date first, and `valid` `(h, w)` bool."""
        ...


@dataclass(frozen=True, slots=True)
class Quicklook:
    """Both dates of a scene, made small.

    Attributes:
        image: `(T=2, C=3, h, w)` uint8, the earlier date first; 0 where invalid.
        valid: `(h, w)` bool, where any pixel is valid in both dates.
        geobox: The grid of the picture. It may reach over the lower and right edge of the scene by a part of a pixel.
    """

    image: NDArray[np.uint8]
    valid: NDArray[np.bool_]
    geobox: GeoBox

    @property
    def affine(self) -> Affine:
        """The affine of the picture, from pixel corners to the CRS."""
        return self.geobox.affine

    def upright(self) -> Quicklook:
        """Turn the picture by right angles, and mirror it if it is mirrored, until the CRS's north is as far up as can be."""
        look = self
        if np.linalg.det(_matrix(look.affine)) > 0:
            old_from_new = [[1, 0, 0], [0, -1, look.geobox.shape.y]]
            look = _rearranged(look, look.image[..., ::-1, :], look.valid[::-1], old_from_new)
        for _ in range(3):
            right, down = np.linalg.inv(_matrix(look.affine)) @ (0.0, 1.0)
            if -down >= abs(right):
                break
            # A quarter turn to the left: the new row counts the old columns from the right, the new column is the old row.
            old_from_new = [[0, -1, look.geobox.shape.x], [1, 0, 0]]
            look = _rearranged(look, np.rot90(look.image, axes=(-2, -1)), np.rot90(look.valid), old_from_new)
        return look


def quicklook(pair: PairLike, *, max_size_px: int = 1024) -> Quicklook:
    """Make a small picture of both dates: every pixel the mean of the valid pixels in a square of the scene.

    The scene is read once, in blocks of about a thousand pixels a side: memory is bounded whatever the size of the scene.

    Args:
        pair: The two dates.
        max_size_px: The most pixels that the longer side of the picture may have, at least 1.

    Returns:
        The picture with its validity and its grid.

    Raises:
        InputError: `max_size_px` is below 1.
        ReadError: A part of the scene cannot be read.
    """
    if max_size_px < 1:
        raise InputError(f"max_size_px is {max_size_px}: expected at least 1, as in quicklook(pair, max_size_px=1024)")
    factor = max(1, ceil(max(pair.geobox.shape) / max_size_px))
    height, width = (ceil(size / factor) for size in pair.geobox.shape)
    image = np.zeros((2, 3, height, width), np.uint8)
    valid = np.zeros((height, width), bool)
    for window in _blocks(height, width, side=max(1, _BLOCK_SIDE // factor)):
        tile = pair.read(
            PixelWindow(window.row * factor, window.col * factor, window.height * factor, window.width * factor)
        )
        image[..., window.rows, window.cols], valid[window.rows, window.cols] = _shrink(tile, factor)
    return Quicklook(image, valid, _coarser(pair.geobox, factor, shape=(height, width)))


def _rearranged(
    look: Quicklook, image: NDArray[np.uint8], valid: NDArray[np.bool_], old_from_new: list[list[int]]
) -> Quicklook:
    old = np.vstack([np.reshape(tuple(look.affine)[:6], (2, 3)), [0, 0, 1]])
    affine = Affine(*(old @ np.vstack([old_from_new, [0, 0, 1]]))[:2].ravel())
    return Quicklook(
        np.ascontiguousarray(image), np.ascontiguousarray(valid), GeoBox(valid.shape, affine, look.geobox.crs)
    )


def _blocks(height: int, width: int, *, side: int) -> Iterator[PixelWindow]:
    for row in range(0, height, side):
        for col in range(0, width, side):
            yield PixelWindow(row, col, min(side, height - row), min(side, width - col))


def _shrink(tile: Tile, factor: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    height, width = (size // factor for size in tile.valid.shape)
    count = tile.valid.reshape(height, factor, width, factor).sum(axis=(1, 3), dtype=np.uint32)
    # Invalid pixels are 0 in both dates, and so add nothing to the sum.
    total = tile.image.reshape(2, 3, height, factor, width, factor).sum(axis=(3, 5), dtype=np.uint32)
    mean = np.rint(total / np.maximum(count, 1)).astype(np.uint8)
    return mean, count > 0


def _coarser(geobox: GeoBox, factor: int, *, shape: tuple[int, int]) -> GeoBox:
    a, b, c, d, e, f = tuple(geobox.affine)[:6]
    return GeoBox(shape, Affine(a * factor, b * factor, c, d * factor, e * factor, f), geobox.crs)


def _matrix(affine: Affine) -> NDArray[np.float64]:
    return np.array([[affine.a, affine.b], [affine.d, affine.e]])
