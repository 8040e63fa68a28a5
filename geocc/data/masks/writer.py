"""From a change mask to captions: several facts told, or one told several ways."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Literal

from geocc.data.masks.facts import View, find_facts
from geocc.data.masks.grammar import join, sentence
from geocc.data.masks.wording import say
from geocc.data.synthetic.wording import NO_CHANGE
from geocc.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from geocc.data.masks.facts import Fact
    from geocc.data.masks.mask import ChangeMask

__all__ = ["Mode", "Style", "write_captions"]

Style = Literal["plain", "levir"]
Mode = Literal["views", "expressions"]

_TRIES = 400


def write_captions(
    mask: ChangeMask,
    *,
    count: int = 5,
    style: Style = "plain",
    mode: Mode = "views",
    seed: int = 0,
    complete: bool = True,
) -> list[str]:
    """Write captions that say what a mask shows, and nothing that it does not.

    A class is spoken of where its change fills at least 0.2 percent of the frame; a place is named where at least 90
    percent of the change lies in it; numbers count patches that do not touch; amounts are shares of the frame, rounded.

    Args:
        mask: Where, and from what to what.
        count: Number of captions, all different; at most 5 where nothing changed, for there is little to say.
        style: `plain` writes sentences in the words of maps; `levir` lower-case clauses without full stop in words and
            lengths like those of LEVIR-CC's annotators.
        mode: `views` tells other facts in each caption: what appeared, what vanished, what took whose place, where, how
            much, how many. `expressions` tells the main facts in other words each time. These are the two sets that
            CCExpert's authors made of SECOND, as far as their file names tell.
        seed: The same captions for the same seed, on any machine.
        complete: Whether the mask holds all that changed. Otherwise nothing is said of the change as a whole, nor that
            there is none, and a mask without a class to speak of gets no captions.

    Returns:
        The captions; fewer than `count` only where the mask does not give so many different ones.

    Raises:
        InputError: An argument is none of the above.
    """
    if style not in {"plain", "levir"} or mode not in {"views", "expressions"} or count < 1:
        raise InputError(
            f"style is {style!r}, mode {mode!r} and count {count}; expected 'plain' or 'levir', 'views' or "
            "'expressions', and a number from 1."
        )
    rng = Random(f"captions {seed}")
    lower = style == "levir"
    facts = tuple(fact for fact in find_facts(mask) if complete or fact.view is not View.CHANGE)
    if not facts and not complete:
        return []
    if not facts:
        return [sentence(text, plain=lower) for text in rng.sample(NO_CHANGE, k=min(count, len(NO_CHANGE)))]
    captions: list[str] = []
    plans = _views(facts, rng, levir=lower) if mode == "views" else _expressions(facts, rng, levir=lower)
    for _, plan in zip(range(_TRIES), plans, strict=False):
        text = _say_all(plan, rng, lower=lower)
        if text not in captions:
            captions.append(text)
        if len(captions) == count:
            break
    return captions


def _say_all(plan: Sequence[Fact], rng: Random, *, lower: bool) -> str:
    joint = len(plan) > 1
    places = not joint or (all(fact.place is not None for fact in plan) and rng.random() < 0.8)
    return sentence(join([say(fact, rng, plain=lower, joint=joint, place=places) for fact in plan]), plain=lower)


def _views(facts: Sequence[Fact], rng: Random, *, levir: bool) -> Iterator[Sequence[Fact]]:
    """Yield what to tell in each caption: each view in turn, from its largest fact on, some of them two by two."""
    by_view = {view: [fact for fact in facts if fact.view is view] for view in View}
    # LEVIR-CC's annotators seldom speak of change without saying of what.
    kinds = [view for view in View if by_view[view] and (view is not View.CHANGE or not levir)] or [View.CHANGE]
    rng.shuffle(kinds)
    turn = 0
    while True:
        view = kinds[turn % len(kinds)]
        told = by_view[view]
        fact = told[(turn // len(kinds)) % len(told)]
        others = [one for one in facts if one.view in {View.GAIN, View.LOSS} and not _share_class(one, fact)]
        if view is not View.CHANGE and others and rng.random() < (0.3 if levir else 0.5):
            yield fact, rng.choice(others[:4])
        else:
            yield (fact,)
        turn += 1


def _share_class(one: Fact, other: Fact) -> bool:
    """Say whether two facts speak of the same class, so that telling both would be telling one twice."""
    return bool({one.before, one.after} & {other.before, other.after} - {None})


def _expressions(facts: Sequence[Fact], rng: Random, *, levir: bool) -> Iterator[Sequence[Fact]]:
    """Yield the main facts over and over: the largest replacement, and at times the next along with it."""
    main = [fact for fact in facts if fact.view is View.REPLACEMENT] or [facts[0]]
    yield from (main[:1] for _ in range(2))
    while True:
        yield main[: rng.choice((1, 1, 1, 1, 1, 2) if levir else (1, 1, 2))]
