"""Change sites of a landscape: shores move, towns grow by blocks, forests are cleared, burn, and grow again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from geocc.data.synthetic.cover import Cover
from geocc.data.synthetic.landscape.plan import FRAY, hall, pivot, ragged
from geocc.data.synthetic.landscape.waters import river_masks

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from geocc.data.synthetic.landscape.plan import Land

    Mask = NDArray[np.bool_]
    Maker = Callable[[np.random.Generator, Land], bool]

__all__ = ["change_land"]

_TRIES = 5
_BUILDINGS_SHOW_M = 6.0
_OPEN = (Cover.GRASS, Cover.CROPS, Cover.BARE)


def change_land(rng: np.random.Generator, land: Land, *, count: int) -> None:
    """Make `count` changes of kinds that the country and the sensor allow, or as many as there is room for."""
    shares = dict(_SHARES)
    if land.frame.gsd_m > _BUILDINGS_SHOW_M:
        del shares[_change_hall], shares[_change_car_park]
    if land.biome.pivots < 0.05:
        del shares[_change_pivot]
    if land.river is None:
        del shares[_change_river]
    makers, weights = list(shares), np.array(list(shares.values()))
    for kind in rng.choice(len(makers), size=count, p=weights / weights.sum()):
        any(makers[kind](rng, land) for _ in range(_TRIES))


def _date(rng: np.random.Generator, *, gain: float) -> int:
    """Draw at which date the new cover lies: at the later one with probability `gain`."""
    return 1 if rng.random() < gain else 0


def _pixel(rng: np.random.Generator, mask: Mask) -> tuple[int, int] | None:
    """Return x and y of some pixel of a mask, or None where it is empty."""
    thin = np.flatnonzero(mask[::3, ::3])
    if not len(thin):
        return None
    at = int(rng.choice(thin))
    width = mask[::3, ::3].shape[1]
    return 3 * (at % width), 3 * (at // width)


def _change_forest(rng: np.random.Generator, land: Land) -> bool:
    """Clear a part of a forest, by whole parcels or not, or let one grow again."""
    woods = land.on(Cover.TREES)
    found = _pixel(rng, woods)
    if found is None:
        return False
    x, y = found
    reach = ragged(land, x=x, y=y, radius=rng.uniform(12, 42), fray=rng.uniform(0.05, 0.35))
    if rng.random() < 0.5:
        numbers = np.bincount(land.parcels.ravel(), reach.ravel()) > 0.4 * np.bincount(land.parcels.ravel())
        reach = numbers[land.parcels] if numbers.any() else reach
    kinds = (Cover.GRASS, Cover.CROPS, Cover.BARE)
    left = kinds[int(rng.choice(3, p=[0.4, 0.3, 0.3]))]
    return land.apply(reach & woods, left, date=_date(rng, gain=0.68))


def _change_lake(rng: np.random.Generator, land: Land) -> bool:
    """Move the shore of a lake, or let a pond come or go, along the lie of the land."""
    floor = land.elevation + np.float32(FRAY) * land.grain
    wet = land.on(Cover.WATER) & (floor < np.float32(land.level))
    rows, cols = np.ogrid[: land.frame.height, : land.frame.width]
    start = _pixel(rng, wet) if rng.random() < 0.75 else None
    dry = land.on(*_OPEN, Cover.TREES)
    if start is None:
        found = _pixel(rng, dry & (floor < np.quantile(floor[::4, ::4], 0.4)))
        if found is None:
            return False
        near = np.hypot(rows - found[1], cols - found[0]) / rng.uniform(12, 40)
        rim = floor[found[1], found[0]] + rng.uniform(0.05, 0.35)
        pond = ndimage.binary_closing((floor < rim) & (near < 1 + 0.2 * land.grain), iterations=2)
        return land.apply(pond & dry, Cover.WATER, date=_date(rng, gain=0.5))
    near = np.exp(-((np.hypot(rows - start[1], cols - start[0]) / rng.uniform(25, 90)) ** 2)).astype(np.float32)
    rise = np.float32(rng.uniform(0.08, 0.5)) * near
    if rng.random() < 0.5:
        return land.apply(dry & (floor < land.level + rise) & (near > 0.05), Cover.WATER, date=1)
    shore = Cover.BARE if rng.random() < 0.5 else Cover.GRASS
    return land.apply(wet & (floor > land.level - rise) & (near > 0.05), shore, date=1)


def _change_river(rng: np.random.Generator, land: Land) -> bool:
    """Let a bend of the river wander: its outer bank is washed away, its inner one falls dry."""
    river = land.river
    if river is None:
        return False
    line = river.line
    inside = (line > 0).all(axis=1) & (line < (land.frame.width, land.frame.height)).all(axis=1)
    sharp = np.abs(river.curvature) > np.median(np.abs(river.curvature))
    places = np.flatnonzero(inside & sharp)
    if not len(places):
        return False
    reach = int(rng.uniform(2.0, 5.0) * river.width_px / max(np.hypot(*(line[1] - line[0])), 0.5)) + 2
    by_px = max(rng.uniform(0.5, 1.6) * river.width_px, 5.0)
    moved, _ = river_masks(land.frame, river.wandered(at=int(rng.choice(places)), reach=reach, by_px=by_px), bars=0)
    bed, _ = river_masks(land.frame, river, bars=0)
    date = _date(rng, gain=0.5)
    gained = land.apply(moved & ~bed & land.on(*_OPEN, Cover.TREES), Cover.WATER, date=1 if date else 0)
    sand = Cover.BARE if rng.random() < 0.7 else Cover.GRASS
    lost = land.apply(bed & ~moved & land.on(Cover.WATER), sand, date=1 if date else 0)
    return gained or lost


def _change_town(rng: np.random.Generator, land: Land) -> bool:
    """Let a town grow, or a new one begin, by whole blocks."""
    built = land.on(Cover.BUILT)
    free = land.on(*_OPEN, Cover.TREES)
    edge = built & ndimage.maximum_filter(free, size=9)
    found = _pixel(rng, edge) if rng.random() < 0.8 else None
    found = found or _pixel(rng, free)
    if found is None:
        return False
    region = ragged(land, x=found[0], y=found[1], radius=rng.uniform(12, 36), fray=0.2)
    columns, rows = land.block()
    keys = (columns ^ (rows * 7919)) & 65535
    inside = np.bincount(keys.ravel(), region.ravel(), minlength=65536)
    size = np.bincount(keys.ravel(), minlength=65536)
    return land.apply((inside > 0.5 * size)[keys] & free, Cover.BUILT, date=_date(rng, gain=0.8))


def _change_flood(rng: np.random.Generator, land: Land) -> bool:
    """Flood low ground beside waters, or where there are none."""
    dry = land.on(*_OPEN)
    water = land.on(Cover.WATER)
    found = _pixel(rng, water) or _pixel(rng, dry)
    if found is None:
        return False
    around = ragged(land, x=found[0], y=found[1], radius=rng.uniform(30, 100), fray=0.15)
    if water.any() and rng.random() < 0.7:
        far = ndimage.distance_transform_edt(~water)
        low = far < rng.uniform(8, 28) * (1 + 0.45 * land.grain)
    else:
        low = land.elevation + 0.25 * land.grain < land.elevation[found[1], found[0]] + rng.uniform(0.1, 0.4)
    return land.apply(around & low & dry, Cover.FLOODED, date=_date(rng, gain=0.6))


def _change_burn(rng: np.random.Generator, land: Land) -> bool:
    """Burn forest, grass and fields, but not all within the fire's reach."""
    fuel = land.on(Cover.TREES, Cover.GRASS, Cover.CROPS)
    found = _pixel(rng, fuel)
    if found is None:
        return False
    reach = ragged(land, x=found[0], y=found[1], radius=rng.uniform(14, 60), fray=0.4)
    spared = np.roll(land.grain, (97, 61), axis=(0, 1)) > np.float32(1.4)
    return land.apply(reach & fuel & ~spared, Cover.BURNT, date=_date(rng, gain=0.62))


