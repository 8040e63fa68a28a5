"""What changed, where and how many: whether captions name what the references name."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from geocc.evaluation.lexicon import CATEGORIES, categories, counts, places
from geocc.evaluation.measures import Measure, ratio

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geocc.evaluation.records import Pair

__all__ = ["content_measures", "missed_categories", "unsupported_categories"]


def content_measures(pairs: Sequence[Pair]) -> list[Measure]:
    """Compare the things, places and numbers that captions name with those in the references.

    People name different things of one pair, so precision and recall ask differently: a category counts as wrong when *no*
    reference names it, and as missed when at least *half* of the references name it and the caption does not.

    Args:
        pairs: The pairs; changed ones, since unchanged ones have nothing to name.

    Returns:
        Category precision and recall over all categories and for each, place agreement and count agreement.
    """
    said, supported, expected = _named(pairs)
    measures = [
        ratio("content", "category precision", (said & supported).sum(1), said.sum(1)),
        ratio("content", "category recall", (said & expected).sum(1), expected.sum(1)),
    ]
    for index, name in enumerate(CATEGORIES):
        column = (slice(None), index)
        measures += [
            ratio("content", f"precision: {name}", (said & supported)[column], said[column]),
            ratio("content", f"recall: {name}", (said & expected)[column], expected[column]),
        ]
    return [*measures, *_place_measures(pairs), _count_measure(pairs)]


def unsupported_categories(pair: Pair) -> list[str]:
    """Return the categories that the caption names and no reference does."""
    return sorted(categories(pair.caption) - frozenset().union(*map(categories, pair.references)))


def missed_categories(pair: Pair) -> list[str]:
    """Return the categories that at least half of the references name and the caption does not."""
    return sorted(_expected(pair) - categories(pair.caption))


def _expected(pair: Pair) -> frozenset[str]:
    named = Counter(name for text in pair.references for name in categories(text))
    return frozenset(name for name, times in named.items() if 2 * times >= len(pair.references))


def _named(pairs: Sequence[Pair]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    said = [categories(pair.caption) for pair in pairs]
    supported = [frozenset().union(*map(categories, pair.references)) for pair in pairs]
    expected = [_expected(pair) for pair in pairs]
    said_table, supported_table, expected_table = (
        np.array([[name in own for name in CATEGORIES] for own in names]).reshape(-1, len(CATEGORIES))
        for names in (said, supported, expected)
    )
    return said_table, supported_table, expected_table


def _place_measures(pairs: Sequence[Pair]) -> list[Measure]:
    said = [places(pair.caption) for pair in pairs]
    known = [frozenset().union(*map(places, pair.references)) for pair in pairs]
    speaks = np.array([bool(own) for own in known])
    named = np.array([len(own) for own in said]) * speaks
    agreed = [len(own & other) for own, other in zip(said, known, strict=True)]
    return [
        ratio("content", "place given", (named > 0), speaks),
        ratio("content", "place agreement", agreed, named),
    ]


def _count_measure(pairs: Sequence[Pair]) -> Measure:
    compared, agreed = np.zeros(len(pairs)), np.zeros(len(pairs))
    for row, pair in enumerate(pairs):
        known: dict[str, set[int]] = {}
        for text in pair.references:
            for name, numbers in counts(text).items():
                known.setdefault(name, set()).update(numbers)
        for name, numbers in counts(pair.caption).items():
            if name in known:
                compared[row] += 1
                agreed[row] += bool(numbers & known[name])
    return ratio("content", "count agreement", agreed, compared)
