"""The closed list of words that sentences about masks may be made of, and how a sentence is cut into them."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import Enum, auto
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from geocc.data.masks.grammar import NUMBER_WORDS
from geocc.data.masks.vocabulary import INDICES, LEVIR_MCI, SECOND, WORLDCOVER
from geocc.data.synthetic.facts import Place
from geocc.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from geocc.data.masks.vocabulary import LandClass

__all__ = ["BUILT", "REMOVED", "Kind", "Token", "tokenize_sentence"]


class Kind(Enum):
    """What a word does in a sentence."""

    GAIN = auto()
    LOSS = auto()
    OLD_FIRST = auto()
    """`is replaced by`: what went stands before it."""
    NEW_FIRST = auto()
    """`takes the place of`: what came stands before it."""
    CHANGE = auto()
    EXIST = auto()
    CLASS = auto()
    REGION = auto()
    NUMBER = auto()
    NEW = auto()
    PLACE = auto()
    AMOUNT = auto()
    STRONG_BREAK = auto()
    WEAK_BREAK = auto()
    EMPTY = auto()


@dataclass(frozen=True, slots=True)
class Token:
    """One word, or some that belong together.

    Attributes:
        kind: What it does.
        text: As it stands there; of numbers, amounts and places the form that all ways to say it share.
        name: Key of its class.
        form: `area`, `thing` or `mass`.
        plural: Whether it is in the plural.
        built: Whether its class is built and removed by people.
        place: The place that it names.
    """

    kind: Kind
    text: str
    name: str = ""
    form: str = ""
    plural: bool = False
    built: bool = False
    place: Place | None = None


def tokenize_sentence(sentence: str) -> list[Token]:
    """Cut a sentence into known words; words without meaning of their own are left out.

    Args:
        sentence: With or without capital and full stop; hyphens count as spaces.

    Raises:
        InputError: A word is not on the list.
    """
    text = " ".join(sentence.lower().replace("-", " ").strip().removesuffix(".").split())
    tokens, at = [], 0
    while at < len(text):
        token, end = _longest(text, at)
        if token is None:
            raise InputError(f"{text[at:].split()[0]!r} is no word of captions from masks")
        if token.kind is not Kind.EMPTY:
            tokens.append(_finished(token, text[at:end]))
        at = end + (text[end : end + 1] == " ")
    return tokens


class _Rule(NamedTuple):
    pattern: re.Pattern[str]
    token: Token


_WORD_END = re.compile(r"(?=[ ,;]|$)")


def _longest(text: str, at: int) -> tuple[Token | None, int]:
    """Return the token of the longest known words that begin here, and where they end."""
    best, end = None, at
    for rule in _rules():
        found = rule.pattern.match(text, at)
        if found and found.end() > end:
            best, end = rule.token, found.end()
    nouns = _nouns()
    for stop in _WORD_END.finditer(text, at + 1):
        if text.count(" ", at, stop.start()) >= _MOST_WORDS:
            break
        noun = nouns.get(text[at : stop.start()])
        if noun is not None and stop.start() > end:
            best, end = noun, stop.start()
    return best, end


def _finished(token: Token, text: str) -> Token:
    """Put the words themselves where the rule says nothing of them."""
    if token.kind is Kind.AMOUNT:
        return replace(token, text=_amount(text))
    return token if token.text else replace(token, text=text)


BUILT = ("built", "constructed", "erected")
"""Verbs said of what people build, and of nothing else."""
REMOVED = ("removed",)
"""Verbs said of what people remove."""

_SCENE = "of the (?:scene|image|frame|tile)"
_AREA = {"area": "areas", "patch": "patches", "zone": "zones", "section": "sections", "stretch": "stretches"}
_REGION = _AREA | {"place": "places", "part of the scene": "parts of the scene"}
_PERCENT = "(?:%|per ?cent)"
_FRACTION = "(?:(?:a|one) (?:tenth|fifth|quarter|third)|(?:a |one )?half|two thirds)"
_QUALIFIER = "(?:about|approximately|around|roughly|less than|under|more than|over)"
_SHARE = rf"(?:\d+|{'|'.join(NUMBER_WORDS[1:])}) ?{_PERCENT}"

_WORDS: dict[Kind, tuple[str, ...]] = {
    Kind.GAIN: ("appears?", "appeared", "emerges?", "emerged", "gained", *BUILT),
    Kind.LOSS: (
        *("disappears?", "disappeared", "vanish(?:es|ed)?", "lost", "gone", *REMOVED),
        "no longer (?:there|present|visible)",
    ),
    Kind.OLD_FIRST: (
        "(?:(?:is|are|was|were|been) )?(?:replaced|superseded|supplanted) (?:by|with)",
        "(?:gives?|gave|given) way to",
        "(?:turns?|turned|converted|transformed|changed) (?:in)?to",
        *("becomes?", "became"),
    ),
    Kind.NEW_FIRST: (
        *("replaces?", "supersedes?", "(?:takes?|took|taken) (?:over from|the place of)", "in place of", "instead of"),
        "(?<!is )(?<!are )(?<!was )(?<!were )(?<!been )replaced",
    ),
    Kind.CHANGE: ("changed", "altered", "modified", "(?:a )?change", "of change"),
    Kind.EXIST: ("there (?:is|are)(?: now)?", "(?:is|are)(?: now)? visible", "can(?: now)? be seen"),
    Kind.NEW: ("new",),
    Kind.STRONG_BREAK: (",? ?(?:and|while|whereas)", ";"),
    Kind.WEAK_BREAK: (",",),
    Kind.AMOUNT: (f"(?:{_QUALIFIER} )?(?:{_SHARE}|{_FRACTION}) {_SCENE}",),
    Kind.EMPTY: (
        *("is", "are", "was", "were", "has", "have", "been", "now", "what", "something", "the scene"),
        *("in", "on", "over", "across", "within", "at", "shows?", "shown"),
        *("cover(?:s|ing|ed)?", "affect(?:s|ing|ed)?", "mak(?:es?|ing) up", "made up", "accounts? for"),
    ),
}
"""Words by what they do. A verb in the future, a negation, a doubt or a cause is on no list."""

_NUMBERS = {
    "a": "an?",
    "the": "the",
    "some": "some(?: of the)?",
    "several": "several",
    "many": "many|numerous",
    "multiple": "multiple",
} | {str(number): rf"{word}|{number}" for number, word in enumerate(NUMBER_WORDS) if number > 1}
_NUMBERS |= {"1": "one|a single|1"}

_UPPER, _LOWER = "(?:upper|top)", "(?:lower|bottom)"
_IN = "(?:in|at|on|within|across)"
_PART = "part|side|portion|section|area"
_QUARTERS = {
    Place.UPPER_LEFT: f"{_UPPER} left",
    Place.UPPER_RIGHT: f"{_UPPER} right",
    Place.LOWER_LEFT: f"{_LOWER} left",
    Place.LOWER_RIGHT: f"{_LOWER} right",
}
_HALVES = {
    Place.TOP: _UPPER,
    Place.BOTTOM: _LOWER,
    Place.LEFT: "left(?: hand)?",
    Place.RIGHT: "right(?: hand)?",
}

_MASSES = {
    "trees": ("tree cover", "trees", "woodland"),
    "grass": ("grassland", "grass"),
    "shrubs": ("shrubland", "shrubs"),
    "crops": ("cropland", "crops"),
    "vegetation": ("vegetation cover",),
    "ground": ("ground without vegetation", "unvegetated land"),
    "bare": ("bare ground",),
    "snow": ("snow cover",),
}
_ADJECTIVES = {
    "building": ("built up",),
    "trees": ("wooded", "tree covered"),
    "vegetation": ("vegetated",),
    "ground": ("unvegetated",),
    "grass": ("grassy",),
}
_BODIES = {"water": {"water body": "water bodies"}}
_MOST_WORDS = 5


@cache
def _rules() -> tuple[_Rule, ...]:
    rules = [_rule(pattern, Token(kind, "")) for kind, patterns in _WORDS.items() for pattern in patterns]
    rules += [_rule(pattern, Token(Kind.NUMBER, number)) for number, pattern in _NUMBERS.items()]
    rules += list(_place_rules())
    return tuple(rules)


def _rule(pattern: str, token: Token) -> _Rule:
    # A mark needs no space around it, a word does.
    end = r"(?!\w)" if pattern[-1].isalnum() or pattern[-1] in ")?" else ""
    return _Rule(re.compile(f"(?:{pattern}){end}"), token)


def _place_rules() -> Iterator[_Rule]:
    for words, part in ((_QUARTERS, f"(?:quarter|{_PART})"), (_HALVES, f"(?:half|{_PART})")):
        for place, word in words.items():
            token = Token(Kind.PLACE, place, place=place)
            yield _rule(f"{_IN} the {word}(?: {part})?(?: {_SCENE})?", token)
            yield _rule(f"the {word} {part}(?: {_SCENE})?", token)
    center = f"(?:{_IN}|around) the (?:center|centre|middle|central part)(?: {_SCENE})?"
    across = f"(?:across|throughout) the (?:whole )?scene|in all four quarters(?: {_SCENE})?"
    yield _rule(center, Token(Kind.PLACE, Place.CENTER, place=Place.CENTER))
    yield _rule(across, Token(Kind.PLACE, Place.ACROSS, place=Place.ACROSS))


@cache
def _nouns() -> dict[str, Token]:
    """Return what every class and every region without class may be called."""
    nouns: dict[str, Token] = {}
    for singular, plurals in _REGION.items():
        nouns |= {singular: Token(Kind.REGION, ""), plurals: Token(Kind.REGION, "", plural=True)}
    for vocabulary in (SECOND, LEVIR_MCI, WORLDCOVER, INDICES):
        for land in vocabulary.values():
            built = any(verb.participle in BUILT for verb in land.gains)
            for words, form, plural in _names(land):
                token = Token(Kind.CLASS, "", name=land.name, form=form, plural=plural, built=built)
                nouns[words.replace("-", " ")] = token
    return nouns


def _names(land: LandClass) -> Iterator[tuple[str, str, bool]]:
    """Yield the names of a class, each with its form and whether it is a plural."""
    masses = {*(noun.singular for noun in land.mass), *_MASSES.get(land.name, ())}
    yield from ((mass, "mass", False) for mass in masses)
    areas = {noun.singular: noun.plural or noun.singular for noun in land.areas} | _BODIES.get(land.name, {})
    for singular, plural in _AREA.items():
        areas |= {f"{singular} of {mass}": f"{plural} of {mass}" for mass in masses}
        areas |= {f"{adjective} {singular}": f"{adjective} {plural}" for adjective in _ADJECTIVES.get(land.name, ())}
    for singular, plural in areas.items():
        yield singular, "area", False
        yield plural, "area", True
    if land.thing.plural is not None:
        yield land.thing.singular, "thing", False
        yield land.thing.plural, "thing", True


def _amount(text: str) -> str:
    """Return an amount in the form that all ways to say it share: `about 10%`, `less than 1%`, `more than half`."""
    words = re.sub(f" {_SCENE}$", "", text)
    words = re.sub(r"^(?:approximately|around|roughly)\b", "about", words)
    words = re.sub(r"^under\b", "less than", words)
    words = re.sub(r"^over\b", "more than", words)
    words = re.sub(f" ?{_PERCENT}$", "%", words)
    for number, word in enumerate(NUMBER_WORDS):
        words = re.sub(rf"\b{word}%$", f"{number}%", words)
    return re.sub(r"\b(?:a|one) (?=tenth|fifth|quarter|third|half)", "", words)
