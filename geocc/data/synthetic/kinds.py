"""Maps of what changed where."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from geocc.data.synthetic.cover import KINDS
from geocc.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from geocc.data.synthetic.change import Change
    from geocc.data.synthetic.frame import Window

__all__ = ["kind_map"]


def kind_map(changes: Iterable[Change], window: Window, *, tokens: int) -> NDArray[np.float32]:
    """Return `(len(KINDS), tokens, tokens)` share of every cell of a window that changed in every way, in [0, 1].

    Args:
        changes: The changes of the scene.
        window: A part of it.
        tokens: Cells on a side; the sides of the window must be multiples of it.

    Raises:
        InputError: The window cannot be cut so.
    """
    if tokens < 1 or window.height % tokens or window.width % tokens:
        raise InputError(
            f"tokens is {tokens}; expected a divisor of the tile's sides, {window.height} x {window.width} pixels"
        )
    maps = np.zeros((len(KINDS), window.height, window.width), dtype=bool)
    for change in changes:
        top, left = change.window.top - window.top, change.window.left - window.left
        seen = change.mask[max(-top, 0) : max(window.height - top, 0), max(-left, 0) : max(window.width - left, 0)]
        view = maps[KINDS.index((change.category, change.direction)), max(top, 0) :, max(left, 0) :]
        view[: seen.shape[0], : seen.shape[1]] |= seen
    rows, cols = window.height // tokens, window.width // tokens
    shares: NDArray[np.float32] = maps.reshape(len(KINDS), tokens, rows, tokens, cols).mean(
        axis=(2, 4), dtype=np.float32
    )
    return shares
