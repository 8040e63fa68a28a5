"""What there is to say about a tile: which category came or went, how often, and where in the frame."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from geocc.data.synthetic.cover import Category, Direction

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from geocc.data.synthetic.frame import Window
    from geocc.data.synthetic.scene import Change, SyntheticScene

__all__ = ["Fact", "Place", "TileDescription", "describe_tile"]

_VISIBLE = 0.004
# Beside its like, a small house is seen at 2 m too.
_SMALLEST_PART = 0.0004
_LARGE_M2 = 260.0


class Place(StrEnum):
    """Where in the frame a change lies."""

    UPPER_LEFT = "upper left"
    TOP = "top"
    UPPER_RIGHT = "upper right"
    LEFT = "left"
    CENTER = "center"
    RIGHT = "right"
    LOWER_LEFT = "lower left"
    BOTTOM = "bottom"
    LOWER_RIGHT = "lower right"
    ACROSS = "across"


_GRID = tuple(Place)[:9]


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing to say: a category that came or went.

    Attributes:
        category: What.
        direction: Whether it came or went.
        count: How many of it are visible.
        large: For buildings, whether they are larger than houses.
        x: Centre of what changed, from 0 at the left border of the tile to 1 at its right.
        y: The same from the top to the bottom.
        width: Its extent, as a share of the tile's width.
        height: The same for the height.
        fraction: Share of the tile that changed so, in [0, 1].
        other: What was there before it came, or is there since it went, where that is known and one thing.
    """

    category: Category
    direction: Direction
    count: int
    large: bool
    x: float
    y: float
    width: float
    height: float
    fraction: float
    other: Category | None = None

    @property
    def place(self) -> Place:
        """The word for where it lies: a cell of a 3 x 3 grid, or across it all."""
        if max(self.width, self.height) > 0.75:
            return Place.ACROSS
        col, row = (min(int(3 * at), 2) for at in (self.x, self.y))
        return _GRID[3 * row + col]

    def turned(self, *, flip: bool, quarters: int) -> Fact:
        """Return the fact for the tile mirrored left to right, if `flip`, and then turned by quarters, anticlockwise."""
        x, y, width, height = (1 - self.x if flip else self.x), self.y, self.width, self.height
        for _ in range(quarters % 4):
            x, y, width, height = y, 1 - x, height, width
        return replace(self, x=x, y=y, width=width, height=height)

    def reversed(self) -> Fact:
        """Return the fact for the two dates in the other order."""
        other = Direction.LOSS if self.direction is Direction.GAIN else Direction.GAIN
        return replace(self, direction=other)


@dataclass(frozen=True, slots=True, eq=False)
class TileDescription:
    """What is known of a tile.

    Attributes:
        changed: Whether a change is visible.
        ambiguous: Whether all that changed is too small to be seen for sure. Such a tile is neither a fair example of
            change nor of its absence.
        facts: What there is to say, the largest first; empty unless `changed`.
        change_fraction: Share of the tile that changed, in [0, 1].
        mask: `(height, width)` where.
    """

    changed: bool
    ambiguous: bool
    facts: tuple[Fact, ...]
    change_fraction: float
    mask: NDArray[np.bool_]


def describe_tile(scene: SyntheticScene, window: Window) -> TileDescription:
    """Describe a part of a scene, from what is visible inside it alone.

    A change is visible if it fills at least 0.4 percent of the tile. Outside the domain `vhr`, changes of one kind are
    visible if they fill as much together, each at least a tenth of that.

    Args:
        scene: The scene.
        window: The part of it, inside its frame.
    """
    mask = scene.change_mask[window.rows, window.cols]
    least = _VISIBLE if scene.domain == "vhr" else _SMALLEST_PART
    seen = [part for change in scene.changes if (part := _inside(change, window, scene.gsd_m, least)) is not None]
    groups: dict[tuple[Category, Direction], list[_Part]] = {}
    for part in seen:
        groups.setdefault((part.category, part.direction), []).append(part)
    visible = [fact for parts in groups.values() if (fact := _fact(parts)).fraction >= _VISIBLE]
    facts = sorted(visible, key=lambda fact: -fact.fraction)
    return TileDescription(
        changed=bool(facts),
        ambiguous=not facts and bool(mask.any()),
        facts=tuple(facts),
        change_fraction=float(mask.mean()),
        mask=mask,
    )


@dataclass(frozen=True, slots=True)
class _Part:
    """The part of a change that lies in a tile; lengths as shares of the tile's sides."""

    category: Category
    direction: Direction
    fraction: float
    area_m2: float
    other: Category | None
    x: float
    y: float
    left: float
    right: float
    top: float
    bottom: float


def _inside(change: Change, window: Window, gsd_m: float, least: float) -> _Part | None:
    """Return the part of a change in a window, or None where too little of it is visible."""
    top = max(window.top - change.window.top, 0)
    left = max(window.left - change.window.left, 0)
    bottom = window.top + window.height - change.window.top
    right = window.left + window.width - change.window.left
    if bottom <= 0 or right <= 0:
        return None
    rows, cols = np.nonzero(change.mask[top:bottom, left:right])
    fraction = len(rows) / (window.height * window.width)
    if fraction < least:
        return None
    ys = (rows + 0.5 + top + change.window.top - window.top) / window.height
    xs = (cols + 0.5 + left + change.window.left - window.left) / window.width
    return _Part(
        category=change.category,
        direction=change.direction,
        fraction=fraction,
        area_m2=float(change.mask.sum()) * gsd_m**2,
        other=change.other,
        x=float(xs.mean()),
        y=float(ys.mean()),
        left=float(xs.min()),
        right=float(xs.max()),
        top=float(ys.min()),
        bottom=float(ys.max()),
    )


def _fact(parts: Sequence[_Part]) -> Fact:
    """Say one thing of all parts of one category and direction."""
    total = sum(part.fraction for part in parts)
    return Fact(
        category=parts[0].category,
        direction=parts[0].direction,
        count=len(parts),
        large=parts[0].category is Category.BUILDING and all(part.area_m2 > _LARGE_M2 for part in parts),
        x=sum(part.x * part.fraction for part in parts) / total,
        y=sum(part.y * part.fraction for part in parts) / total,
        width=max(part.right for part in parts) - min(part.left for part in parts),
        height=max(part.bottom for part in parts) - min(part.top for part in parts),
        fraction=total,
        other=parts[0].other if len({part.other for part in parts}) == 1 else None,
    )
