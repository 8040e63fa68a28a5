"""Sentences that say one thing twice."""

from __future__ import annotations

import re

__all__ = ["repeats_itself"]

_BETWEEN = re.compile(r"[,;.!?\n]+|\band\b", re.IGNORECASE)
# How many they are, and that they are new, may differ between two tellings of the same; what they are, do, and where may not.
_COUNTS = frozenset(["a", "an", "one", "two", "three", "several", "some", "many", "few", "new"])
_PLURAL = {"have": "has", "are": "is", "were": "was"}


def repeats_itself(text: str) -> bool:
    """Say whether a clause stands in a text more than once, as in "a house appears and a house appears".

    Numbers make no other clause of it: "several houses appear and a house appears" tells the same twice.

    Args:
        text: What a model said. Case and space do not count; clauses end at "and", commas and full stops.
    """
    clauses = [told for part in _BETWEEN.split(text) if (told := _told(part))]
    return len(set(clauses)) < len(clauses)


def _told(clause: str) -> tuple[str, ...]:
    """Return the words of a clause, numbers left out where there are others."""
    words = clause.casefold().split()
    return tuple(_singular(word) for word in words if word not in _COUNTS) or tuple(words)


def _singular(word: str) -> str:
    """Return a noun or a verb as it is for one, or for several; the same of both is enough here."""
    known = _PLURAL.get(word, word)
    return known.removesuffix("s") if len(known) > len("has") else known
