"""What can lie on the ground, and the order in which a change of it is named."""

from __future__ import annotations

from enum import IntEnum, StrEnum

__all__ = ["COVER_CATEGORY", "Category", "Cover", "Direction", "principal"]


class Cover(IntEnum):
    """Value of a pixel in a cover map; buildings stand on top of it and are kept apart."""

    GRASS = 0
    CROPS = 1
    BARE = 2
    TREES = 3
    WATER = 4
    ROAD = 5
    PAVED = 6


class Category(StrEnum):
    """What a caption speaks of."""

    BUILDING = "building"
    ROAD = "road"
    PARKING = "parking lot"
    WATER = "water"
    TREES = "trees"
    BARE = "bare land"
    GRASS = "grass"
    CROPS = "crops"


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
}

# A house built in a wood is news of the house: the earlier in Category's order, the more it is worth naming.
_RANK = {category: rank for rank, category in enumerate(Category)}


def principal(category_from: Category, category_to: Category) -> tuple[Category, Direction]:
    """Return the category that a change is named by, and whether it came or went.

    Args:
        category_from: What was there at the earlier date.
        category_to: What is there at the later date.
    """
    if _RANK[category_to] < _RANK[category_from]:
        return category_to, Direction.GAIN
    return category_from, Direction.LOSS
