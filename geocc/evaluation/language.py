"""How the captions are worded: a model that has learned a few sentences by heart shows here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from geocc.evaluation.measures import Measure, ratio
from geocc.evaluation.normalisation import normalise

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geocc.evaluation.records import Pair

__all__ = ["language_measures"]


def language_measures(pairs: Sequence[Pair]) -> list[Measure]:
    """Count sentences and words.

    Args:
        pairs: The pairs.

    Returns:
        Distinct captions, distinct words, empty captions, mean words of a caption and of a reference.
    """
    texts = [" ".join(normalise(pair.caption).split()) for pair in pairs]
    words = [len(text.split()) for text in texts]
    reference_words = [np.mean([len(normalise(text).split()) for text in pair.references]) for pair in pairs]
    ones = np.ones(len(pairs))
    return [
        _count("distinct captions", len(set(texts)), pairs),
        _count("distinct words", len({word for text in texts for word in text.split()}), pairs),
        _count("empty captions", texts.count(""), pairs),
        ratio("language", "words per caption", words, ones, unit="words"),
        ratio("language", "words per reference", reference_words, ones, unit="words"),
    ]


def _count(name: str, number: int, pairs: Sequence[Pair]) -> Measure:
    return Measure("language", name, "count", len(pairs), len(pairs), float(number))
