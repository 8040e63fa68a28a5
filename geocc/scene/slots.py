"""Tiles that are read one behind the other into one piece of memory, so that a batch of them need not be put together.

    slab   | tile 0 | tile 1 | tile 2 | ...  | tile 31 |
             `--- a batch is a part of the slab ---'

To copy tiles into a batch takes as long as to read them from blocks that are there.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from geocc.scene.plan import TilePlan

__all__ = ["TileSlots", "side_by_side"]

_TILES = 32  # of a slab: the largest batch that geocc takes by itself, and a multiple of the others
_SLAB_BYTES = 64 * 2**20


class TileSlots:
    """Memory for the pixels of a plan's tiles, in the order in which they are read. Safe in several threads.

    A slab is let go when its last tile has been handed out, and freed with the last of its tiles.

    Args:
        plan: The tiles.
        dates: Dates of a tile.
    """

    def __init__(self, plan: TilePlan, *, dates: int) -> None:
        self._count = len(plan)
        self._shape = (dates, 3, plan.tile_size, plan.tile_size)
        self._per_slab = max(1, min(_TILES, _SLAB_BYTES // int(np.prod(self._shape))))
        # Smaller ones, of a small scene or a sampler, are padded later and lie nowhere in a row.
        self._alike = bool((plan.height == plan.tile_size).all() and (plan.width == plan.tile_size).all())
        self._slabs: dict[int, tuple[NDArray[np.uint8], int]] = {}
        self._lock = threading.Lock()

    def take(self, at: int) -> NDArray[np.uint8] | None:
        """Memory `(T, C=3, size, size)` uint8 for the tile at a place in the order; None where tiles differ in size."""
        if not self._alike:
            return None
        number, place = divmod(at, self._per_slab)
        tiles = min(self._per_slab, self._count - number * self._per_slab)
        with self._lock:
            if number not in self._slabs:
                self._slabs[number] = np.empty((tiles, *self._shape), np.uint8), tiles
            slab, left = self._slabs.pop(number)
            if left > 1:
                self._slabs[number] = slab, left - 1
        slot: NDArray[np.uint8] = slab[place]
        return slot


def side_by_side(images: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Images of one shape as one array: without a copy where they lie one behind the other in a slab."""
    slab = images[0].base
    if isinstance(slab, np.ndarray) and slab.shape[1:] == images[0].shape and all(one.base is slab for one in images):
        offsets = np.array([_address(one) for one in images]) - _address(slab)
        first = int(offsets[0]) // slab.strides[0]
        if np.array_equal(offsets, (first + np.arange(len(images))) * slab.strides[0]):
            return slab[first : first + len(images)]
    return np.stack(images)


def _address(array: NDArray[Any]) -> int:
    return int(array.__array_interface__["data"][0])
