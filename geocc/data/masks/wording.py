"""Ways to say a fact: every combination of noun, verb, time and place that the mask bears out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from geocc.data.masks.facts import View
from geocc.data.masks.grammar import Form, Noun, Phrase, Verb, clause, counted
from geocc.data.masks.places import PHRASES
from geocc.data.masks.vocabulary import MASS_GAINS, MASS_LOSSES

if TYPE_CHECKING:
    from random import Random

    from geocc.data.masks.facts import Fact
    from geocc.data.masks.vocabulary import LandClass

__all__ = ["amounts", "say"]

_REPLACE = Verb("replace", "replaces", "replaced", passive=True)
_INTO = (Verb("become", "becomes", "become"), Verb("turn into", "turns into", "turned into"))
_YIELD = Verb("give way to", "gives way to", "given way to")
_SUCCEED = (
    Verb("replace", "replaces", "replaced"),
    Verb("take the place of", "takes the place of", "taken the place of"),
)
_CHANGE = (Verb("change", "changes", "changed"), Verb("alter", "alters", "altered", passive=True))
_COVER = (
    Verb("cover", "covers", "covered"),
    Verb("affect", "affects", "affected"),
    Verb("make up", "makes up", "made up"),
)
_PLACE_AREA = (Noun("area", "areas"), Noun("part of the scene", "parts of the scene"), Noun("place", "places"))

_MOST_COUNTED = 10
_TELL_PLACE = 0.85


def say(fact: Fact, rng: Random, *, plain: bool, joint: bool = False, place: bool = True) -> str:
    """Say one fact as a clause without capital and full stop.

    Args:
        fact: What the mask shows.
        rng: Chooses among the wordings.
        plain: Whether in the words of LEVIR-CC's annotators rather than in the words of maps.
        joint: Whether it is said along with other facts. An adverbial could then be heard with all of them, so either
            each has its place or none has, and none comes first.
        place: Whether the place may be told; when joint, whether it must.
    """
    form = rng.choice((Form.PRESENT, Form.PERFECT, Form.PERFECT, Form.PAST))
    tell = place and fact.place is not None and (joint or rng.random() < _TELL_PLACE)
    # LEVIR-CC's annotators say `at the top left` rather than `in the top left part of the scene`.
    where = rng.choice(PHRASES[fact.place][:: 2 if plain else 1]) if tell and fact.place is not None else ""
    fronted = bool(where) and not plain and not joint and rng.random() < 0.25
    if fact.view is View.CHANGE:
        return _say_change(fact, rng, form=form, where=where, fronted=fronted)
    if not where and not plain and not joint and rng.random() < 0.6:
        where = f"on {rng.choice(amounts(fact.share))} of the scene"
    if fact.view is View.REPLACEMENT:
        return _say_replacement(fact, rng, form=form, where=where, fronted=fronted, plain=plain)
    return _say_arrival(fact, rng, form=form, where=where, fronted=fronted, plain=plain)


def amounts(share: float) -> list[str]:
    """Return the ways to tell a share of the scene, each true within its rounding.

    Args:
        share: In (0, 1].
    """
    percent = 100 * share
    if percent < 1:
        return ["less than one percent"]
    ways = [f"about {round(percent)} percent", f"about {round(percent)}%"]
    ways += [f"about {word}" for word, exact in _FRACTIONS.items() if abs(percent - exact) <= _FRACTION_SLACK]
    if percent > 50:
        ways.append("more than half")
    return ways


_FRACTIONS = {
    "a tenth": 10.0,
    "a fifth": 20.0,
    "a quarter": 25.0,
    "a third": 100 / 3,
    "half": 50.0,
    "two thirds": 200 / 3,
}
_FRACTION_SLACK = 1.5


def _say_arrival(fact: Fact, rng: Random, *, form: Form, where: str, fronted: bool, plain: bool) -> str:
    """Tell what came, or what went."""
    gained = fact.view is View.GAIN
    land = _class(fact, gained=gained)
    if gained and rng.random() < 0.15:
        core = f"there is new {_mass(land, rng, plain=plain)}"
        return f"{where}, {core}" if fronted else f"{core} {where}".rstrip()
    if (plain and land.thing.plural is None) or (not plain and rng.random() < 0.4):
        some = not gained or rng.random() < 0.5
        subject = Phrase(("some " if some else "") + _mass(land, rng, plain=plain))
        verb = rng.choice(MASS_GAINS if gained else MASS_LOSSES)
    else:
        subject = _thing(fact, land, rng) if plain else _areas(fact, land, rng)
        verb = rng.choice(land.gains if gained else land.losses)
    return clause(subject, verb, form=form, where=where, fronted=fronted)


def _class(fact: Fact, *, gained: bool) -> LandClass:
    land = fact.after if gained else fact.before
    if land is None:  # pragma: no cover - find_facts gives every gain and loss its class
        raise AssertionError(fact)
    return land


def _areas(fact: Fact, land: LandClass, rng: Random) -> Phrase:
    """Name it by its patches; a number is told only where the mask tells it."""
    noun = rng.choice(land.areas)
    choices = []
    if fact.areas is not None and fact.areas <= _MOST_COUNTED:
        choices.append(counted(noun, fact.areas))
    if fact.patches > 1:
        choices.append(counted(noun, None))
    if fact.patches > 2:
        choices.append(Phrase(f"several {noun.plural}", plural=True))
    return rng.choice(choices) if choices else Phrase(f"some {rng.choice(land.mass).singular}")


def _thing(fact: Fact, land: LandClass, rng: Random) -> Phrase:
    """Name it as LEVIR-CC's annotators do; every patch holds one thing at least."""
    if fact.patches < 2:
        return counted(land.thing, 1)
    words = ["", "some "] + ["several "] * 2 * (fact.patches > 2) + ["many "] * (fact.patches > 5)
    return Phrase(f"{rng.choice(words)}{land.thing.plural}", plural=True)


