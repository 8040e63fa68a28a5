"""Change sites of the ground among houses: fires, floods, quarries, and fields that are laid out or given up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from geocc.data.synthetic.cover import Category, Cover
from geocc.data.synthetic.noise import fractal_noise
from geocc.data.synthetic.shapes import grid_rectangle
from geocc.data.synthetic.sites import apply, patch_around, random_pixel

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from geocc.data.synthetic.draft import Draft

    Mask = NDArray[np.bool_]

__all__ = ["AERIAL_SHARES", "change_ground", "lay_static_ground"]

AERIAL_SHARES = {
    Category.BUILDING: 0.32,
    Category.ROAD: 0.11,
    Category.PARKING: 0.09,
    Category.TREES: 0.12,
    Category.WATER: 0.10,
    Category.BARE: 0.08,
    Category.CROPS: 0.06,
    Category.FLOODED: 0.06,
    Category.BURNT: 0.06,
}
"""How often a change site is of which kind where all kinds are."""

_TRIES = 8
_OPEN = (Cover.GRASS, Cover.CROPS, Cover.BARE)


def change_ground(rng: np.random.Generator, draft: Draft, category: Category) -> bool:
    """Make one change of the given category, and say whether a place for it was found."""
    maker = _MAKERS[category]
    return any(maker(rng, draft) for _ in range(_TRIES))


def lay_static_ground(rng: np.random.Generator, draft: Draft) -> None:
    """Lay a few burn scars, floods and quarries that are there at both dates."""
    for cover, where in ((Cover.BURNT, (Cover.GRASS, Cover.TREES)), (Cover.FLOODED, _OPEN), (Cover.BARE, _OPEN)):
        if rng.random() < 0.15:
            patch = patch_around(rng, draft, where=draft.on_any(*where), small_m=14, large_m=45)
            if patch is not None:
                patch = patch & draft.on_any(*where)
                for date in (0, 1):
                    draft.covers[date][patch] = cover


def _change_burnt(rng: np.random.Generator, draft: Draft) -> bool:
    """Burn grass, fields and woods, but not all within the fire's reach."""
    fuel = draft.on_any(Cover.GRASS, Cover.CROPS, Cover.TREES)
    patch = patch_around(rng, draft, where=fuel, small_m=14, large_m=45)
    if patch is None:
        return False
    spared = fractal_noise(rng, draft.frame, scale_px=max(draft.frame.px(9), 3.0)) > np.float32(1.3)
    return apply(draft, patch & fuel & ~spared, cover=Cover.BURNT, date=_date(rng, gain=0.62))


def _change_flooded(rng: np.random.Generator, draft: Draft) -> bool:
    """Flood open ground."""
    dry = draft.on_any(*_OPEN)
    patch = patch_around(rng, draft, where=dry, small_m=15, large_m=48)
    return patch is not None and apply(draft, patch & dry, cover=Cover.FLOODED, date=_date(rng, gain=0.6))


def _change_bare(rng: np.random.Generator, draft: Draft) -> bool:
    """Dig a quarry, or strip a building site."""
    green = draft.on_any(Cover.GRASS, Cover.CROPS)
    patch = patch_around(rng, draft, where=green, small_m=12, large_m=36)
    return patch is not None and apply(draft, patch & green, cover=Cover.BARE, date=_date(rng, gain=0.65))


def _change_crops(rng: np.random.Generator, draft: Draft) -> bool:
    """Make a field of a meadow: a rectangle along the grid."""
    meadow = draft.covers[0] == Cover.GRASS
    found = random_pixel(rng, meadow)
    if found is None:
        return False
    row, col = int(found[1]), int(found[0])
    half_u, half_v = draft.scale * rng.uniform(14, 40, size=2)
    field = grid_rectangle(
        draft.terrain,
        u=float(draft.terrain.u[row, col]),
        v=float(draft.terrain.v[row, col]),
        half_u=float(half_u),
        half_v=float(half_v),
    )
    return apply(draft, field & meadow, cover=Cover.CROPS, date=_date(rng, gain=0.6))


def _date(rng: np.random.Generator, *, gain: float) -> int:
    """Draw at which date the new cover lies: at the later one with probability `gain`."""
    return 1 if rng.random() < gain else 0


_MAKERS: dict[Category, Callable[[np.random.Generator, Draft], bool]] = {
    Category.BURNT: _change_burnt,
    Category.FLOODED: _change_flooded,
    Category.BARE: _change_bare,
    Category.CROPS: _change_crops,
}
