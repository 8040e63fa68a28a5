"""What can lie on the ground, and the order in which a change of it is named."""

from __future__ import annotations

from enum import IntEnum, StrEnum

__all__ = ["COVER_CATEGORY", "KINDS", "LABELS", "Category", "Cover", "Direction", "principal"]


class Cover(IntEnum):
    """Value of a pixel in a cover map. Where single buildings show, they stand on top of it and are kept apart."""

    GRASS = 0
    CROPS = 1
    BARE = 2
    TREES = 3
    WATER = 4
    ROAD = 5
    PAVED = 6
    BURNT = 7
    FLOODED = 8
    BUILT = 9
    HALL = 10


class Category(StrEnum):
    """What a caption speaks of.

    Crops are where the land is divided into fields, whatever stands on them: to sow, to harvest and to plough is season,
    not change. Fields are gained where there were none, and lost where they are given up. Flooded ground is land under water
    for a time, through which its pattern shows; water is a lake or a river.
    """

    BUILDING = "building"
    ROAD = "road"
    PARKING = "parking lot"
    WATER = "water"
    TREES = "trees"
    BARE = "bare land"
    GRASS = "grass"
    CROPS = "crops"
    BUILT_UP = "built-up land"
    FLOODED = "flooded ground"
    BURNT = "burnt ground"


class Direction(StrEnum):
    """Whether the principal category of a change came or went."""

    GAIN = "gain"
    LOSS = "loss"


COVER_CATEGORY = {
    Cover.GRASS: Category.GRASS,
    Cover.CROPS: Category.CROPS,
    Cover.BARE: Category.BARE,
    Cover.TREES: Category.TREES,
    Cover.WATER: Category.WATER,
    Cover.ROAD: Category.ROAD,
    Cover.PAVED: Category.PARKING,
    Cover.BURNT: Category.BURNT,
    Cover.FLOODED: Category.FLOODED,
    Cover.BUILT: Category.BUILT_UP,
    Cover.HALL: Category.BUILDING,
}

# A house built in a wood is news of the house: the earlier in this order, the more it is worth naming.
_ORDER = (
    Category.BUILDING,
    Category.ROAD,
    Category.PARKING,
    Category.BUILT_UP,
    Category.FLOODED,
    Category.WATER,
    Category.BURNT,
    Category.TREES,
    Category.BARE,
    Category.CROPS,
    Category.GRASS,
)
_RANK = {category: rank for rank, category in enumerate(_ORDER)}

_NAMED = (
    Category.BUILDING,
    Category.ROAD,
    Category.PARKING,
    Category.WATER,
    Category.TREES,
    Category.BARE,
    Category.CROPS,
    Category.BUILT_UP,
    Category.FLOODED,
    Category.BURNT,
)
KINDS = tuple((category, direction) for category in _NAMED for direction in Direction)
"""What may come or go. Grass is not among it: the change is named by what grew or was put there instead.

The two directions of a category are neighbours, so that `index ^ 1` reverses time.
"""

LABELS = {
    Category.WATER: 1,
    Category.BUILDING: 4,
    Category.ROAD: 5,
    Category.PARKING: 6,
    Category.TREES: 7,
    Category.BARE: 8,
    Category.GRASS: 9,
    Category.CROPS: 10,
    Category.BUILT_UP: 11,
    Category.FLOODED: 12,
    Category.BURNT: 13,
}
"""Value of a category in a label image; 0 is ground that did not change.

Water has the number that it has among the classes told by spectral indices; their two others, vegetation and ground, which
no category here is, keep 2 and 3 to themselves. So one model learns from both.
"""


def principal(category_from: Category, category_to: Category) -> tuple[Category, Direction]:
    """Return the category that a change is named by, and whether it came or went.

    Args:
        category_from: What was there at the earlier date.
        category_to: What is there at the later date.
    """
    if _RANK[category_to] < _RANK[category_from]:
        return category_to, Direction.GAIN
    return category_from, Direction.LOSS
