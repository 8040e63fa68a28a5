"""Scenes of two dates, every change of which is known exactly."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from geocc.data.synthetic.conditions import draw_conditions
from geocc.data.synthetic.cover import COVER_CATEGORY, Category, Cover, principal
from geocc.data.synthetic.draft import begin_draft
from geocc.data.synthetic.frame import Frame, Window
from geocc.data.synthetic.objects import draw_decorations
from geocc.data.synthetic.outline import outline
from geocc.data.synthetic.paint import paint
from geocc.data.synthetic.palette import draw_palette
from geocc.data.synthetic.sensor import MARGIN_PX, expose
from geocc.data.synthetic.shapes import rectangle_stamp
from geocc.data.synthetic.sites import SHARES, change_cover, settle
from geocc.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from geopandas import GeoDataFrame
    from numpy.typing import NDArray
    from shapely import MultiPolygon
    from xarray import DataArray

    from geocc.data.synthetic.conditions import Conditions
    from geocc.data.synthetic.cover import Direction
    from geocc.data.synthetic.draft import Draft

    Mask = NDArray[np.bool_]

__all__ = ["Change", "SyntheticScene", "make_scene"]


@dataclass(frozen=True, eq=False)
class Change:
    """One change on the ground: one building, or one patch of cover.

    Attributes:
        category_from: What was there at the earlier date.
        category_to: What is there at the later date.
        window: The part of the scene that it fills.
        mask: `(window.height, window.width)` whether a pixel changed.
    """

    category_from: Category
    category_to: Category
    window: Window
    mask: Mask

    @property
    def category(self) -> Category:
        """What the change is named by, such as the building that stands where grass was."""
        return principal(self.category_from, self.category_to)[0]

    @property
    def direction(self) -> Direction:
        """Whether that came or went."""
        return principal(self.category_from, self.category_to)[1]

    @property
    def kind(self) -> str:
        """Category and direction in one word, such as `building gain`."""
        return f"{self.category} {self.direction}"

    @cached_property
    def polygon(self) -> MultiPolygon:
        """The outline in pixel coordinates, x to the right and y downwards, along the edges of the pixels."""
        return outline(self.mask, self.window)


@dataclass(frozen=True, eq=False)
class SyntheticScene:
    """Two dates of a place that never was.

    Attributes:
        seed: What it was made from.
        gsd_m: Side of a pixel in metres.
        t1: `(3, height, width)` uint8 image of the earlier date, red, green, blue.
        t2: That of the later date.
        changes: Every change between them.
        change_mask: `(height, width)` where the ground changed. Shadows of what was built fall outside it.
        conditions: How either date is seen, the earlier first.
    """

    seed: int
    gsd_m: float
    t1: NDArray[np.uint8]
    t2: NDArray[np.uint8]
    changes: tuple[Change, ...]
    change_mask: Mask
    conditions: tuple[Conditions, Conditions]

    def to_xarray(self) -> tuple[DataArray, DataArray]:
        """Return both dates as rasters with a UTM CRS and a date, dimensions `(band, y, x)`."""
        from geocc.data.synthetic.georeference import to_xarray

        return to_xarray(self)

    def changes_frame(self) -> GeoDataFrame:
        """Return one row per change, with its categories, kind and outline in the CRS of the rasters."""
        from geocc.data.synthetic.georeference import changes_frame

        return changes_frame(self)

    def to_geotiffs(self, folder: str | Path) -> tuple[Path, Path]:
        """Write `t1.tif` and `t2.tif`, tiled and compressed, into a folder and return their paths."""
        from geocc.data.synthetic.georeference import to_geotiffs

        return to_geotiffs(self, folder)


def make_scene(
    seed: int,
    *,
    size_px: int | tuple[int, int] = 512,
    gsd_m: float = 0.5,
    change_density: float = 0.35,
    nuisance: float = 1.0,
    max_shift_px: float = 1.5,
) -> SyntheticScene:
    """Make a scene of two dates.

    Equal arguments make equal scenes; no random state outside is read or touched.

    Args:
        seed: Any integer from 0.
        size_px: Side of a square scene in pixels, or `(height, width)`; each at least 32.
        gsd_m: Side of a pixel in metres. Things keep their size on the ground.
        change_density: Mean number of change sites on a hectare; 0 for a scene in which nothing changes.
        nuisance: How far season, sun, air and sensor differ between the dates, from 0 (not at all) to 1.
        max_shift_px: Largest misregistration between the dates in pixels, at most 2; 0 where `nuisance` is.

    Raises:
        InputError: If an argument is outside its range.
    """
    height, width = (size_px, size_px) if isinstance(size_px, int) else size_px
    _check(height=height, width=width, gsd_m=gsd_m, change_density=change_density, max_shift_px=max_shift_px)
    rng = np.random.default_rng([seed, 20251])
    frame = Frame(height=height, width=width, gsd_m=gsd_m).grown(MARGIN_PX)
    draft = _compose(rng, frame, change_density)
    decorations, palette = draw_decorations(rng, draft), draw_palette(rng)
    conditions = draw_conditions(rng, nuisance=nuisance, max_shift_px=max_shift_px)
    first, second = (
        expose(paint(draft, date=date, palette=palette, decorations=decorations, conditions=seen), seen, rng)
        for date, seen in enumerate(conditions)
    )
    changes = tuple(_changes(draft))
    mask = np.zeros((height, width), dtype=bool)
    for change in changes:
        mask[change.window.rows, change.window.cols] |= change.mask
    return SyntheticScene(
        seed=seed, gsd_m=gsd_m, t1=first, t2=second, changes=changes, change_mask=mask, conditions=conditions
    )


def _check(*, height: int, width: int, gsd_m: float, change_density: float, max_shift_px: float) -> None:
    """Refuse what no scene can be made of."""
    if min(height, width) < 32:
        raise InputError(f"size_px is {height} x {width}; a scene needs at least 32 pixels a side")
    if gsd_m <= 0 or change_density < 0:
        raise InputError(f"gsd_m is {gsd_m} and change_density {change_density}; expected > 0 and >= 0")
    if not 0 <= max_shift_px <= MARGIN_PX / 2:
        raise InputError(f"max_shift_px is {max_shift_px}; expected 0 to {MARGIN_PX / 2}")


def _compose(rng: np.random.Generator, frame: Frame, change_density: float) -> Draft:
    """Draw the ground, change it, and settle it."""
    draft = begin_draft(rng, frame)
    sites = int(rng.poisson(change_density * frame.hectares))
    kinds = rng.choice(len(SHARES), size=sites, p=list(SHARES.values()))
    categories = [list(SHARES)[kind] for kind in kinds]
    for category in categories:
        if category is not Category.BUILDING:
            change_cover(rng, draft, category)
    settle(rng, draft, sites=categories.count(Category.BUILDING))
    return draft


def _changes(draft: Draft) -> list[Change]:
    """Describe every change of a finished draft, in the frame without its margin."""
    before, after = draft.covers
    found = [_cut(mask, _majority(before[mask]), _majority(after[mask])) for mask in draft.change_masks]
    for building in draft.changed_buildings:
        mask = np.zeros_like(draft.touched)
        stamp = rectangle_stamp(draft.frame, building.footprint)
        if stamp is None:
            continue
        mask[stamp.window.rows, stamp.window.cols] = stamp.alpha >= 0.5
        gone = any(building is other for other in draft.buildings[0])
        ground = _majority(before[mask] if mask.any() else before)
        ends = (Category.BUILDING, ground) if gone else (ground, Category.BUILDING)
        found.append(_cut(mask, *ends))
    return [change for change in found if change is not None]


def _majority(covers: NDArray[np.uint8]) -> Category:
    return COVER_CATEGORY[Cover(int(np.bincount(covers.ravel()).argmax()))]


def _cut(mask: Mask, category_from: Category, category_to: Category) -> Change | None:
    """Take the margin off a mask and crop it to what it fills, or return None where nothing is left."""
    inner = mask[MARGIN_PX:-MARGIN_PX, MARGIN_PX:-MARGIN_PX]
    rows, cols = np.flatnonzero(inner.any(axis=1)), np.flatnonzero(inner.any(axis=0))
    if not len(rows):
        return None
    window = Window(
        top=int(rows[0]),
        left=int(cols[0]),
        height=int(rows[-1] - rows[0]) + 1,
        width=int(cols[-1] - cols[0]) + 1,
    )
    return Change(category_from, category_to, window, inner[window.rows, window.cols].copy())
