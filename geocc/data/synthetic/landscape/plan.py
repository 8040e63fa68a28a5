"""A landscape in the making: its country, parcels, waters, forests and towns, and then its changes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from geocc.data.synthetic.cover import Cover
from geocc.data.synthetic.landscape.biomes import BIOMES
from geocc.data.synthetic.landscape.relief import power_noise
from geocc.data.synthetic.landscape.waters import draw_river, river_masks
from geocc.data.synthetic.parcels import divide

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geocc.data.synthetic.frame import Frame
    from geocc.data.synthetic.landscape.biomes import Biome
    from geocc.data.synthetic.landscape.waters import River

    Mask = NDArray[np.bool_]
    Field = NDArray[np.float32]
    Covers = NDArray[np.uint8]

__all__ = ["FRAY", "Land", "hall", "pivot", "plan_landscape", "ragged"]

FRAY = 0.04
"""How far shores follow the grain of the land, beside its elevation."""

SMALLEST_PX = 150
"""Changes of fewer pixels are not made."""


@dataclass(slots=True)
class Land:
    """The land at both dates.

    Attributes:
        frame: Its size.
        biome: Its country.
        u: Coordinate along the grid of parcels and streets, in metres.
        v: Coordinate across it.
        parcels: `(height, width)` number of the parcel.
        elevation: Height of the land, of unit deviation.
        grain: Field of middling roughness that frays outlines.
        level: Elevation under which there are lakes.
        block_m: Sides of a block of a town.
        river: The river, if there is one.
        covers: Cover map of either date, the earlier first.
        touched: Where a change has been made, and a little around it.
        change_masks: Masks of the changes.
    """

    frame: Frame
    biome: Biome
    u: Field
    v: Field
    parcels: NDArray[np.int32]
    elevation: Field
    grain: Field
    level: float
    block_m: tuple[float, float]
    river: River | None
    covers: tuple[Covers, Covers]
    touched: Mask
    change_masks: list[Mask] = field(default_factory=list)

    def on(self, *kinds: Cover) -> Mask:
        """Return where both dates have one of these covers and nothing has changed yet."""
        codes = np.zeros(len(Cover), dtype=bool)
        codes[list(kinds)] = True
        return codes[self.covers[0]] & ~self.touched

    def apply(self, mask: Mask, cover: Cover, *, date: int) -> bool:
        """Let `cover` lie on `mask` at one date only, unless that leaves too little; slivers and crumbs are left out."""
        mask = _coherent(ndimage.binary_opening(mask & ~self.touched, iterations=1))
        if int(mask.sum()) < SMALLEST_PX:
            return False
        self.covers[date][mask] = cover
        self.change_masks.append(mask)
        self.touched |= ndimage.maximum_filter(mask, size=5)
        return True

    def block(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the column and the row of the block of streets that a pixel would lie in."""
        return (
            np.floor(self.u / np.float32(self.block_m[0])).astype(np.int64),
            np.floor(self.v / np.float32(self.block_m[1])).astype(np.int64),
        )


def plan_landscape(rng: np.random.Generator, frame: Frame, *, sites: float) -> Land:
    """Draw a landscape, and on average `sites` changes of it."""
    from geocc.data.synthetic.landscape.sites import change_land

    land = _begin(rng, frame)
    change_land(rng, land, count=int(rng.poisson(sites)))
    return land


def _coherent(mask: Mask) -> Mask:
    """Return the parts of a mask that are large enough to be seen on their own."""
    labels, count = ndimage.label(mask)
    if count <= 1:
        return mask
    sizes = np.bincount(labels.ravel())
    keep = sizes >= max(0.06 * sizes[1:].max(), 40)
    keep[0] = False
    coherent: Mask = keep[labels]
    return coherent


