"""Reading captions back: which facts a sentence states. The inverse of `wording`, for scoring a model's captions."""

from __future__ import annotations

import re
from dataclasses import dataclass

from geocc.data.synthetic.cover import Category, Direction
from geocc.data.synthetic.facts import Place

__all__ = ["Statement", "read_caption"]

_CATEGORIES = (
    (Category.BUILDING, r"\b(houses?|buildings?)\b"),
    (Category.PARKING, r"\bparking lots?\b"),
    (Category.ROAD, r"\broads?\b"),
    (Category.BUILT_UP, r"\bbuilt-up\b"),
    (Category.FLOODED, r"\bflood(s|ed|ing)?\b"),
    (Category.BURNT, r"\b(burnt?|burned|fire)\b"),
    (Category.WATER, r"\bwater\b"),
    (Category.TREES, r"\btrees?\b"),
    (Category.BARE, r"\b(bare)\b"),
    (Category.CROPS, r"\b(fields?|crops?|cropland)\b"),
    (Category.GRASS, r"\bgrass\b"),
)
_LOSS = (
    r"\b(demolished|disappears?|disappeared|removed|shrunk|dried|cut down|cleared"
    r"|receded|drained|covered|recovered|green again|given up|abandoned|replaced by)\b"
)
_REPLACEMENT = r"\b(replaced by|now lies? where)\b"
_NUMBERS = (("two", r"\btwo\b"), ("several", r"\bseveral\b"))
# The longer names first: "upper left" also holds "left".
_PLACES = tuple(sorted(Place, key=lambda place: -len(place)))


@dataclass(frozen=True, slots=True)
class Statement:
    """What one clause of a caption says; None where it does not say.

    Attributes:
        category: What came or went.
        direction: Whether it came or went.
        number: `one`, `two` or `several`.
        place: Where in the frame.
        other: What took its place, or had it before.
    """

    category: Category
    direction: Direction
    number: str
    place: Place | None
    other: Category | None = None


def read_caption(text: str) -> tuple[Statement, ...]:
    """Return what a caption states, clause by clause; a no-change sentence states nothing."""
    statements = []
    for clause in re.split(r",| and ", text.lower()):
        # "Built-up land now lies where trees were" speaks of two, the one that it is about first.
        about, replacement, rest = _parted(clause)
        category = _category(about)
        if category is None:
            continue
        statements.append(
            Statement(
                category=category,
                direction=Direction.LOSS if re.search(_LOSS, clause) else Direction.GAIN,
                number=next((word for word, pattern in _NUMBERS if re.search(pattern, clause)), "one"),
                place=next((place for place in _PLACES if re.search(rf"\b{place}\b", clause)), None),
                other=_category(rest) if replacement else None,
            )
        )
    return tuple(statements)


def _parted(clause: str) -> tuple[str, bool, str]:
    """Return what a clause is about, whether it tells of a replacement, and what follows."""
    found = re.search(_REPLACEMENT, clause)
    return (clause[: found.start()], True, clause[found.end() :]) if found else (clause, False, "")


def _category(text: str) -> Category | None:
    return next((name for name, pattern in _CATEGORIES if re.search(pattern, text)), None)
