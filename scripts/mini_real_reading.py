"""What a caption says of water, in either of the two wordings that geocc-mini learns."""

from __future__ import annotations

from dataclasses import dataclass

from geocc.data.masks import read_statements
from geocc.data.synthetic import Category, Direction, read_caption
from geocc.errors import InputError
from geocc.inference.no_change import says_no_change

__all__ = ["Said", "read"]

_WET = {Category.WATER, Category.FLOODED}


@dataclass(frozen=True, slots=True)
class Said:
    """What a caption says.

    Attributes:
        changed: Whether anything did.
        water_gained: Whether water came or grew.
        water_lost: Whether water went or shrank.
        understood: Whether the caption could be read.
    """

    changed: bool
    water_gained: bool
    water_lost: bool
    understood: bool = True


def read(caption: str) -> Said:
    """Read a caption: by the closed list of words of captions from masks, or else as one of a synthetic scene."""
    if says_no_change(caption):
        return Said(changed=False, water_gained=False, water_lost=False)
    try:
        told = read_statements(caption)
    except InputError:
        return _read_synthetic(caption)
    came = {one.after.name for one in told if one.after is not None}
    went = {one.before.name for one in told if one.before is not None}
    return Said(changed=True, water_gained="water" in came, water_lost="water" in went)


def _read_synthetic(caption: str) -> Said:
    told = read_caption(caption)
    came, went = set(), set()
    for one in told:
        first, second = (came, went) if one.direction is Direction.GAIN else (went, came)
        first.add(one.category)
        second.add(one.other)
    return Said(changed=True, water_gained=bool(came & _WET), water_lost=bool(went & _WET), understood=bool(told))
