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
    (Category.WATER, r"\bwater\b"),
    (Category.TREES, r"\btrees?\b"),
)
_LOSS = r"\b(demolished|disappears?|disappeared|removed|shrunk|dried|cut down|cleared)\b"
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
    """

    category: Category
    direction: Direction
    number: str
    place: Place | None


def read_caption(text: str) -> tuple[Statement, ...]:
    """Return what a caption states, clause by clause; a no-change sentence states nothing."""
    statements = []
    for clause in re.split(r",| and ", text.lower()):
        category = next((name for name, pattern in _CATEGORIES if re.search(pattern, clause)), None)
        if category is None:
            continue
        statements.append(
            Statement(
                category=category,
                direction=Direction.LOSS if re.search(_LOSS, clause) else Direction.GAIN,
                number=next((word for word, pattern in _NUMBERS if re.search(pattern, clause)), "one"),
                place=next((place for place in _PLACES if re.search(rf"\b{place}\b", clause)), None),
            )
        )
    return tuple(statements)
