"""A small realiser: noun phrases, verbs that agree with them, clauses and sentences of English."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["NUMBER_WORDS", "Form", "Noun", "Phrase", "Verb", "clause", "counted", "join", "sentence"]

NUMBER_WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
"""Numbers in words, from 0."""


@dataclass(frozen=True, slots=True)
class Noun:
    """A noun with its complements, such as `area of trees`.

    Attributes:
        singular: Without article; for a mass noun, the only form.
        plural: None for a mass noun.
    """

    singular: str
    plural: str | None = None


@dataclass(frozen=True, slots=True)
class Phrase:
    """A noun phrase, ready to be said.

    Attributes:
        text: Its words.
        plural: Whether its verb is plural.
    """

    text: str
    plural: bool = False


@dataclass(frozen=True, slots=True)
class Verb:
    """A verb.

    Attributes:
        base: As in `they appear`.
        third: As in `it appears`.
        participle: As in `it has appeared`.
        passive: Whether its subject undergoes it: `it has been built`.
    """

    base: str
    third: str
    participle: str
    passive: bool = False


class Form(StrEnum):
    """When a thing is told to happen."""

    PRESENT = "present"
    PERFECT = "perfect"
    PAST = "past"


def counted(noun: Noun, number: int | None) -> Phrase:
    """Say a noun with its number.

    Args:
        noun: The noun.
        number: How many; None says nothing of it. A mass noun has no number.
    """
    if noun.plural is None:
        return Phrase(noun.singular)
    if number is None:
        return Phrase(noun.plural, plural=True)
    if number == 1:
        article = "an" if noun.singular[0] in "aeiou" else "a"
        return Phrase(f"{article} {noun.singular}")
    word = NUMBER_WORDS[number] if number < len(NUMBER_WORDS) else str(number)
    return Phrase(f"{word} {noun.plural}", plural=True)


def conjugate(verb: Verb, form: Form, *, plural: bool) -> str:
    """Return a verb in agreement with its subject; an active verb has no past here, but its perfect."""
    has, is_, was = ("have", "are", "were") if plural else ("has", "is", "was")
    if verb.passive:
        before = {Form.PRESENT: is_, Form.PERFECT: f"{has} been", Form.PAST: was}[form]
        return f"{before} {verb.participle}"
    if form is Form.PRESENT:
        return verb.base if plural else verb.third
    return f"{has} {verb.participle}"


def clause(subject: Phrase, verb: Verb, *, form: Form, after: str = "", where: str = "", fronted: bool = False) -> str:
    """Say that a subject does something, or undergoes it.

    Args:
        subject: Who or what.
        verb: Does what.
        form: When.
        after: What follows the verb, such as `by water`.
        where: An adverbial of place; may be empty.
        fronted: Whether the place comes first: `in the center, ...`.
    """
    core = " ".join(filter(None, (subject.text, conjugate(verb, form, plural=subject.plural), after)))
    if not where:
        return core
    return f"{where}, {core}" if fronted else f"{core} {where}"


def join(clauses: Sequence[str]) -> str:
    """Join clauses into one."""
    if len(clauses) < 2:
        return "".join(clauses)
    return f"{', '.join(clauses[:-1])} and {clauses[-1]}"


def sentence(text: str, *, plain: bool) -> str:
    """Finish a sentence: with a capital and a full stop, or as it is, as LEVIR-CC's are."""
    return text if plain else f"{text[0].upper()}{text[1:]}."
