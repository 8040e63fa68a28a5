"""A change between the two dates of a scene, and how it is cut out of the masks of its making."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from geocc.data.synthetic.cover import COVER_CATEGORY, Category, Cover, principal
from geocc.data.synthetic.frame import Window
from geocc.data.synthetic.outline import outline

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from shapely import MultiPolygon

    from geocc.data.synthetic.cover import Direction

    Mask = NDArray[np.bool_]
    Covers = NDArray[np.uint8]

__all__ = ["Change", "cover_changes", "cut_change", "majority"]

_PURE = 0.9


@dataclass(frozen=True, eq=False)
class Change:
    """One change on the ground: one building, or one patch of cover.

    Attributes:
        category_from: What was there at the earlier date.
        category_to: What is there at the later date.
        window: The part of the scene that it fills.
        mask: `(window.height, window.width)` whether a pixel changed.
        pure: Whether it is known that nine tenths of it were `category_from` and are `category_to`.
    """

    category_from: Category
    category_to: Category
    window: Window
    mask: Mask
    pure: bool = False

    @property
    def category(self) -> Category:
        """What the change is named by, such as the building that stands where grass was."""
        return principal(self.category_from, self.category_to)[0]

    @property
    def direction(self) -> Direction:
        """Whether that came or went."""
        return principal(self.category_from, self.category_to)[1]

    @property
    def other(self) -> Category | None:
        """What was there before it came, or is there since it went; None where that is not known or not one thing."""
        if not self.pure:
            return None
        return self.category_from if self.category == self.category_to else self.category_to

    @property
    def kind(self) -> str:
        """Category and direction in one word, such as `building gain`."""
        return f"{self.category} {self.direction}"

    @cached_property
    def polygon(self) -> MultiPolygon:
        """The outline in pixel coordinates, x to the right and y downwards, along the edges of the pixels."""
        return outline(self.mask, self.window)


def majority(covers: Covers) -> Category:
    """Return the category that most of the pixels have."""
    return COVER_CATEGORY[Cover(int(np.bincount(covers.ravel()).argmax()))]


def cut_change(mask: Mask, category_from: Category, category_to: Category, *, margin: int) -> Change | None:
    """Take the margin off a mask and crop it to what it fills, or return None where nothing is left."""
    inner = mask[margin:-margin, margin:-margin]
    rows, cols = np.flatnonzero(inner.any(axis=1)), np.flatnonzero(inner.any(axis=0))
    if not len(rows):
        return None
    window = Window(
        top=int(rows[0]),
        left=int(cols[0]),
        height=int(rows[-1] - rows[0]) + 1,
        width=int(cols[-1] - cols[0]) + 1,
    )
    return Change(category_from, category_to, window, inner[window.rows, window.cols].copy())


def cover_changes(
    masks: list[Mask], covers: tuple[Covers, Covers], *, valid: Mask, margin: int, judge: bool = True
) -> list[Change]:
    """Describe patches by the covers under them, as far as both dates show them.

    Args:
        masks: `(height, width)` with margin; they do not overlap.
        covers: Cover maps of either date, of the same size.
        valid: `(height, width)` with margin, where both dates have an image.
        margin: Pixels to take off every side.
        judge: Find out whether a patch was and is of one cover.
    """
    found = []
    for mask in masks:
        seen = mask & valid
        if not seen.any():
            continue
        before, after = (cover[seen] for cover in covers)
        ends = majority(before), majority(after)
        change = cut_change(seen, *ends, margin=margin)
        if change is None or ends[0] == ends[1]:
            continue
        if judge and min(_purity(before), _purity(after)) >= _PURE:
            change = replace(change, pure=True)
        found.append(change)
    return found


def _purity(covers: Covers) -> float:
    return float(np.bincount(covers).max() / len(covers))