def ragged(land: Land, *, x: float, y: float, radius: float, fray: float = 0.3) -> Mask:
    """Return a blob around a point, in pixels, whose outline follows the grain of the land."""
    rows, cols = np.ogrid[: land.frame.height, : land.frame.width]
    distance = np.hypot(rows - y, cols - x).astype(np.float32) / np.float32(radius)
    inside: Mask = distance + np.float32(fray) * land.grain < 1
    return inside


def _begin(rng: np.random.Generator, frame: Frame) -> Land:
    """Draw what is there at both dates."""
    biome = BIOMES[list(BIOMES)[int(rng.integers(len(BIOMES)))]]
    elevation = power_noise(rng, frame, slope=rng.uniform(3.4, 4.4), longest_px=0.6 * frame.width)
    grain = power_noise(rng, frame, slope=2.4, longest_px=90)
    u, v = _grid(rng, frame)
    shortest, longest = (max(side, least * frame.gsd_m) for side, least in zip(biome.parcel_m, (6, 18), strict=True))
    _, parcels = divide(rng, u, v, strips=(shortest, longest), along=(shortest, 1.6 * longest))
    cover = _parcel_covers(rng, biome, parcels)
    blank = np.zeros(cover.shape, dtype=bool)
    wet = rng.uniform(*biome.water)
    land = Land(
        frame=frame,
        biome=biome,
        u=u,
        v=v,
        parcels=parcels,
        elevation=elevation,
        grain=grain,
        level=float(np.quantile(elevation[::4, ::4] + FRAY * grain[::4, ::4], wet)) if wet > 0.002 else -9.0,
        block_m=(float(rng.uniform(70, 130)), float(rng.uniform(70, 200))),
        river=draw_river(rng, frame) if rng.random() < biome.river else None,
        covers=(cover, cover),
        touched=blank,
    )
    _plant(rng, land, cover)
    _fill(rng, land, cover)
    _found(rng, land, cover)
    land.covers = (cover, cover.copy())
    return land


def _grid(rng: np.random.Generator, frame: Frame) -> tuple[Field, Field]:
    """Draw the warped grid of parcels; where land was surveyed on a map it points north and is straight."""
    surveyed = rng.random() < 0.4
    angle = rng.normal(0, 0.02) if surveyed else rng.uniform(0, np.pi / 2)
    y, x = np.mgrid[0 : frame.height, 0 : frame.width].astype(np.float32) * np.float32(frame.gsd_m)
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    if surveyed:
        return x * cos + y * sin, -x * sin + y * cos
    bend = np.float32(rng.uniform(0, 14) * frame.gsd_m)
    warps = [bend * power_noise(rng, frame, slope=5.0, longest_px=200) for _ in range(2)]
    return x * cos + y * sin + warps[0], -x * sin + y * cos + warps[1]


def _parcel_covers(rng: np.random.Generator, biome: Biome, parcels: NDArray[np.int32]) -> Covers:
    """Decide the use of every parcel."""
    farmed, bare = rng.uniform(*biome.fields), rng.uniform(*biome.bare)
    uses = rng.choice(
        np.array([Cover.GRASS, Cover.CROPS, Cover.BARE], np.uint8),
        size=int(parcels.max()) + 1,
        p=[1 - farmed - bare * (1 - farmed), farmed, bare * (1 - farmed)],
    )
    covers: Covers = uses[parcels]
    return covers


