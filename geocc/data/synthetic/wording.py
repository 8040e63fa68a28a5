"""Sentences: from facts to a caption, in several wordings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from geocc.data.synthetic.cover import Category, Direction
from geocc.data.synthetic.facts import Place

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from geocc.data.synthetic.facts import Fact

__all__ = ["NO_CHANGE", "WORDINGS", "write_caption"]

NO_CHANGE = (
    "the scene is the same as before",
    "there is no difference",
    "the two scenes seem identical",
    "no change has occurred",
    "almost nothing has changed",
)
"""The five sentences that LEVIR-CC has for every pair without change."""

WORDINGS = 3
"""Number of ways to say a thing; the first is the plainest."""

_MOST_FACTS = 3

# {what} and {where} are filled in; a building's verb agrees with its number.
_CLAUSES: dict[tuple[Category, Direction], tuple[str, str, str]] = {
    (Category.BUILDING, Direction.GAIN): (
        "{what} {has} been built {where}",
        "{what} {appears} {where}",
        "{what} {was} constructed {where}",
    ),
    (Category.BUILDING, Direction.LOSS): (
        "{what} {has} been demolished {where}",
        "{what} {disappears} {where}",
        "{what} {was} removed {where}",
    ),
    (Category.ROAD, Direction.GAIN): (
        "a road has been built {where}",
        "a road appears {where}",
        "a road was constructed {where}",
    ),
    (Category.ROAD, Direction.LOSS): (
        "a road has been removed {where}",
        "a road disappears {where}",
        "a road was removed {where}",
    ),
    (Category.PARKING, Direction.GAIN): (
        "a parking lot has been built {where}",
        "a parking lot appears {where}",
        "a parking lot was constructed {where}",
    ),
    (Category.PARKING, Direction.LOSS): (
        "a parking lot has been removed {where}",
        "a parking lot disappears {where}",
        "a parking lot was removed {where}",
    ),
    (Category.WATER, Direction.GAIN): (
        "water has appeared {where}",
        "the water area has grown {where}",
        "water now covers the ground {where}",
    ),
    (Category.WATER, Direction.LOSS): (
        "water has disappeared {where}",
        "the water area has shrunk {where}",
        "water has dried up {where}",
    ),
    (Category.TREES, Direction.GAIN): (
        "trees have grown {where}",
        "new trees appear {where}",
        "trees have been planted {where}",
    ),
    (Category.TREES, Direction.LOSS): (
        "trees have been cut down {where}",
        "trees disappear {where}",
        "trees have been cleared {where}",
    ),
    (Category.BARE, Direction.GAIN): (
        "the ground has been laid bare {where}",
        "bare land appears {where}",
        "bare land has spread {where}",
    ),
    (Category.BARE, Direction.LOSS): (
        "bare land has been covered {where}",
        "bare land disappears {where}",
        "the area of bare land has shrunk {where}",
    ),
    (Category.CROPS, Direction.GAIN): (
        "fields have been laid out {where}",
        "new fields appear {where}",
        "land has been turned into fields {where}",
    ),
    (Category.CROPS, Direction.LOSS): (
        "fields have been given up {where}",
        "fields disappear {where}",
        "fields have been abandoned {where}",
    ),
    (Category.BUILT_UP, Direction.GAIN): (
        "the built-up area has grown {where}",
        "new built-up land appears {where}",
        "built-up land has spread {where}",
    ),
    (Category.BUILT_UP, Direction.LOSS): (
        "the built-up area has shrunk {where}",
        "built-up land disappears {where}",
        "built-up land has been removed {where}",
    ),
    (Category.FLOODED, Direction.GAIN): (
        "the ground is flooded with water {where}",
        "flood water appears {where}",
        "flood water covers the ground {where}",
    ),
    (Category.FLOODED, Direction.LOSS): (
        "the flood water has receded {where}",
        "flood water disappears {where}",
        "the flood water has drained away {where}",
    ),
    (Category.BURNT, Direction.GAIN): (
        "the ground has burnt {where}",
        "a burn scar appears {where}",
        "fire has burnt the ground {where}",
    ),
    (Category.BURNT, Direction.LOSS): (
        "the burnt ground has recovered {where}",
        "a burn scar disappears {where}",
        "burnt ground has turned green again {where}",
    ),
}
# Of a patch that was all one thing before, or is since, the third wording says what.
_REPLACED = {
    Direction.GAIN: "{this} now {lies} where {other} {was} {where}",
    Direction.LOSS: "{this} {has} been replaced by {other} {where}",
}
_NOUNS = {
    Category.WATER: "water",
    Category.TREES: "trees",
    Category.BARE: "bare land",
    Category.GRASS: "grass",
    Category.CROPS: "fields",
    Category.BUILT_UP: "built-up land",
    Category.BURNT: "burnt ground",
}
_PLURALS = (Category.TREES, Category.CROPS)
_VERBS = {"has": "have", "appears": "appear", "disappears": "disappear", "was": "were"}
_PREPOSITIONS = {Place.TOP: "at the", Place.BOTTOM: "at the", Place.LEFT: "on the", Place.RIGHT: "on the"}


def write_caption(facts: Sequence[Fact], rng: np.random.Generator, *, plain: float = 0.5) -> str:
    """Write a caption, in lower case and without a full stop, as LEVIR-CC's are.

    Args:
        facts: What there is to say; nothing means that nothing changed. At most the first three are said.
        rng: Chooses the wording.
        plain: Probability of the plainest wording, in [0, 1].
    """
    wording = 0 if rng.random() < plain else int(rng.integers(1, WORDINGS))
    if not facts:
        return NO_CHANGE[0] if wording == 0 else NO_CHANGE[int(rng.integers(1, len(NO_CHANGE)))]
    clauses = [_clause(fact, wording) for fact in facts[:_MOST_FACTS]]
    if len(clauses) == 1:
        return clauses[0]
    return f"{', '.join(clauses[:-1])} and {clauses[-1]}"


def _clause(fact: Fact, wording: int) -> str:
    """Say one fact."""
    if wording == WORDINGS - 1 and fact.category in _NOUNS and fact.other in _NOUNS:
        return _replacement(fact, _NOUNS[fact.other])
    template = _CLAUSES[fact.category, fact.direction][wording]
    many = fact.count > 1
    verbs = {one: several if many else one for one, several in _VERBS.items()}
    return template.format(what=_buildings(fact), where=_where(fact.place), **verbs)


def _replacement(fact: Fact, other: str) -> str:
    """Say what took the place of what."""
    many = fact.category in _PLURALS
    return _REPLACED[fact.direction].format(
        this=_NOUNS[fact.category],
        lies="lie" if many else "lies",
        has="have" if many else "has",
        other=other,
        was="were" if fact.other in _PLURALS else "was",
        where=_where(fact.place),
    )


def _buildings(fact: Fact) -> str:
    """Name buildings with their number."""
    if fact.count == 1:
        return "a large building" if fact.large else "a house"
    number = "two" if fact.count == 2 else "several"
    return f"{number} {'large buildings' if fact.large else 'houses'}"


def _where(place: Place) -> str:
    """Return the place with its preposition."""
    if place is Place.ACROSS:
        return "across the scene"
    return f"{_PREPOSITIONS.get(place, 'in the')} {place}"
