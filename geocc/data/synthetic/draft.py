"""A scene in the making: what lies and stands on the ground at either date, before it is painted."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from geocc.data.synthetic.cover import Cover
from geocc.data.synthetic.noise import fractal_noise
from geocc.data.synthetic.parcels import make_parcels
from geocc.data.synthetic.roads import make_roads, road_mask
from geocc.data.synthetic.shapes import blob, grid_rectangle, rectangle_stamp
from geocc.data.synthetic.terrain import make_terrain

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geocc.data.synthetic.buildings import Building
    from geocc.data.synthetic.frame import Frame
    from geocc.data.synthetic.parcels import Parcels
    from geocc.data.synthetic.roads import Road
    from geocc.data.synthetic.terrain import Terrain

    Mask = NDArray[np.bool_]

__all__ = ["Draft", "begin_draft"]


@dataclass(slots=True)
class Draft:
    """The ground at both dates.

    Attributes:
        terrain: What both dates share.
        parcels: The division of the land.
        roads: Roads of either date.
        covers: Cover map of either date, the earlier first, `(height, width)` uint8.
        buildings: Buildings of either date, the earlier first.
        touched: Where a change has been made, and a little around it: no second change there.
        built: Where a building of either date stands, and a little around it.
        change_masks: Masks of the changes of cover.
        changed_buildings: Buildings that stand at one date only.
        scale: Factor of the size of change sites, so that they are seen where pixels are large.
    """

    terrain: Terrain
    parcels: Parcels
    roads: list[Road]
    covers: tuple[NDArray[np.uint8], NDArray[np.uint8]]
    touched: Mask
    built: Mask
    buildings: tuple[list[Building], list[Building]] = field(default_factory=lambda: ([], []))
    change_masks: list[Mask] = field(default_factory=list)
    changed_buildings: list[Building] = field(default_factory=list)
    scale: float = 1.0

    @property
    def frame(self) -> Frame:
        """Size of the scene."""
        return self.terrain.frame

    def touch(self, mask: Mask) -> None:
        """Keep other changes a few metres away from `mask`."""
        reach = max(int(self.frame.px(4)), 1)
        self.touched |= ndimage.uniform_filter(mask.astype(np.float32), size=2 * reach + 1, mode="constant") > 1e-4

    def on_any(self, *kinds: Cover) -> Mask:
        """Return where one of the covers lies at either date."""
        codes = np.zeros(len(Cover), dtype=bool)
        codes[list(kinds)] = True
        return codes[self.covers[0]] | codes[self.covers[1]]

    def has_room(self, building: Building) -> bool:
        """Say whether a building fits between roads, water, trees, changes and the other buildings."""
        stamp = rectangle_stamp(self.frame, building.footprint.grown(self.frame.px(2.0)))
        if stamp is None:
            return False
        rows, cols = stamp.window.rows, stamp.window.cols
        inside = stamp.alpha > 0
        if (self.built[rows, cols] | self.touched[rows, cols])[inside].any():
            return False
        return all(bool((cover[rows, cols][inside] <= Cover.BARE).all()) for cover in self.covers)

    def build(self, building: Building, *, dates: tuple[int, ...]) -> None:
        """Put a building on the ground at the given dates, 0 for the earlier and 1 for the later."""
        stamp = rectangle_stamp(self.frame, building.footprint.grown(self.frame.px(1.5)))
        if stamp is None:
            return
        self.built[stamp.window.rows, stamp.window.cols] |= stamp.alpha > 0
        for date in dates:
            self.buildings[date].append(building)
        if len(dates) == 1:
            self.changed_buildings.append(building)

    def full_covers(self) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Return the cover maps with the buildings on them."""
        first, second = (cover.copy() for cover in self.covers)
        for cover, buildings in zip((first, second), self.buildings, strict=True):
            for building in buildings:
                stamp = rectangle_stamp(self.frame, building.footprint)
                if stamp is not None:
                    cover[stamp.window.rows, stamp.window.cols][stamp.alpha >= 0.5] = Cover.HALL
        return first, second


def begin_draft(rng: np.random.Generator, frame: Frame) -> Draft:
    """Draw the unchanging ground of a scene: parcels, woods, water, roads, and the plots along them."""
    terrain = make_terrain(rng, frame)
    parcels = make_parcels(rng, terrain)
    roads = make_roads(rng, terrain, parcels.strip_edges)
    cover = parcels.cover[parcels.index]
    _plant_woods(rng, terrain, cover)
    _add_water(rng, terrain, cover)
    for road in roads:
        if road.residential:
            strip = road_mask(terrain, road, margin_m=26)
            strip &= (cover == Cover.CROPS) | (cover == Cover.TREES)
            cover[strip] = Cover.GRASS
    for road in roads:
        cover[road_mask(terrain, road)] = Cover.ROAD
    _add_car_parks(rng, terrain, cover)
    blank = np.zeros(cover.shape, dtype=bool)
    return Draft(
        terrain=terrain,
        parcels=parcels,
        roads=roads,
        covers=(cover, cover.copy()),
        touched=blank,
        built=blank.copy(),
    )


def _plant_woods(rng: np.random.Generator, terrain: Terrain, cover: NDArray[np.uint8]) -> None:
    """Cover a share of the land, from next to nothing to half, with woods of ragged outline."""
    frame = terrain.frame
    lie = fractal_noise(rng, frame, scale_px=frame.px(110)) + np.float32(0.12) * terrain.medium
    share = rng.uniform(0.02, 0.5)
    cover[lie > np.quantile(lie[::4, ::4], 1 - share)] = Cover.TREES


def _add_water(rng: np.random.Generator, terrain: Terrain, cover: NDArray[np.uint8]) -> None:
    """Add ponds, and now and then a river."""
    frame = terrain.frame
    for _ in range(int(rng.poisson(0.09 * frame.hectares))):
        x, y = rng.uniform(0, frame.width), rng.uniform(0, frame.height)
        cover[blob(rng, frame, x=x, y=y, radius=frame.px(rng.uniform(8, 38)))] = Cover.WATER
    if rng.random() < 0.25:
        bend = np.float32(rng.uniform(8, 25)) * fractal_noise(rng, frame, scale_px=frame.px(130), octaves=2)
        middle = np.float32(rng.choice(terrain.u.ravel()[:: frame.width // 4 + 1]))
        half = np.float32(rng.uniform(5, 20)) * (1 + np.float32(0.15) * terrain.coarse)
        cover[np.abs(terrain.u - middle + bend) < half] = Cover.WATER


def _add_car_parks(rng: np.random.Generator, terrain: Terrain, cover: NDArray[np.uint8]) -> None:
    """Pave a few rectangles that are there at both dates."""
    for _ in range(int(rng.poisson(0.05 * terrain.frame.hectares))):
        at = int(rng.integers(cover.size))
        lot = grid_rectangle(
            terrain,
            u=float(terrain.u.flat[at]),
            v=float(terrain.v.flat[at]),
            half_u=float(rng.uniform(12, 28)),
            half_v=float(rng.uniform(10, 22)),
        )
        cover[lot & (cover <= Cover.BARE)] = Cover.PAVED
