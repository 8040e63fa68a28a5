"""Reading captions back: which facts a sentence about a mask states, told by a closed list of words.

The reader is for text from outside, such as a language model's paraphrase. It knows what the writer may say and the
plainest other words for it, and nothing else: a sentence with one unknown word is not read at all. So what it reads
holds no statement beside the ones that it returns.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from geocc.data.masks.facts import View
from geocc.data.masks.tokens import BUILT, REMOVED, Kind, Token, tokenize_sentence
from geocc.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geocc.data.synthetic.facts import Place

__all__ = ["Named", "Statement", "read_statements"]


@dataclass(frozen=True, slots=True, order=True)
class Named:
    """A class of land as a sentence names it.

    Attributes:
        name: Key of the class, as in `LandClass.name`.
        kind: `area` (a patch of it), `thing` (a building) or `mass` (built-up land).
        number: What is said of its number: `1` to `10` and on, `a`, `plural`, `several`, `many`, `some`, `bare`, `the`.
    """

    name: str
    kind: str
    number: str


@dataclass(frozen=True, slots=True)
class Statement:
    """One thing that a sentence says.

    Attributes:
        view: Whether something came, went, took another's place, or changed without saying what.
        before: What went; None for a gain and for a change as a whole.
        after: What came; None for a loss and for a change as a whole.
        areas: In how many places the change as a whole lies, as `Named.number`; None where it does not say.
        place: Where in the frame; None where it does not say.
        amount: Share of the scene as it is said, such as `about 10%`; None where it does not say.
    """

    view: View
    before: Named | None
    after: Named | None
    areas: str | None
    place: Place | None
    amount: str | None


def read_statements(sentence: str) -> tuple[Statement, ...]:
    """Return what a sentence about a mask states.

    Words that say the same are read alike: `a wooded area` and `one patch of trees`, `in the upper left` and
    `at the top left`. What says more or less is not: `tree cover has vanished` is more than `some tree cover`, a
    building more than a built-up area, `10 percent` more than `about 10 percent`.

    Args:
        sentence: One sentence, with or without capital and full stop.

    Returns:
        The statements, in the order in which they are made.

    Raises:
        InputError: It holds an unknown word, or one cannot tell which word belongs to which; also where it says that
            nothing changed.
    """
    return tuple(_statement(clause) for clause in _clauses(tokenize_sentence(sentence)))


_TELLING = frozenset({Kind.GAIN, Kind.LOSS, Kind.OLD_FIRST, Kind.NEW_FIRST, Kind.CHANGE, Kind.EXIST})
_BREAKS = (Kind.STRONG_BREAK, Kind.WEAK_BREAK)
# "There is now water in place of trees", "change is visible": said with two words, meant once.
_MERGED = {
    (Kind.EXIST, Kind.NEW_FIRST): Kind.NEW_FIRST,
    (Kind.GAIN, Kind.NEW_FIRST): Kind.NEW_FIRST,
    (Kind.EXIST, Kind.CHANGE): Kind.CHANGE,
    (Kind.CHANGE, Kind.EXIST): Kind.CHANGE,
    (Kind.CHANGE, Kind.CHANGE): Kind.CHANGE,
    (Kind.EXIST, Kind.EXIST): Kind.EXIST,
}


@dataclass(frozen=True, slots=True)
class _Clause:
    """The words of one statement, those before what it tells and those after."""

    telling: Kind
    word: str
    before: tuple[Token, ...]
    after: tuple[Token, ...]


def _clauses(tokens: Sequence[Token]) -> list[_Clause]:
    """Cut a sentence so that each part tells one thing; where two cuts are possible, neither is taken."""
    told = [at for at, token in enumerate(tokens) if token.kind in _TELLING]
    if not told:
        raise InputError("it tells no change")
    groups: list[list[int]] = [[told[0]]]
    starts = [0]
    for one, two in pairwise(told):
        cut = _cut(tokens, one, two)
        if cut is None:
            groups[-1].append(two)
        else:
            groups.append([two])
            starts.append(cut + 1)
    ends = [start - 1 for start in starts[1:]] + [len(tokens)]
    return [_clause(tokens, group, start, end) for group, start, end in zip(groups, starts, ends, strict=True)]


def _cut(tokens: Sequence[Token], one: int, two: int) -> int | None:
    """Return where to cut between two words that tell something, or None where they belong together."""
    for kind in _BREAKS:
        found = [at for at in range(one + 1, two) if tokens[at].kind is kind]
        if len(found) == 1:
            return found[0]
        if found:
            raise InputError("one cannot tell where one statement ends and the next begins")
    return None


def _clause(tokens: Sequence[Token], group: list[int], start: int, end: int) -> _Clause:
    telling = tokens[group[0]].kind
    at = group[0]
    for number in group[1:]:
        merged = _MERGED.get((telling, tokens[number].kind))
        if merged is None:
            raise InputError(f"{tokens[at].text!r} and {tokens[number].text!r} stand in one statement")
        at = number if merged is tokens[number].kind else at
        telling = merged
    inside = [token for token in tokens[start:end] if token.kind is Kind.STRONG_BREAK]
    if inside:
        raise InputError(f"{inside[0].text!r} joins things within one statement")
    skipped = {*group}
    left = tuple(token for number, token in enumerate(tokens[start:at], start) if number not in skipped)
    right = tuple(token for number, token in enumerate(tokens[at + 1 : end], at + 1) if number not in skipped)
    return _Clause(telling, tokens[at].text, left, right)


@dataclass(frozen=True, slots=True)
class _Mention:
    """A class, or a region without class, with what stands before it."""

    token: Token
    number: str
    new: bool


def _statement(clause: _Clause) -> Statement:
    words = (*clause.before, *clause.after)
    place = _only(words, Kind.PLACE)
    amount = _only(words, Kind.AMOUNT)
    before, after = _mentions(clause.before), _mentions(clause.after)
    views = {
        Kind.GAIN: _arrival,
        Kind.EXIST: _arrival,
        Kind.LOSS: _departure,
        Kind.OLD_FIRST: _replacement,
        Kind.NEW_FIRST: _replacement,
        Kind.CHANGE: _whole,
    }
    view, old, new, areas = views[clause.telling](clause, before, after)
    return Statement(
        view=view,
        before=old,
        after=new,
        areas=areas,
        place=None if place is None else place.place,
        amount=None if amount is None else amount.text,
    )


_Told = tuple[View, Named | None, Named | None, str | None]


def _arrival(clause: _Clause, before: list[_Mention], after: list[_Mention]) -> _Told:
    mention = _one_class([*before, *after])
    if clause.telling is Kind.EXIST and not mention.new:
        raise InputError("it says that something is there, not that it is new")
    if clause.word in BUILT and not mention.token.built:
        raise InputError(f"{clause.word!r} is said of what nobody builds")
    return View.GAIN, None, _named(mention, came=True), None


def _departure(clause: _Clause, before: list[_Mention], after: list[_Mention]) -> _Told:
    mention = _one_class([*before, *after])
    if mention.new:
        raise InputError("it calls new what went")
    if clause.word in REMOVED and not mention.token.built:
        raise InputError(f"{clause.word!r} is said of what nobody removes")
    return View.LOSS, _named(mention, came=False), None, None


def _replacement(clause: _Clause, before: list[_Mention], after: list[_Mention]) -> _Told:
    first, second = _one_class(before), _one_class(after)
    old, new = (first, second) if clause.telling is Kind.OLD_FIRST else (second, first)
    if old.new:
        raise InputError("it calls new what went")
    return View.REPLACEMENT, _named(old, came=False), _named(new, came=True), None


def _whole(clause: _Clause, before: list[_Mention], after: list[_Mention]) -> _Told:  # noqa: ARG001  # as the others
    mentions = [*before, *after]
    if any(mention.token.kind is Kind.CLASS or mention.new for mention in mentions) or len(mentions) > 1:
        raise InputError("it tells a change as a whole and names classes, or places twice")
    areas = _count(mentions[0]) if mentions else None
    return View.CHANGE, None, None, areas


def _only(words: Sequence[Token], kind: Kind) -> Token | None:
    found = [token for token in words if token.kind is kind]
    if len({(token.text, token.place) for token in found}) > 1:
        raise InputError(f"one statement has two of a kind: {found[0].text!r} and {found[1].text!r}")
    return found[0] if found else None


def _mentions(words: Sequence[Token]) -> list[_Mention]:
    """Give each class the number before it, and refuse numbers that belong to nothing."""
    found: list[_Mention] = []
    number, new = "", False
    for token in words:
        if token.kind is Kind.NUMBER:
            number = f"{number} {token.text}".strip()
        elif token.kind is Kind.NEW:
            new = True
        elif token.kind in {Kind.CLASS, Kind.REGION}:
            found.append(_Mention(token, number, new))
            number, new = "", False
        else:
            _refuse_left_over(number, new=new)
            number = ""
    _refuse_left_over(number, new=new)
    return found


def _refuse_left_over(number: str, *, new: bool) -> None:
    # "the" alone may stand before anything: "the scene", "the change".
    if number not in {"", "the"} or new:
        raise InputError(f"{'new' if new else number!r} stands before no class")


def _one_class(mentions: list[_Mention]) -> _Mention:
    if len(mentions) != 1 or mentions[0].token.kind is not Kind.CLASS:
        raise InputError(f"one class was expected and {len(mentions)} things are named")
    return mentions[0]


def _named(mention: _Mention, *, came: bool) -> Named:
    token = mention.token
    if token.form == "mass":
        known = {"": "some" if came else "bare", "some": "some", "the": "the"}
        if mention.number not in known:
            raise InputError(f"{mention.number!r} stands before {token.text!r}, which has no number")
        return Named(token.name, "mass", known[mention.number])
    return Named(token.name, token.form, _count(mention))


_SINGULAR = {"a": "a", "1": "1", "the": "the"}
_PLURAL = {"": "plural", "some": "plural", "multiple": "plural", "several": "several", "many": "many", "the": "the"}


def _count(mention: _Mention) -> str:
    """Return what is said of a number, and refuse what does not agree with the noun."""
    token, number = mention.token, mention.number
    if not token.plural and number in _SINGULAR:
        # One patch is a patch; a building may be one of a block, and one building is no other.
        return "1" if number == "a" and token.form != "thing" else _SINGULAR[number]
    if token.plural and (number in _PLURAL or (number.isdecimal() and number != "1")):
        return _PLURAL.get(number, number)
    raise InputError(f"{number!r} does not go with {token.text!r}")
