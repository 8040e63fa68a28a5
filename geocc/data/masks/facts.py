"""What a mask shows: which class came, which went, which took the place of which, where, how much, in how many patches."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from geocc.data.masks.places import find_place

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geocc.data.masks.mask import ChangeMask
    from geocc.data.masks.vocabulary import LandClass
    from geocc.data.synthetic.facts import Place

__all__ = ["Fact", "View", "change_kinds", "find_facts"]

SPOKEN = 0.002
"""Least share of the frame that a change fills for its class to be spoken of."""
_SPECK = 0.001
_SPECKS = 0.05
_EIGHT = np.ones((3, 3), dtype=bool)


class View(StrEnum):
    """The side from which a change is told."""

    GAIN = "gain"
    LOSS = "loss"
    REPLACEMENT = "replacement"
    CHANGE = "change"


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that the mask shows.

    Attributes:
        view: What is told of it; `CHANGE` is the change as a whole.
        before: What was there; None for a gain, and for a change as a whole.
        after: What is there now; None for a loss, and for a change as a whole.
        place: Where, if a word fits.
        areas: In how many patches that touch neither at sides nor at corners; None if specks make the number doubtful.
        patches: How many of them are surely more than specks.
        share: Share of the frame, in [0, 1].
    """

    view: View
    before: LandClass | None
    after: LandClass | None
    place: Place | None
    areas: int | None
    patches: int
    share: float


def find_facts(mask: ChangeMask) -> tuple[Fact, ...]:
    """Return what a mask shows, the largest first within each view; nothing where nothing changed."""
    if not mask.changed.any():
        return ()
    facts = [_fact(View.CHANGE, mask.changed)]
    pairs = {
        (int(one), int(two))
        for one, two in np.unique(np.stack([mask.before[mask.changed], mask.after[mask.changed]]), axis=1).T
    }
    words = mask.vocabulary
    if words:
        gone, come = {one for one, _ in pairs}, {two for _, two in pairs}
        facts += [_fact(View.LOSS, mask.changed & (mask.before == one), before=words[one]) for one in gone]
        facts += [_fact(View.GAIN, mask.changed & (mask.after == two), after=words[two]) for two in come]
        facts += [
            _fact(
                View.REPLACEMENT,
                mask.changed & (mask.before == one) & (mask.after == two),
                before=words[one],
                after=words[two],
            )
            for one, two in pairs
        ]
    spoken = [fact for fact in facts if fact.view is View.CHANGE or fact.share >= SPOKEN]
    return tuple(sorted(spoken, key=_order))


def change_kinds(mask: ChangeMask) -> list[str]:
    """Return what kinds of change a mask shows, the largest first.

    Args:
        mask: Where, and from what to what.

    Returns:
        `vegetation to water` and the like, of changes that fill enough of the frame to be spoken of; `change` where
        the mask does not tell of what; nothing where nothing changed.
    """
    if not mask.vocabulary:
        return ["change"] if mask.changed.any() else []
    classes = np.stack([mask.before[mask.changed], mask.after[mask.changed]], axis=1)
    pairs, counts = np.unique(classes, axis=0, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    # The largest is one in any case: of many small ones, none else would be.
    spoken = [at for at in order if counts[at] >= SPOKEN * mask.changed.size] or order[:1]
    words = mask.vocabulary
    return [f"{words[int(pairs[at, 0])].name} to {words[int(pairs[at, 1])].name}" for at in spoken]


def _order(fact: Fact) -> tuple[str, float, str]:
    names = "".join(one.name for one in (fact.before, fact.after) if one is not None)
    return fact.view, -fact.share, names


def _fact(
    view: View, where: NDArray[np.bool_], *, before: LandClass | None = None, after: LandClass | None = None
) -> Fact:
    areas, patches = _count(where)
    return Fact(
        view=view,
        before=before,
        after=after,
        place=find_place(where),
        areas=areas,
        patches=patches,
        share=float(where.mean()),
    )


def _count(where: NDArray[np.bool_]) -> tuple[int | None, int]:
    """Return the number of patches, or None where specks make it doubtful, and of those that are more than specks."""
    labels, _ = ndimage.label(where, structure=_EIGHT)
    sizes = np.bincount(labels.ravel())[1:]
    specks = sizes < _SPECK * where.size
    patches = int((~specks).sum())
    # A few stray pixels are no further patch to anybody; many of them are.
    doubtful = patches == 0 or sizes[specks].sum() > _SPECKS * sizes.sum()
    return None if doubtful else patches, patches
