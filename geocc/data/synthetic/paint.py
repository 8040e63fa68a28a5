"""Painting: from what lies on the ground to its colours under a given sun and season."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from geocc.data.synthetic.cover import Cover
from geocc.data.synthetic.objects import paint_buildings, paint_cars, paint_trees

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geocc.data.synthetic.conditions import Conditions
    from geocc.data.synthetic.draft import Draft
    from geocc.data.synthetic.objects import Decorations
    from geocc.data.synthetic.palette import Palette

    Image = NDArray[np.float32]

__all__ = ["moved", "paint"]

# How strongly the three shared random fields show on each cover.
_FINE = np.array([0.05, 0.04, 0.045, 0.06, 0.012, 0.025, 0.03, 0.09, 0.012, 0.1, 0.03], dtype=np.float32)
_MEDIUM = np.array([0.055, 0.03, 0.07, 0.03, 0.012, 0.02, 0.025, 0.16, 0.05, 0.1, 0.03], dtype=np.float32)
_COARSE = np.array([0.05, 0.04, 0.05, 0.04, 0.03, 0.03, 0.03, 0.14, 0.07, 0.05, 0.03], dtype=np.float32)
_TREE_HEIGHT_M = 9.0
_SHADE = 0.52


def paint(draft: Draft, *, date: int, palette: Palette, decorations: Decorations, conditions: Conditions) -> Image:
    """Return the `(3, height, width)` image in [0, 1] of one date, 0 for the earlier and 1 for the later."""
    cover = draft.covers[date]
    image = _ground(draft, cover, palette, conditions)
    _add_canopy_relief(image, draft, cover, conditions)
    _add_markings(image, draft, cover)
    _add_canopy_shadow(image, draft, cover, conditions)
    paint_trees(image, draft.frame, decorations, conditions)
    paint_cars(image, draft, cover, decorations, conditions, date=date)
    paint_buildings(image, draft.frame, draft.buildings[date], conditions)
    return image


def _ground(draft: Draft, cover: NDArray[np.uint8], palette: Palette, conditions: Conditions) -> Image:
    """Colour every pixel by its cover, the season, and the shared textures."""
    terrain = draft.terrain
    low, high = palette.endpoints(conditions)
    lushness = np.clip(
        np.float32(conditions.green) + np.float32(0.10) * terrain.coarse + np.float32(0.07) * terrain.medium, 0, 1
    )
    kinds = cover.astype(np.intp)
    light = 1 + _FINE[kinds] * terrain.fine + _MEDIUM[kinds] * terrain.medium + _COARSE[kinds] * terrain.coarse
    image = np.empty((3, *cover.shape), dtype=np.float32)
    for channel in range(3):
        image[channel] = low[:, channel][kinds] + (high - low)[:, channel][kinds] * lushness
    crops = cover == Cover.CROPS
    if crops.any():
        _paint_crops(image, light, crops=crops, draft=draft, palette=palette, conditions=conditions)
    image *= light
    return image


def _paint_crops(
    image: Image,
    light: NDArray[np.float32],
    *,
    crops: NDArray[np.bool_],
    draft: Draft,
    palette: Palette,
    conditions: Conditions,
) -> None:
    """Give every field the colour of its crop at this date, and its rows."""
    parcels, terrain = draft.parcels, draft.terrain
    index = parcels.index[crops]
    image[:, crops] = palette.crop_colours(parcels, conditions).T[:, index]
    across = np.where(parcels.rows_along_u[index], terrain.v[crops], terrain.u[crops])
    spacing = np.maximum(parcels.row_spacing_m[index], np.float32(4 * terrain.frame.gsd_m))
    light[crops] += np.float32(0.055) * np.sin(np.float32(2 * np.pi) * across / spacing)


def _add_canopy_relief(image: Image, draft: Draft, cover: NDArray[np.uint8], conditions: Conditions) -> None:
    """Light the crowns of a wood from the side of the sun, and darken the creases between them."""
    woods = cover == Cover.TREES
    if not woods.any():
        return
    terrain = draft.terrain
    to_sun_x, to_sun_y = np.sin(conditions.sun_azimuth), -np.cos(conditions.sun_azimuth)
    facing = terrain.crowns_dx * np.float32(-to_sun_x) + terrain.crowns_dy * np.float32(-to_sun_y)
    steepness = np.float32(0.9 * np.cos(conditions.sun_elevation) + 0.35)
    light = np.float32(0.55) + np.float32(0.5) * terrain.crowns + steepness * facing
    image *= np.where(woods, np.clip(light, 0.3, 1.9), np.float32(1))


def _add_markings(image: Image, draft: Draft, cover: NDArray[np.uint8]) -> None:
    """Paint the middle line of wide roads, and the bays of car parks."""
    terrain = draft.terrain
    thin = np.float32(max(0.22, 0.6 * terrain.frame.gsd_m))
    lots = cover == Cover.PAVED
    if lots.any():
        along, across = np.mod(terrain.u[lots], np.float32(2.7)), np.mod(terrain.v[lots], np.float32(16.0))
        bays = (along < thin) & ((across < np.float32(5)) | (across > np.float32(11)))
        image[:, lots] += np.float32(0.16) * bays
    asphalt = cover == Cover.ROAD
    wide = [road for road in draft.roads if road.width_m >= 7]
    if not wide or not asphalt.any():
        return
    u, v = terrain.u[asphalt], terrain.v[asphalt]
    lines = np.zeros(u.shape, dtype=bool)
    for road in wide:
        ahead, across = (u, v) if road.along_u else (v, u)
        dash = (np.mod(ahead, np.float32(9)) < 4) & (ahead > road.start) & (ahead < road.end)
        lines |= dash & (np.abs(across - np.float32(road.position)) < thin / 2)
    image[:, asphalt] += np.float32(0.2) * lines


def _add_canopy_shadow(image: Image, draft: Draft, cover: NDArray[np.uint8], conditions: Conditions) -> None:
    """Let woods throw their shadow on the ground beside them."""
    woods = cover == Cover.TREES
    if not woods.any():
        return
    dx, dy = conditions.shadow(_TREE_HEIGHT_M, draft.frame.gsd_m)
    shaded = np.zeros_like(woods)
    steps = max(int(np.ceil(np.hypot(dx, dy) / 3)), 1)
    for part in np.arange(1, steps + 1) / steps:
        shaded |= moved(woods, dx=round(dx * part), dy=round(dy * part))
    image *= np.where(shaded & ~woods, np.float32(_SHADE), np.float32(1))


def moved(mask: NDArray[np.bool_], *, dx: int, dy: int) -> NDArray[np.bool_]:
    """Return a mask moved by whole pixels, False where nothing came from."""
    moved = np.zeros_like(mask)
    height, width = mask.shape
    if abs(dx) >= width or abs(dy) >= height:
        return moved
    moved[max(dy, 0) : height + min(dy, 0), max(dx, 0) : width + min(dx, 0)] = mask[
        max(-dy, 0) : height + min(-dy, 0), max(-dx, 0) : width + min(-dx, 0)
    ]
    return moved
