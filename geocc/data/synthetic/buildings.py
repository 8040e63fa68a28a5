"""Buildings: their shape, and the plots along roads where they may stand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from geocc.data.synthetic.shapes import Rectangle

if TYPE_CHECKING:
    from geocc.data.synthetic.roads import Road
    from geocc.data.synthetic.terrain import Spot, Terrain

__all__ = ["Building", "draw_building", "plots_along"]


@dataclass(frozen=True, slots=True)
class Building:
    """A building.

    Attributes:
        footprint: Its outline in pixels.
        height_m: Its height, for the shadow.
        roof: Colour of the roof, red, green, blue in [0, 1].
        gable: Whether the roof has a ridge, with one side brighter.
    """

    footprint: Rectangle
    height_m: float
    roof: tuple[float, float, float]
    gable: bool


_ROOFS = (
    (0.60, 0.33, 0.25),
    (0.52, 0.27, 0.20),
    (0.66, 0.42, 0.32),
    (0.47, 0.47, 0.49),
    (0.36, 0.36, 0.38),
    (0.60, 0.59, 0.58),
    (0.55, 0.46, 0.38),
)
_HALL_ROOFS = ((0.80, 0.80, 0.78), (0.70, 0.72, 0.74), (0.56, 0.58, 0.60), (0.42, 0.52, 0.64), (0.74, 0.68, 0.58))


def draw_building(rng: np.random.Generator, terrain: Terrain, spot: Spot, *, hall: bool = False) -> Building:
    """Draw a house, or a hall, on a spot and along its grid."""
    length, width = (rng.uniform(22, 46), rng.uniform(15, 24)) if hall else (rng.uniform(11, 17), rng.uniform(8.5, 12))
    roofs = _HALL_ROOFS if hall else _ROOFS
    tint = rng.normal(1.0, 0.05)
    red, green, blue = roofs[int(rng.integers(len(roofs)))]
    turn = np.pi / 2 if rng.random() < 0.25 and not hall else 0.0
    return Building(
        footprint=Rectangle(
            x=spot.x,
            y=spot.y,
            angle=spot.angle + turn + float(rng.normal(0, 0.02)),
            half_length=terrain.frame.px(length) / 2,
            half_width=terrain.frame.px(width) / 2,
        ),
        height_m=float(rng.uniform(6, 10) if hall else rng.uniform(4.5, 8)),
        roof=(red * tint, green * tint, blue * tint),
        gable=bool(rng.random() < (0.3 if hall else 0.85)),
    )


def plots_along(rng: np.random.Generator, terrain: Terrain, road: Road) -> list[list[Spot]]:
    """Return the plots on either side of a road, each side in the order of the road."""
    sides = []
    for sign in (-1.0, 1.0):
        setback = road.position + sign * (road.width_m / 2 + rng.uniform(10, 14))
        spacing = rng.uniform(20, 28)
        along = terrain.u if road.along_u else terrain.v
        low, high = max(road.start, float(along.min())), min(road.end, float(along.max()))
        stations = np.arange(low + rng.uniform(4, 12), high - 6, spacing)
        stations += rng.uniform(-1.5, 1.5, size=stations.shape)
        sides.append([_spot(terrain, road, station=float(at), setback=float(setback)) for at in stations])
    return sides


def _spot(terrain: Terrain, road: Road, *, station: float, setback: float) -> Spot:
    """Return the place of a plot; houses beside a road along `v` still follow the grid, which is square to it."""
    if road.along_u:
        return terrain.locate(u=station, v=setback)
    return terrain.locate(u=setback, v=station)