def _mass(land: LandClass, rng: Random, *, plain: bool) -> str:
    return land.thing.singular if plain and land.thing.plural is None else rng.choice(land.mass).singular


def _say_replacement(fact: Fact, rng: Random, *, form: Form, where: str, fronted: bool, plain: bool) -> str:
    before, after = _class(fact, gained=False), _class(fact, gained=True)
    old, new = f"some {_mass(before, rng, plain=plain)}", _mass(after, rng, plain=plain)
    subject = Phrase(old)
    if not plain and fact.areas is not None and fact.areas <= _MOST_COUNTED and rng.random() < 0.5:
        subject = counted(rng.choice(before.areas), fact.areas)
    if plain and after.thing.plural is not None:
        new = _thing(fact, after, rng).text
    way = rng.randrange(5)
    if way == 0:
        return clause(subject, _REPLACE, form=form, after=f"by {new}", where=where, fronted=fronted)
    if way == 1 and not plain:
        return clause(subject, rng.choice(_INTO), form=form, after=new, where=where, fronted=fronted)
    if way == 2:
        verb = rng.choice(_SUCCEED)
        plural = plain and after.thing.plural is not None and new.endswith(after.thing.plural)
        return clause(Phrase(new, plural=plural), verb, form=form, after=old, where=where, fronted=fronted)
    if way == 3:
        are = "are" if plain and after.thing.plural is not None and new.endswith(after.thing.plural) else "is"
        return " ".join(filter(None, (f"there {are} now {new}", where, f"in place of {old}")))
    return clause(subject, _YIELD, form=form, after=new, where=where, fronted=fronted)


def _say_change(fact: Fact, rng: Random, *, form: Form, where: str, fronted: bool) -> str:
    """Tell the change as a whole: how much, in how many places, or where."""
    form = Form.PERFECT if form is Form.PRESENT else form
    amount = f"{rng.choice(amounts(fact.share))} of the scene"
    way = rng.randrange(5) if where else rng.choice((0, 0, 1, 1, 2, 2, 3, 4))
    if way == 0 and fact.areas is not None and fact.areas <= _MOST_COUNTED:
        subject = counted(rng.choice(_PLACE_AREA), fact.areas)
        return clause(subject, rng.choice(_CHANGE), form=form, where=where, fronted=fronted)
    if way == 1:
        return clause(Phrase(amount), rng.choice(_CHANGE), form=form)
    if way == 2:
        subject = Phrase(rng.choice(("the change", "what has changed")))
        return clause(subject, rng.choice(_COVER), form=Form.PRESENT, after=amount)
    if way == 3:
        subject = Phrase(rng.choice(("something", "the scene")))
        return clause(subject, rng.choice(_CHANGE), form=form, where=where, fronted=fronted)
    what = rng.choice(("there is change", "change is visible", "change can be seen"))
    return f"{where}, {what}" if fronted else f"{what} {where}".rstrip()