def _change_bare(rng: np.random.Generator, land: Land) -> bool:
    """Open a pit, or let one grow over."""
    green = land.on(Cover.GRASS, Cover.CROPS)
    found = _pixel(rng, green)
    if found is None:
        return False
    reach = ragged(land, x=found[0], y=found[1], radius=rng.uniform(10, 32), fray=0.2)
    return land.apply(reach & green, Cover.BARE, date=_date(rng, gain=0.65))


def _change_pivot(rng: np.random.Generator, land: Land) -> bool:
    """Lay out one to four circular fields on dry grassland, or give them up."""
    grass = land.on(Cover.GRASS)
    laid = [circle for circle in (pivot(rng, land) for _ in range(12)) if (circle & grass).sum() > 0.9 * circle.sum()]
    fields = np.zeros_like(grass)
    for circle in laid[: int(rng.integers(1, 5))]:
        fields |= circle & grass
        land.parcels[circle] = land.parcels.max() + 1
    return land.apply(fields, Cover.CROPS, date=_date(rng, gain=0.65))


def _change_road(rng: np.random.Generator, land: Land) -> bool:
    """Cut a corridor for a road through the land."""
    free = land.on(*_OPEN, Cover.TREES)
    found = _pixel(rng, free)
    if found is None:
        return False
    along, across = (land.u, land.v) if rng.random() < 0.5 else (land.v, land.u)
    here = found[1], found[0]
    back, forth = rng.uniform(25, 160, size=2) * land.frame.gsd_m
    half = max(rng.uniform(7, 12), 1.6 * land.frame.gsd_m)
    ahead = along - along[here]
    corridor = (np.abs(across - across[here]) < half) & (ahead > -back) & (ahead < forth)
    return land.apply(corridor & free, Cover.ROAD, date=_date(rng, gain=0.8))


def _change_hall(rng: np.random.Generator, land: Land) -> bool:
    """Build a hall, or pull one down."""
    plot = hall(rng, land)
    free = land.on(Cover.GRASS, Cover.CROPS, Cover.BARE)
    return (plot & free).sum() > 0.95 * plot.sum() and land.apply(plot & free, Cover.HALL, date=_date(rng, gain=0.7))


def _change_car_park(rng: np.random.Generator, land: Land) -> bool:
    """Pave a car park, or take it up."""
    plot = hall(rng, land, small_m=35, large_m=70)
    free = land.on(Cover.GRASS, Cover.CROPS, Cover.BARE)
    return (plot & free).sum() > 0.95 * plot.sum() and land.apply(plot & free, Cover.PAVED, date=_date(rng, gain=0.7))


_SHARES: dict[Maker, float] = {
    _change_forest: 0.2,
    _change_lake: 0.12,
    _change_river: 0.08,
    _change_town: 0.16,
    _change_flood: 0.13,
    _change_burn: 0.1,
    _change_bare: 0.1,
    _change_pivot: 0.18,
    _change_road: 0.08,
    _change_hall: 0.12,
    _change_car_park: 0.08,
}
