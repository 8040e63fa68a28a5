"""Things that stand on the ground: single trees, cars and buildings, with their shadows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from geocc.data.synthetic.cover import Cover
from geocc.data.synthetic.shapes import Rectangle, disc_stamp, rectangle_stamp

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geocc.data.synthetic.buildings import Building
    from geocc.data.synthetic.conditions import Conditions
    from geocc.data.synthetic.draft import Draft
    from geocc.data.synthetic.frame import Frame

    Image = NDArray[np.float32]

__all__ = ["Decorations", "SingleTree", "draw_decorations", "paint_buildings", "paint_cars", "paint_trees"]

_SHADE = np.float32(0.5)
_CARS = np.array([[0.9, 0.9, 0.9], [0.15, 0.15, 0.17], [0.6, 0.1, 0.1], [0.2, 0.3, 0.55], [0.6, 0.6, 0.62]], np.float32)


@dataclass(frozen=True, slots=True)
class SingleTree:
    """A tree on its own: centre and radius in pixels, height in metres, and its brightness."""

    x: float
    y: float
    radius: float
    height_m: float
    tone: float


@dataclass(frozen=True, slots=True)
class Decorations:
    """What enlivens a scene without being change: single trees, and how busy its roads are.

    Attributes:
        trees: The trees, at the same places at both dates.
        cars_per_hectare: Cars on a hectare of asphalt.
    """

    trees: tuple[SingleTree, ...]
    cars_per_hectare: float


def draw_decorations(rng: np.random.Generator, draft: Draft) -> Decorations:
    """Draw single trees on open land, away from buildings and from every change."""
    frame = draft.frame
    closed = draft.built | draft.touched | draft.on_any(Cover.WATER, Cover.ROAD, Cover.PAVED, Cover.TREES)
    count = int(rng.poisson(rng.uniform(2, 22) * frame.hectares))
    xs, ys = rng.uniform(0, frame.width, count), rng.uniform(0, frame.height, count)
    keep = ~closed[ys.astype(int), xs.astype(int)]
    keep &= (draft.covers[0][ys.astype(int), xs.astype(int)] == Cover.GRASS) | (rng.random(count) < 0.12)
    trees = tuple(
        SingleTree(
            x=float(x),
            y=float(y),
            radius=frame.px(float(rng.uniform(1.3, 3.6))),
            height_m=float(rng.uniform(3, 8)),
            tone=float(rng.normal(1, 0.12)),
        )
        for x, y in zip(xs[keep], ys[keep], strict=True)
    )
    return Decorations(trees=trees, cars_per_hectare=float(rng.uniform(2, 40)))


def paint_trees(image: Image, frame: Frame, decorations: Decorations, conditions: Conditions) -> None:
    """Paint single trees with their shadows."""
    lush = np.array([0.20, 0.33, 0.14], np.float32)
    dry = np.array([0.36, 0.33, 0.24], np.float32)
    colour = dry + (lush - dry) * np.float32(conditions.green)
    to_sun = np.array([np.sin(conditions.sun_azimuth), -np.cos(conditions.sun_azimuth)])
    for tree in decorations.trees:
        dx, dy = conditions.shadow(tree.height_m * 0.7, frame.gsd_m)
        shade = disc_stamp(frame, x=tree.x + dx, y=tree.y + dy, radius=tree.radius)
        if shade is not None:
            view = image[:, shade.window.rows, shade.window.cols]
            view *= 1 - (1 - _SHADE) * shade.alpha
        crown = disc_stamp(frame, x=tree.x, y=tree.y, radius=tree.radius)
        if crown is None:
            continue
        view = image[:, crown.window.rows, crown.window.cols]
        tone = np.float32(tree.tone)
        view += crown.alpha * ((colour * tone)[:, None, None] - view)
        bright = disc_stamp(
            frame,
            x=tree.x + float(to_sun[0]) * tree.radius * 0.35,
            y=tree.y + float(to_sun[1]) * tree.radius * 0.35,
            radius=tree.radius * 0.5,
        )
        if bright is not None:
            view = image[:, bright.window.rows, bright.window.cols]
            view *= 1 + np.float32(0.28) * bright.alpha


def paint_cars(
    image: Image,
    draft: Draft,
    cover: NDArray[np.uint8],
    decorations: Decorations,
    conditions: Conditions,
    *,
    date: int,
) -> None:
    """Put cars on the asphalt, others at every date: traffic is not change."""
    if not conditions.traffic:
        return
    frame = draft.frame
    rng = np.random.default_rng([conditions.crop_seed, 2, date])
    where = np.flatnonzero(((cover == Cover.ROAD) | (cover == Cover.PAVED)).ravel()[::7]) * 7
    hectares = len(where) * 7 * frame.gsd_m**2 / 1e4
    count = min(int(rng.poisson(decorations.cars_per_hectare * hectares)), len(where))
    for at in rng.choice(where, size=count, replace=False) if count else ():
        body = Rectangle(
            x=float(at % frame.width),
            y=float(at // frame.width),
            angle=draft.terrain.angle + (np.pi / 2 if rng.random() < 0.5 else 0.0),
            half_length=frame.px(2.2),
            half_width=frame.px(0.9),
        )
        stamp = rectangle_stamp(frame, body)
        if stamp is not None:
            view = image[:, stamp.window.rows, stamp.window.cols]
            view += stamp.alpha * (_CARS[int(rng.integers(len(_CARS)))][:, None, None] - view)


def paint_buildings(image: Image, frame: Frame, buildings: list[Building], conditions: Conditions) -> None:
    """Paint the shadows of all buildings, then their roofs."""
    for building in buildings:
        _shade(image, frame, building, conditions)
    for building in buildings:
        _roof(image, frame, building, conditions)


def _shade(image: Image, frame: Frame, building: Building, conditions: Conditions) -> None:
    """Darken the ground that a building keeps from the sun: its footprint, swept along the shadow."""
    dx, dy = conditions.shadow(building.height_m, frame.gsd_m)
    steps = max(int(np.ceil(np.hypot(dx, dy) / max(building.footprint.half_width, 1.0))), 1)
    reach = Rectangle(
        building.footprint.x + dx / 2,
        building.footprint.y + dy / 2,
        0.0,
        building.footprint.reach + abs(dx) / 2 + 2,
        building.footprint.reach + abs(dy) / 2 + 2,
    )
    around = rectangle_stamp(frame, reach)
    if around is None:
        return
    window = around.window
    shade = np.zeros((window.height, window.width), dtype=np.float32)
    for step in range(1, steps + 1):
        stamp = rectangle_stamp(frame, building.footprint.moved(dx=dx * step / steps, dy=dy * step / steps))
        if stamp is None:
            continue
        top, left = stamp.window.top - window.top, stamp.window.left - window.left
        part = shade[top : top + stamp.window.height, left : left + stamp.window.width]
        np.maximum(part, stamp.alpha, out=part)
    view = image[:, window.rows, window.cols]
    view *= 1 - (1 - _SHADE) * shade


def _roof(image: Image, frame: Frame, building: Building, conditions: Conditions) -> None:
    """Paint a roof; of a gable roof, the side that faces the sun is brighter."""
    stamp = rectangle_stamp(frame, building.footprint)
    if stamp is None:
        return
    angle = building.footprint.angle
    facing = -np.sin(angle) * np.sin(conditions.sun_azimuth) - np.cos(angle) * np.cos(conditions.sun_azimuth)
    light = np.ones_like(stamp.side)
    if building.gable:
        light += np.float32(0.2 * facing) * np.sign(stamp.side)
        light[np.abs(stamp.side) < max(0.5, frame.px(0.3))] *= np.float32(1.12)
    else:
        edge = building.footprint.half_width - np.abs(stamp.side)
        light[edge < max(1.0, frame.px(0.5))] *= np.float32(1.13)
    view = image[:, stamp.window.rows, stamp.window.cols]
    colour = np.array(building.roof, dtype=np.float32)[:, None, None] * light
    view += stamp.alpha * (colour - view)
