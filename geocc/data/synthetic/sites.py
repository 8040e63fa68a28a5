"""Change sites: a wood felled, a road built, a pond run dry. Each function changes a draft, or finds no place to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from geocc.data.synthetic.buildings import draw_building, plots_along
from geocc.data.synthetic.cover import Category, Cover
from geocc.data.synthetic.roads import Road, road_mask
from geocc.data.synthetic.shapes import blob, grid_rectangle

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from geocc.data.synthetic.draft import Draft
    from geocc.data.synthetic.terrain import Spot

    Mask = NDArray[np.bool_]

__all__ = ["SHARES", "apply", "change_cover", "patch_around", "random_pixel", "settle"]

SHARES = {
    Category.BUILDING: 0.46,
    Category.ROAD: 0.14,
    Category.TREES: 0.16,
    Category.WATER: 0.12,
    Category.PARKING: 0.12,
}
"""How often a change site is of which kind."""

_SMALLEST_M2 = 220.0
_TRIES = 8


def change_cover(rng: np.random.Generator, draft: Draft, category: Category) -> bool:
    """Make one change of cover of the given category, and say whether a place for it was found."""
    maker = _MAKERS[category]
    return any(maker(rng, draft) for _ in range(_TRIES))


def settle(rng: np.random.Generator, draft: Draft, *, sites: int) -> None:
    """Put up the buildings of both dates, of which `sites` groups stand at one date only."""
    sides = [side for road in draft.roads if road.residential for side in plots_along(rng, draft.terrain, road)]
    for _ in range(sites):
        gain = bool(rng.random() < 0.6)
        date = 1 if gain else 0
        made = bool(sides) and rng.random() < 0.7 and _change_row(rng, draft, sides, date=date)
        if not made:
            _change_hall(rng, draft, date=date)
    occupied = rng.uniform(0.15, 0.85)
    for side in sides:
        for spot in side:
            if rng.random() < occupied:
                _build(rng, draft, spot, dates=(0, 1))
    for _ in range(int(rng.poisson(0.08 * draft.frame.hectares))):
        _build(rng, draft, _random_spot(rng, draft), dates=(0, 1), hall=True)


def _build(rng: np.random.Generator, draft: Draft, spot: Spot, *, dates: tuple[int, ...], hall: bool = False) -> bool:
    building = draw_building(rng, draft.terrain, spot, hall=hall)
    if not draft.has_room(building):
        return False
    draft.build(building, dates=dates)
    return True


def _change_row(rng: np.random.Generator, draft: Draft, sides: list[list[Spot]], *, date: int) -> bool:
    """Put a run of houses along a road at one date only."""
    wanted = int(rng.choice([1, 2, 3, 4, 5, 6], p=[0.34, 0.24, 0.14, 0.12, 0.09, 0.07]))
    for _ in range(_TRIES):
        side = sides[int(rng.integers(len(sides)))]
        if not side:
            continue
        start = int(rng.integers(len(side)))
        made = 0
        for spot in side[start : start + wanted + 4]:
            made += _build(rng, draft, spot, dates=(date,))
            if made == wanted:
                break
        if made:
            return True
    return False


def _change_hall(rng: np.random.Generator, draft: Draft, *, date: int) -> bool:
    """Put a large building, or a house of its own, anywhere there is room, at one date only."""
    hall = bool(rng.random() < 0.6)
    return any(_build(rng, draft, _random_spot(rng, draft), dates=(date,), hall=hall) for _ in range(3 * _TRIES))


def _random_spot(rng: np.random.Generator, draft: Draft) -> Spot:
    at = int(rng.integers(draft.covers[0].size))
    return draft.terrain.locate(u=float(draft.terrain.u.flat[at]), v=float(draft.terrain.v.flat[at]))


def random_pixel(rng: np.random.Generator, mask: Mask) -> tuple[float, float] | None:
    """Return (x, y) of a pixel of the mask, or None where it is empty."""
    thin = mask[::4, ::4]
    where = np.flatnonzero(thin)
    if not len(where):
        return None
    at = int(rng.choice(where))
    return 4.0 * (at % thin.shape[1]), 4.0 * (at // thin.shape[1])


def patch_around(rng: np.random.Generator, draft: Draft, *, where: Mask, small_m: float, large_m: float) -> Mask | None:
    """Return a blob, or a rectangle along the grid, around some pixel of `where`."""
    found = random_pixel(rng, where)
    if found is None:
        return None
    x, y = found
    small_m, large_m = small_m * draft.scale, large_m * draft.scale
    if rng.random() < 0.3:
        row, col = int(y), int(x)
        half_u, half_v = rng.uniform(0.8 * small_m, 0.9 * large_m, size=2)
        return grid_rectangle(
            draft.terrain,
            u=float(draft.terrain.u[row, col]),
            v=float(draft.terrain.v[row, col]),
            half_u=float(half_u),
            half_v=float(half_v),
        )
    return blob(rng, draft.frame, x=x, y=y, radius=draft.frame.px(rng.uniform(small_m, large_m)))


def apply(draft: Draft, mask: Mask, *, cover: int, date: int) -> bool:
    """Let `cover` lie on `mask` at one date only, unless that leaves too little."""
    mask = mask & ~draft.touched
    if mask.sum() * draft.frame.gsd_m**2 < _SMALLEST_M2:
        return False
    draft.covers[date][mask] = cover
    draft.change_masks.append(mask)
    draft.touch(mask)
    return True


def _change_trees(rng: np.random.Generator, draft: Draft) -> bool:
    """Fell a part of a wood, or let one grow on open land."""
    cover = draft.covers[0]
    if rng.random() < 0.6:
        date = 1 if rng.random() < 0.75 else 0
        patch = patch_around(rng, draft, where=cover == Cover.TREES, small_m=12, large_m=36)
        left = Cover.BARE if rng.random() < 0.7 else Cover.GRASS
        return patch is not None and apply(draft, patch & (cover == Cover.TREES), cover=left, date=date)
    date = 1 if rng.random() < 0.75 else 0
    open_land = cover <= Cover.BARE
    patch = patch_around(rng, draft, where=open_land, small_m=11, large_m=30)
    return patch is not None and apply(draft, patch & open_land, cover=Cover.TREES, date=date)


def _change_water(rng: np.random.Generator, draft: Draft) -> bool:
    """Let water lie at one date only: a pond of its own, or the rim of one that is there at both."""
    cover = draft.covers[0]
    date = 1 if rng.random() < 0.5 else 0
    open_land = (cover <= Cover.TREES) & (cover != Cover.WATER)
    wet = cover == Cover.WATER
    if wet.any() and rng.random() < 0.5:
        if rng.random() < 0.5:
            patch = patch_around(rng, draft, where=wet, small_m=14, large_m=34)
            return patch is not None and apply(draft, patch & wet, cover=Cover.BARE, date=date)
        patch = patch_around(rng, draft, where=wet, small_m=16, large_m=40)
        return patch is not None and apply(draft, patch & open_land, cover=Cover.WATER, date=date)
    patch = patch_around(rng, draft, where=cover <= Cover.BARE, small_m=10, large_m=32)
    return patch is not None and apply(draft, patch & open_land, cover=Cover.WATER, date=date)


def _change_road(rng: np.random.Generator, draft: Draft) -> bool:
    """Let a stretch of road lie at one date only."""
    terrain = draft.terrain
    at = int(rng.integers(terrain.u.size))
    here_u, here_v = float(terrain.u.flat[at]), float(terrain.v.flat[at])
    along_u = bool(rng.random() < 0.5)
    along, across = (here_u, here_v) if along_u else (here_v, here_u)
    back, forth = draft.scale * rng.uniform(20, 140, size=2)
    road = Road(
        along_u=along_u,
        position=across,
        start=along - float(back),
        end=along + float(forth),
        width_m=float(rng.choice([6.0, 7.0, 9.0])),
        residential=False,
    )
    mask = road_mask(terrain, road)
    hard = draft.on_any(Cover.ROAD, Cover.PAVED, Cover.WATER)
    if (road_mask(terrain, road, margin_m=9) & hard).sum() > 0.35 * mask.sum():
        return False
    date = 1 if rng.random() < 0.75 else 0
    if not apply(draft, mask & ~hard, cover=Cover.ROAD, date=date):
        return False
    draft.roads.append(road)
    return True


def _change_car_park(rng: np.random.Generator, draft: Draft) -> bool:
    """Let a rectangle be paved at one date only."""
    cover = draft.covers[0]
    open_land = cover <= Cover.BARE
    found = random_pixel(rng, open_land)
    if found is None:
        return False
    row, col = int(found[1]), int(found[0])
    half_u, half_v = draft.scale * rng.uniform(10, 28, size=2)
    lot = grid_rectangle(
        draft.terrain,
        u=float(draft.terrain.u[row, col]),
        v=float(draft.terrain.v[row, col]),
        half_u=float(half_u),
        half_v=float(half_v),
    )
    date = 1 if rng.random() < 0.7 else 0
    if (lot & open_land).sum() < 0.93 * lot.sum():
        return False
    return apply(draft, lot & open_land, cover=Cover.PAVED, date=date)


_MAKERS: dict[Category, Callable[[np.random.Generator, Draft], bool]] = {
    Category.TREES: _change_trees,
    Category.WATER: _change_water,
    Category.ROAD: _change_road,
    Category.PARKING: _change_car_park,
}
