"""Roads along the field grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geocc.data.synthetic.terrain import Terrain

__all__ = ["Road", "make_roads", "road_mask"]


@dataclass(frozen=True, slots=True)
class Road:
    """A road; all lengths in metres of the field grid.

    Attributes:
        along_u: Whether it follows `u`, at a fixed `v`, or the other way round.
        position: The fixed coordinate.
        start: Where it begins along the other.
        end: Where it ends.
        width_m: Its width.
        residential: Whether houses line it.
    """

    along_u: bool
    position: float
    start: float
    end: float
    width_m: float
    residential: bool


def road_mask(terrain: Terrain, road: Road, *, margin_m: float = 0.0) -> NDArray[np.bool_]:
    """Return the `(height, width)` mask of a road, widened on both sides by `margin_m`."""
    along, across = (terrain.u, terrain.v) if road.along_u else (terrain.v, terrain.u)
    half = np.float32(road.width_m / 2 + margin_m)
    beside = np.abs(across - np.float32(road.position)) < half
    mask: NDArray[np.bool_] = beside & (along > np.float32(road.start)) & (along < np.float32(road.end))
    return mask


def make_roads(rng: np.random.Generator, terrain: Terrain, strip_edges: NDArray[np.float32]) -> list[Road]:
    """Draw the roads of a place: some borders between strips of parcels, and some straight across them."""
    settled = rng.uniform(0.2, 0.9)
    roads = [
        _draw(rng, terrain, along_u=False, position=float(edge), settled=settled)
        for edge in strip_edges
        if rng.random() < 0.35
    ]
    low, high = float(terrain.v.min()), float(terrain.v.max())
    position = low + rng.uniform(10, 150)
    while position < high:
        if rng.random() < 0.7:
            roads.append(_draw(rng, terrain, along_u=True, position=float(position), settled=settled))
        position += rng.uniform(60, 190)
    return roads


def _draw(rng: np.random.Generator, terrain: Terrain, *, along_u: bool, position: float, settled: float) -> Road:
    """Draw one road, right across the scene or a part of the way."""
    along = terrain.u if along_u else terrain.v
    start, end = float(along.min()) - 10, float(along.max()) + 10
    if rng.random() < 0.35:
        start, end = np.sort(rng.uniform(start, end, size=2))
    return Road(
        along_u=along_u,
        position=position,
        start=float(start),
        end=float(end),
        width_m=float(rng.choice([5.0, 6.0, 7.0, 9.0])),
        residential=bool(rng.random() < settled),
    )
