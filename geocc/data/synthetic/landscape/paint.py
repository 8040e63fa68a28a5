"""Painting a landscape: reflectances by cover, season and texture, and the picture that is made of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from geocc.data.synthetic.cover import Cover
from geocc.data.synthetic.landscape.colours import (
    BANDS,
    CROPS_LUSH,
    CROPS_RIPE,
    WATERS,
    develop,
    draw_composite,
    spectra,
)
from geocc.data.synthetic.landscape.relief import power_noise, scatter_cells
from geocc.data.synthetic.paint import moved

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geocc.data.synthetic.conditions import Conditions
    from geocc.data.synthetic.landscape.plan import Land

    Field = NDArray[np.float32]
    Image = NDArray[np.float32]

__all__ = ["paint_landscape"]

# How strongly rough, fine and vigour fields show on each cover, in the order of Cover.
_ROUGH = np.array([0.10, 0.055, 0.15, 0.07, 0.03, 0.03, 0.04, 0.20, 0.07, 0.10, 0.03], np.float32)
_FINE = np.array([0.075, 0.05, 0.10, 0.11, 0.02, 0.05, 0.07, 0.12, 0.045, 0.13, 0.05], np.float32)
_VIGOUR = np.array([0.20, 0.08, 0.0, 0.09, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0], np.float32)
_STREET_M = 9.0
_TREE_HEIGHT_M = 13.0
_SHADE = np.float32(0.6)


@dataclass(frozen=True, slots=True)
class _Texture:
    """What both dates share.

    Attributes:
        dry: `(covers, 5)` reflectances at the driest.
        lush: The same at the lushest.
        rough: Brightness of the ground, of unit deviation.
        fine: Grain of the size of a pixel.
        vigour: How well plants grow.
        pools: Which waters are green.
        slope_x: Slope of the land to the right, of unit deviation.
        slope_y: Slope downwards.
        hills: How strongly slopes show.
        roofs: `(height, width)` brightness of towns.
        gardens: Share of green in them.
        crop: Crop of every parcel.
        tone: Brightness of every parcel.
    """

    dry: Field
    lush: Field
    rough: Field
    fine: Field
    vigour: Field
    pools: Field
    slope_x: Field
    slope_y: Field
    hills: float
    roofs: Field
    gardens: Field
    crop: NDArray[np.int64]
    tone: Field


def paint_landscape(
    rng: np.random.Generator, land: Land, conditions: tuple[Conditions, Conditions], *, domain: str
) -> tuple[str, tuple[Image, Image]]:
    """Return the composite and the `(3, height, width)` images of both dates, about in [0, 1]."""
    texture = _draw(rng, land)
    composite = draw_composite(rng, domain)
    bands = BANDS[composite]
    reflected = [_reflectance(land, texture, seen, date=date, bands=bands) for date, seen in enumerate(conditions)]
    return composite, develop(rng, (reflected[0], reflected[1]))


def _draw(rng: np.random.Generator, land: Land) -> _Texture:
    frame = land.frame
    dry, lush = spectra(rng, land.biome)
    rough = power_noise(rng, frame, slope=rng.uniform(1.5, 2.1), longest_px=120)
    slope_y, slope_x = np.gradient(land.elevation + np.float32(0.15) * land.grain)
    steep = np.float32(max(float(slope_x.std()), 1e-6))
    roofs, gardens = _towns(rng, land)
    count = int(land.parcels.max()) + 1
    return _Texture(
        dry=dry,
        lush=lush,
        rough=rough,
        fine=power_noise(rng, frame, slope=0.6),
        vigour=power_noise(rng, frame, slope=2.2, longest_px=150),
        pools=power_noise(rng, frame, slope=4.0, longest_px=120),
        slope_x=slope_x / steep,
        slope_y=slope_y / steep,
        hills=float(rng.choice([0.01, rng.uniform(0.01, 0.09)])),
        roofs=roofs,
        gardens=gardens,
        crop=rng.integers(0, len(CROPS_LUSH), size=count),
        tone=rng.normal(1, 0.06, size=count).astype(np.float32),
    )


def _towns(rng: np.random.Generator, land: Land) -> tuple[Field, Field]:
    """Return how bright towns are and how green: blocks, streets between them, and roofs where pixels are fine enough."""
    frame = land.frame
    house_u, house_v = max(rng.uniform(11, 20), frame.gsd_m), max(rng.uniform(11, 20), frame.gsd_m)
    roofs = scatter_cells(rng, land.u, land.v, size_u=house_u, size_v=house_v)
    blocks = scatter_cells(rng, land.u, land.v, size_u=land.block_m[0], size_v=land.block_m[1])
    bright = np.float32(0.62) + np.float32(0.6) * roofs**2 + np.float32(0.3) * blocks
    gardens = np.clip(
        np.float32(rng.uniform(0.5, 2.0))
        * (scatter_cells(rng, land.u, land.v, size_u=house_u, size_v=house_v) - np.float32(0.55)),
        0,
        1,
    )
    share = np.float32(min(_STREET_M / frame.gsd_m, 1.0) * 0.9)
    width = np.float32(max(_STREET_M, frame.gsd_m))
    street = (np.mod(land.u, np.float32(land.block_m[0])) < width) | (
        np.mod(land.v, np.float32(land.block_m[1])) < width
    )
    bright += street * share * (np.float32(0.75) - bright)
    gardens *= 1 - street * share
    return bright, gardens


def _reflectance(land: Land, texture: _Texture, seen: Conditions, *, date: int, bands: tuple[int, int, int]) -> Image:
    """Return the `(3, height, width)` reflectances of one date."""
    # Without nuisance both dates have one season: nothing may hang on the date.
    rng = np.random.default_rng([seen.crop_seed, 7, date if seen.traffic else 0])
    cover = land.covers[date].astype(np.intp)
    low, high = land.biome.green
    green = low + (high - low) * seen.green
    season = np.full(len(Cover), green, np.float32)
    season[Cover.TREES] = land.biome.evergreen + (1 - land.biome.evergreen) * green
    vigour = texture.vigour
    if seen.traffic:
        # Rain falls here one year and there the next.
        vigour = np.float32(0.85) * vigour + np.float32(0.5) * power_noise(rng, land.frame, slope=2.6, longest_px=150)
    lushness = np.clip(season[cover] + _VIGOUR[cover] * vigour, 0, 1)
    light = 1 + _ROUGH[cover] * texture.rough + _FINE[cover] * texture.fine + _hillshade(texture, seen)
    image = np.empty((3, *cover.shape), np.float32)
    masks = {kind: cover == kind for kind in (Cover.CROPS, Cover.WATER, Cover.BUILT, Cover.FLOODED)}
    crops = _crop_colours(rng, land, texture, green=green)
    waters = _water_colours(rng, texture, seen)
    town = masks[Cover.BUILT]
    for channel, band in enumerate(bands):
        plane = texture.dry[:, band][cover] + (texture.lush - texture.dry)[:, band][cover] * lushness
        plane[masks[Cover.CROPS]] = crops[:, band][land.parcels[masks[Cover.CROPS]]]
        plane[masks[Cover.WATER]] = _mixed(texture.dry[Cover.WATER, band], WATERS[:, band], waters, masks[Cover.WATER])
        flooded = masks[Cover.FLOODED]
        plane[flooded] = np.float32(0.72) * plane[flooded] + np.float32(0.28) * crops[:, band][land.parcels[flooded]]
        garden = texture.dry[Cover.GRASS, band] + (texture.lush - texture.dry)[Cover.GRASS, band] * np.float32(green)
        plane[town] = _town_colour(plane[town] * texture.roofs[town], garden, texture.gardens[town])
        image[channel] = plane * light
    _shade(image, land, seen, tall=(cover == Cover.TREES) | (cover == Cover.HALL))
    return image


def _hillshade(texture: _Texture, seen: Conditions) -> Field:
    """Return how much brighter a slope is that faces the sun."""
    to_sun_x, to_sun_y = np.float32(np.sin(seen.sun_azimuth)), np.float32(-np.cos(seen.sun_azimuth))
    strength = np.float32(texture.hills / np.tan(seen.sun_elevation))
    return -strength * (texture.slope_x * to_sun_x + texture.slope_y * to_sun_y)


def _crop_colours(rng: np.random.Generator, land: Land, texture: _Texture, *, green: float) -> Field:
    """Return the `(parcels, 5)` colours of the fields: what is sown, and how far it has grown. All this is season."""
    count = len(texture.crop)
    crop = np.where(rng.random(count) < 0.5, texture.crop, rng.integers(0, len(CROPS_LUSH), count))
    growth = np.clip(green + rng.normal(0, 0.33, count), 0, 1)
    if land.biome.pivots > 0.5:
        # What is watered does not wait for the rain.
        growth = np.where(rng.random(count) < 0.75, rng.uniform(0.55, 1.0, count), 0.1)
    grown = growth.astype(np.float32)[:, None]
    colours: Field = (CROPS_RIPE[crop] + (CROPS_LUSH - CROPS_RIPE)[crop] * grown) * texture.tone[:, None]
    return colours


def _water_colours(rng: np.random.Generator, texture: _Texture, seen: Conditions) -> tuple[Field, Field]:
    """Return how silty and how green the water is, everywhere."""
    silt = np.clip(np.float32(seen.turbidity + rng.normal(0, 0.1)) + np.float32(0.12) * texture.pools, 0, 1)
    algae = np.clip(np.float32(rng.uniform(-0.4, 0.7) if seen.traffic else 0) + np.float32(0.35) * texture.pools, 0, 1)
    return silt, algae


def _mixed(clear: np.float32, other: Field, shares: tuple[Field, Field], where: NDArray[np.bool_]) -> Field:
    """Return the reflectance of water in one band."""
    silt, algae = (share[where] for share in shares)
    silty = clear + silt * (other[0] - clear)
    return np.asarray(silty + np.float32(0.6) * algae * (other[1] - silty), np.float32)


def _town_colour(roofs: Field, garden: np.float32, share: Field) -> Field:
    return roofs + share * (garden - roofs)


def _shade(image: Image, land: Land, seen: Conditions, *, tall: NDArray[np.bool_]) -> None:
    """Let forests and halls throw their shadow, where it is a pixel long."""
    dx, dy = seen.shadow(_TREE_HEIGHT_M, land.frame.gsd_m)
    if max(abs(dx), abs(dy)) < 0.5 or not tall.any():
        return
    shaded = np.zeros_like(tall)
    for part in (0.5, 1.0):
        shaded |= moved(tall, dx=round(dx * part), dy=round(dy * part))
    image *= np.where(shaded & ~tall, _SHADE, np.float32(1))
