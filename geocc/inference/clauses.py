"""Sentences that say one thing twice."""

from __future__ import annotations

import re

__all__ = ["repeats_itself"]

_BETWEEN = re.compile(r"[,;.!?\n]+|\band\b", re.IGNORECASE)


def repeats_itself(text: str) -> bool:
    """Say whether a clause stands in a text more than once, word for word, as in "a house appears and a house appears".

    Args:
        text: What a model said. Case and space do not count; clauses end at "and", commas and full stops.
    """
    clauses = [words for part in _BETWEEN.split(text) if (words := part.casefold().split())]
    return len({tuple(words) for words in clauses}) < len(clauses)
