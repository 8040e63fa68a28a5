"""Maps of what changed where, in cells and in pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from geocc.data.synthetic.cover import KINDS, LABELS
from geocc.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from geocc.data.synthetic.change import Change
    from geocc.data.synthetic.frame import Window

__all__ = ["kind_map", "label_images", "seen_within"]


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
        rows, cols, seen = seen_within(change, window)
        maps[KINDS.index((change.category, change.direction)), rows, cols] |= seen
    height, width = window.height // tokens, window.width // tokens
    shares: NDArray[np.float32] = maps.reshape(len(KINDS), tokens, height, tokens, width).mean(
        axis=(2, 4), dtype=np.float32
    )
    return shares


def label_images(changes: Iterable[Change], window: Window) -> NDArray[np.uint8]:
    """Return `(T=2, height, width)` what stood on changed ground at either date, as `LABELS`; 0 where nothing changed.

    Args:
        changes: The changes of the scene; where two overlap the smaller one shows.
        window: A part of it.
    """
    labels = np.zeros((2, window.height, window.width), dtype=np.uint8)
    for change in sorted(changes, key=lambda change: -int(change.mask.sum())):
        rows, cols, seen = seen_within(change, window)
        labels[0, rows, cols][seen] = LABELS[change.category_from]
        labels[1, rows, cols][seen] = LABELS[change.category_to]
    return labels


def seen_within(change: Change, window: Window) -> tuple[slice, slice, NDArray[np.bool_]]:
    """Return the rows and columns of a window in which a change may lie, and its mask there."""
    top, left = change.window.top - window.top, change.window.left - window.left
    seen = change.mask[max(-top, 0) : max(window.height - top, 0), max(-left, 0) : max(window.width - left, 0)]
    top, left = max(top, 0), max(left, 0)
    return slice(top, top + seen.shape[0]), slice(left, left + seen.shape[1]), seen