def _plant(rng: np.random.Generator, land: Land, cover: Covers) -> None:
    """Grow the forests, with old clearings in them, and water fields in circles."""
    lie = power_noise(rng, land.frame, slope=2.8, longest_px=180) + np.float32(0.3) * land.grain
    share = rng.uniform(*land.biome.forest)
    wooded = lie > np.quantile(lie[::4, ::4], 1 - share)
    cleared = rng.random(int(land.parcels.max()) + 1) < rng.uniform(0, 0.25)
    cover[wooded & ~cleared[land.parcels]] = Cover.TREES
    if rng.random() < land.biome.pivots:
        for _ in range(int(rng.integers(2, 14))):
            circle = pivot(rng, land)
            land.parcels[circle] = land.parcels.max() + 1
            cover[circle & (cover == Cover.GRASS)] = Cover.CROPS
    for kind, where in ((Cover.BURNT, (Cover.TREES, Cover.GRASS)), (Cover.BARE, (Cover.GRASS, Cover.CROPS))):
        if rng.random() < 0.12:
            x, y = rng.uniform(0, land.frame.width), rng.uniform(0, land.frame.height)
            cover[ragged(land, x=x, y=y, radius=rng.uniform(12, 55)) & np.isin(cover, where)] = kind


def pivot(rng: np.random.Generator, land: Land) -> Mask:
    """Return a circular field of 300 to 450 m radius, of five pixels at the least."""
    radius = max(rng.uniform(300, 450) / land.frame.gsd_m, 6.0)
    x, y = rng.uniform(0, land.frame.width), rng.uniform(0, land.frame.height)
    rows, cols = np.ogrid[: land.frame.height, : land.frame.width]
    circle: Mask = np.hypot(rows - y, cols - x) < radius
    return circle


def _fill(rng: np.random.Generator, land: Land, cover: Covers) -> None:
    """Fill the lakes and the river, and lay sand along its inner banks."""
    floor = land.elevation + np.float32(FRAY) * land.grain
    if rng.random() < 0.6:
        shore = Cover.BARE if rng.random() < 0.5 else Cover.GRASS
        cover[floor < np.float32(land.level + rng.uniform(0.02, 0.1))] = shore
    cover[floor < np.float32(land.level)] = Cover.WATER
    if land.river is not None:
        water, sand = river_masks(land.frame, land.river, bars=rng.uniform(0, 0.5))
        cover[sand & (land.grain > np.float32(-0.6))] = Cover.BARE
        cover[water] = Cover.WATER


def _found(rng: np.random.Generator, land: Land, cover: Covers) -> None:
    """Found towns, made of whole blocks, and lay roads."""
    frame = land.frame
    columns, rows = land.block()
    for _ in range(int(rng.poisson(land.biome.towns))):
        x, y = rng.uniform(0, frame.width), rng.uniform(0, frame.height)
        radius = float(np.clip(rng.uniform(300, 1900) / frame.gsd_m, 14, 0.3 * frame.width))
        core = ragged(land, x=x, y=y, radius=radius, fray=0.2)
        keys = (columns ^ (rows * 7919)) & 65535
        share = np.bincount(keys.ravel(), core.ravel(), minlength=65536) / np.maximum(
            np.bincount(keys.ravel(), minlength=65536), 1
        )
        cover[(share > 0.5)[keys] & (cover != Cover.WATER)] = Cover.BUILT
    half = np.float32(max(rng.uniform(5, 9), 0.55 * frame.gsd_m))
    for _ in range(int(rng.integers(0, 5))):
        along = land.u if rng.random() < 0.5 else land.v
        at = float(along.flat[int(rng.integers(along.size))])
        cover[np.abs(along - np.float32(at)) < half] = Cover.ROAD
    if frame.gsd_m < 6:
        for _ in range(int(rng.poisson(3))):
            cover[hall(rng, land) & np.isin(cover, (Cover.GRASS, Cover.CROPS, Cover.BUILT))] = Cover.HALL


def hall(rng: np.random.Generator, land: Land, *, small_m: float = 30, large_m: float = 75) -> Mask:
    """Return a rectangle along the grid, its half sides drawn between two lengths in metres."""
    at = int(rng.integers(land.u.size))
    half_u, half_v = rng.uniform(small_m, large_m, size=2)
    inside: Mask = (np.abs(land.u - land.u.flat[at]) < np.float32(half_u)) & (
        np.abs(land.v - land.v.flat[at]) < np.float32(half_v)
    )
    return inside
