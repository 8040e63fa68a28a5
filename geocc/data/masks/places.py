"""Where in the frame: parts of it that have a name, and the rule by which something lies in one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from geocc.data.synthetic.facts import Place

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["PHRASES", "find_place"]

INSIDE = 0.9
"""Least share of the pixels of a change that lie in a part of the frame for it to be told there."""


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of the frame, as shares of its width and height."""

    left: float
    right: float
    top: float
    bottom: float

    @property
    def area(self) -> float:
        return (self.right - self.left) * (self.bottom - self.top)


_PARTS = {
    Place.UPPER_LEFT: _Part(0, 0.5, 0, 0.5),
    Place.UPPER_RIGHT: _Part(0.5, 1, 0, 0.5),
    Place.LOWER_LEFT: _Part(0, 0.5, 0.5, 1),
    Place.LOWER_RIGHT: _Part(0.5, 1, 0.5, 1),
    Place.CENTER: _Part(0.25, 0.75, 0.25, 0.75),
    Place.TOP: _Part(0, 1, 0, 0.5),
    Place.BOTTOM: _Part(0, 1, 0.5, 1),
    Place.LEFT: _Part(0, 0.5, 0, 1),
    Place.RIGHT: _Part(0.5, 1, 0, 1),
}

PHRASES = {
    Place.UPPER_LEFT: ("in the upper left", "in the top left part of the scene", "at the top left"),
    Place.UPPER_RIGHT: ("in the upper right", "in the top right part of the scene", "at the top right"),
    Place.LOWER_LEFT: ("in the lower left", "in the bottom left part of the scene", "at the bottom left"),
    Place.LOWER_RIGHT: ("in the lower right", "in the bottom right part of the scene", "at the bottom right"),
    Place.CENTER: ("in the center", "in the middle of the scene", "around the center of the scene"),
    Place.TOP: ("at the top", "in the upper half of the scene", "in the upper part"),
    Place.BOTTOM: ("at the bottom", "in the lower half of the scene", "in the lower part"),
    Place.LEFT: ("on the left", "in the left half of the scene", "on the left side"),
    Place.RIGHT: ("on the right", "in the right half of the scene", "on the right side"),
    Place.ACROSS: ("across the scene", "in all four quarters of the scene"),
}
"""How each place is said."""

_QUARTER_SHARE = 0.1


def find_place(mask: NDArray[np.bool_]) -> Place | None:
    """Return where most of a mask lies, or None where no word fits.

    It lies in the smallest named part of the frame that holds at least 90 percent of its pixels; across the scene, if
    each quarter of the frame holds at least 10 percent of them.

    Args:
        mask: `(height, width)`, with at least one pixel set.
    """
    height, width = mask.shape
    rows, cols = mask.nonzero()
    y, x = (rows + 0.5) / height, (cols + 0.5) / width
    held = {
        place: float(((x >= part.left) & (x <= part.right) & (y >= part.top) & (y <= part.bottom)).mean())
        for place, part in _PARTS.items()
    }
    fitting = [place for place, share in held.items() if share >= INSIDE]
    if fitting:
        return min(fitting, key=lambda place: (_PARTS[place].area, -held[place]))
    quarters = (Place.UPPER_LEFT, Place.UPPER_RIGHT, Place.LOWER_LEFT, Place.LOWER_RIGHT)
    return Place.ACROSS if min(held[place] for place in quarters) >= _QUARTER_SHARE else None
