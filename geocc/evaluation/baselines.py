"""The floor and the ceiling of the caption metrics on the very pairs that are evaluated."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geocc.evaluation.records import Pair

__all__ = ["CHANGE_SENTENCE", "NO_CHANGE_SENTENCE", "baseline_pairs"]

NO_CHANGE_SENTENCE = "the scene is the same as before"
"""What the constant baseline always says: one of the five sentences of every unchanged pair of LEVIR-CC."""

CHANGE_SENTENCE = "many houses are built along the road"
"""What the perfect flag says of every changed pair: a common sentence of LEVIR-CC's train captions."""


def baseline_pairs(pairs: Sequence[Pair], *, seed: int = 0) -> dict[str, list[Pair]]:
    """Answer the pairs without looking at an image.

    Args:
        pairs: The pairs that are evaluated.
        seed: Of the draw of the human sentence.

    Returns:
        For each baseline its name and its pairs: "constant: no change"; "perfect flag, one sentence", which knows whether
        the ground changed and nothing else; and "one human against the others", where a sentence drawn from the
        references answers, scored against the rest: one reference less than any model has, so it is a low ceiling. Pairs
        with a single reference are not in the latter.
    """
    draw = random.Random(seed)
    people = []
    for pair in pairs:
        if len(pair.references) > 1:
            drawn = draw.randrange(len(pair.references))
            others = pair.references[:drawn] + pair.references[drawn + 1 :]
            people.append(replace(pair, caption=pair.references[drawn], references=others))
    sets = {
        "constant: no change": [replace(pair, caption=NO_CHANGE_SENTENCE) for pair in pairs],
        "perfect flag, one sentence": [
            replace(pair, caption=CHANGE_SENTENCE if pair.changed else NO_CHANGE_SENTENCE) for pair in pairs
        ],
        "one human against the others": people,
    }
    return {name: own for name, own in sets.items() if own}
