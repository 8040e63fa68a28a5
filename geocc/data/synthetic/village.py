"""Villages: scenes fine enough to show single houses, in both domains that have them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from geocc.data.synthetic.change import cut_change, majority
from geocc.data.synthetic.cover import Category
from geocc.data.synthetic.draft import begin_draft
from geocc.data.synthetic.ground_sites import AERIAL_SHARES, change_ground, lay_static_ground
from geocc.data.synthetic.objects import draw_decorations
from geocc.data.synthetic.paint import paint
from geocc.data.synthetic.palette import draw_palette
from geocc.data.synthetic.sensor import MARGIN_PX
from geocc.data.synthetic.shapes import rectangle_stamp
from geocc.data.synthetic.sites import SHARES, change_cover, settle

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from geocc.data.synthetic.change import Change
    from geocc.data.synthetic.conditions import Conditions
    from geocc.data.synthetic.draft import Draft
    from geocc.data.synthetic.frame import Frame

    Look = Callable[[int, Conditions], NDArray[np.float32]]

__all__ = ["building_changes", "paint_village", "plan_aerial", "plan_vhr"]

# From here on, change sites grow with the pixels.
_FINE_GSD_M = 0.6


def plan_vhr(rng: np.random.Generator, frame: Frame, *, sites: float) -> Draft:
    """Draw the ground, change it, and settle it."""
    draft = begin_draft(rng, frame)
    categories = _draw_sites(rng, sites, SHARES)
    for category in categories:
        if category is not Category.BUILDING:
            change_cover(rng, draft, category)
    settle(rng, draft, sites=categories.count(Category.BUILDING))
    return draft


def plan_aerial(rng: np.random.Generator, frame: Frame, *, sites: float) -> Draft:
    """Draw the ground, change it in all the ways there are, and settle it."""
    draft = begin_draft(rng, frame)
    draft.scale = max(frame.gsd_m / _FINE_GSD_M, 1.0)
    lay_static_ground(rng, draft)
    categories = _draw_sites(rng, sites, AERIAL_SHARES)
    for category in categories:
        if category in SHARES and category is not Category.BUILDING:
            change_cover(rng, draft, category)
        elif category not in SHARES:
            change_ground(rng, draft, category)
    settle(rng, draft, sites=round(categories.count(Category.BUILDING) * draft.scale))
    return draft


def _draw_sites(rng: np.random.Generator, mean: float, shares: dict[Category, float]) -> list[Category]:
    """Draw how many change sites there are, and of which kinds."""
    count = int(rng.poisson(mean))
    kinds = rng.choice(len(shares), size=count, p=list(shares.values()))
    return [list(shares)[kind] for kind in kinds]


def paint_village(rng: np.random.Generator, draft: Draft) -> Look:
    """Draw what both dates share, and return a function from date and conditions to an image in [0, 1]."""
    decorations, palette = draw_decorations(rng, draft), draw_palette(rng)
    return partial(_paint, draft, palette=palette, decorations=decorations)


def _paint(draft: Draft, date: int, conditions: Conditions, **shared: Any) -> NDArray[np.float32]:
    return paint(draft, date=date, conditions=conditions, **shared)


def building_changes(draft: Draft, *, valid: NDArray[np.bool_]) -> list[Change]:
    """Describe every building that stands at one date only, as far as both dates show its ground."""
    before = draft.covers[0]
    found = []
    for building in draft.changed_buildings:
        mask = np.zeros_like(draft.touched)
        stamp = rectangle_stamp(draft.frame, building.footprint)
        if stamp is None:
            continue
        mask[stamp.window.rows, stamp.window.cols] = stamp.alpha >= 0.5
        gone = any(building is other for other in draft.buildings[0])
        ground = majority(before[mask] if mask.any() else before)
        ends = (Category.BUILDING, ground) if gone else (ground, Category.BUILDING)
        found.append(cut_change(mask & valid, *ends, margin=MARGIN_PX))
    return [change for change in found if change is not None]
