"""Captions of tiles from the polygons of changes that a person drew."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import shapely

from geocc.data.regions.labels import Labels, TileLabel
from geocc.data.regions.vectors import column_texts, in_pixels, name_some
from geocc.errors import InputError
from geocc.inference.no_change import NO_CHANGE_SENTENCES

if TYPE_CHECKING:
    import geopandas as gpd
    from shapely.geometry.base import BaseGeometry

    from geocc.scene.plan import TilePlan
    from geocc.scene.window import PixelWindow

__all__ = ["label_tiles"]

_EDGE = 1e-6  # square pixels: polygons drawn along tile edges must not catch the neighbours by rounding


def label_tiles(
    plan: TilePlan,
    polygons: gpd.GeoDataFrame,
    *,
    caption_column: str = "caption",
    category_column: str | None = None,
    min_share: float = 0.001,
) -> Labels:
    """Caption tiles by the polygons of changes that lie in them.

    A tile that meets no polygon is unchanged: the polygons must hold every change on the ground of the plan. One that
    polygons merely graze is neither, and is left out.

    Args:
        plan: The tiles.
        polygons: One row per change, in any CRS, with a caption.
        caption_column: Column of the captions.
        category_column: Column of a word for what changed, kept with the outlines.
        min_share: Share of a tile, in [0, 1), that a polygon must cover for its caption to be said of it.

    Returns:
        Labels; the captions of a changed tile in the order of the share that they cover, each once, and
        `NO_CHANGE_SENTENCES` for an unchanged one. Dropped: `too_little_change`.

    Raises:
        InputError: A caption is empty, a row is no polygon, a column is missing, or no polygon meets a tile.
        MissingCRSError: The polygons have no CRS.
    """
    rows = [f"row {index}" for index in polygons.index]
    captions = column_texts(polygons, caption_column)
    if empty := [row for row, caption in zip(rows, captions, strict=True) if not caption]:
        raise InputError(
            f"no caption in column {caption_column!r} at {name_some(empty)}: write one, or delete the row."
        )
    categories = None if category_column is None else column_texts(polygons, category_column)
    outlines = in_pixels(polygons, plan.geobox, names=rows)
    boxes = shapely.box(plan.col, plan.row, plan.col + plan.width, plan.row + plan.height)
    of, at = shapely.STRtree(boxes).query(outlines, predicate="intersects")
    parts = shapely.intersection(outlines[of], boxes[at])
    areas = shapely.area(parts)
    meets = areas > _EDGE
    if not meets.any():
        raise InputError(
            f"none of the {len(polygons)} polygons meets a tile: they are in {polygons.crs.to_string()}, the scene in "
            f"{plan.geobox.crs}. If that CRS is not theirs, set the right one: captions.set_crs(..., allow_override=True)."
        )
    labels = Labels([], len(plan), unused_polygons=len(polygons) - len(np.unique(of[meets])))
    found: dict[int, list[_Part]] = {}
    for pair in np.flatnonzero(meets).tolist():
        row = int(of[pair])
        properties = {"caption": captions[row]} | ({} if categories is None else {"category": categories[row]})
        found.setdefault(int(at[pair]), []).append(_Part(parts[pair], float(areas[pair]), properties))
    for number, (tile_id, window) in enumerate(zip(plan.tile_ids.tolist(), plan, strict=True)):
        if number not in found:
            labels.tiles.append(TileLabel(tile_id, window, changed=False, captions=NO_CHANGE_SENTENCES))
            continue
        least = min_share * window.height * window.width
        told = [part for part in found[number] if part.area >= least]
        if told:
            labels.tiles.append(_changed(tile_id, window, told))
        else:
            labels.dropped["too_little_change"] = labels.dropped.get("too_little_change", 0) + 1
    return labels


@dataclass(frozen=True, slots=True)
class _Part:
    """What of a polygon lies in a tile: outline in pixels of the scene, area in square pixels, properties."""

    outline: BaseGeometry
    area: float
    properties: dict[str, str]


def _changed(tile_id: str, window: PixelWindow, told: list[_Part]) -> TileLabel:
    shares: Counter[str] = Counter()
    for part in told:
        shares[part.properties["caption"]] += part.area  # type: ignore[assignment]  # areas are no whole numbers
    polygons = tuple(
        (shapely.transform(part.outline, lambda points: points - (window.col, window.row)), part.properties)
        for part in told
    )
    captions = sorted(shares, key=lambda caption: (-shares[caption], caption))
    return TileLabel(tile_id, window, changed=True, captions=tuple(captions), polygons=polygons)
