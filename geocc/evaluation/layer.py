"""A captioned layer against a layer of reference change polygons: which tiles, what, and where in the tile."""

from __future__ import annotations

import html
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from geocc.errors import InputError, MissingCRSError
from geocc.evaluation.lexicon import CATEGORIES, categories

if TYPE_CHECKING:
    from collections.abc import Sequence

    import geopandas as gpd
    from numpy.typing import NDArray

__all__ = ["LayerEvaluation", "evaluate_layer"]

_EDGES = (0.0, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class LayerEvaluation:
    """How well the tiles of a layer answer to the changes on the ground.

    Attributes:
        table: One row per figure: `group` ("tiles", "area", "category", "edge"), `part` (of the group: an area class, a
            category, a band of distances), `metric`, `value` in % and `n`, the number it rests on.
        tiles: One row per tile with a caption: `tile_id`, `truth` (whether the ground changed), `said` (whether the layer
            says so) and `change_area`, in square units of the CRS.
    """

    table: pd.DataFrame
    tiles: pd.DataFrame

    def __str__(self) -> str:
        return self.table.to_string(index=False, float_format=lambda value: f"{value:.2f}")

    def _repr_html_(self) -> str:
        title = html.escape(f"{len(self.tiles)} tiles with a caption")
        return f"<p><b>{title}</b></p>{self.table.to_html(index=False, escape=True, border=0)}"


@dataclass(frozen=True, slots=True)
class _Pieces:
    """The parts of reference polygons inside tiles: row by row a tile, a polygon, and what they share."""

    tile: NDArray[np.intp]
    polygon: NDArray[np.intp]
    area: NDArray[np.float64]
    edge: NDArray[np.float64]
    change_area: NDArray[np.float64]


def evaluate_layer(
    layer: gpd.GeoDataFrame,
    reference: gpd.GeoDataFrame,
    *,
    category: str | None = None,
    min_area: float = 0.0,
    area_classes: Sequence[float] | None = None,
) -> LayerEvaluation:
    """Compare a captioned layer with polygons of what really changed.

    A tile truly changed where it holds more than `min_area` of change. Beside precision, recall and F1 of the tiles (each
    tile counting once, and each counting its area), the recall is given by the size of the change, by its category, and by
    how near to the tile's edge it lies, where a model sees least of it. For each category it is also asked whether the
    caption names it.

    Args:
        layer: What `caption_changes` returned or `read_layer` read. Tiles without a caption are left out, and counted.
        reference: Polygons of change, in the layer's CRS.
        category: Column of `reference` that says what each polygon is: a category of
            `geocc.evaluation.lexicon.CATEGORIES`, or a text that names one.
        min_area: In square units of the CRS; leaves out slivers.
        area_classes: Limits between classes of change area within a tile, ascending; quartiles when left out.

    Returns:
        The figures.

    Raises:
        MissingCRSError: One of the layers has no CRS.
        InputError: The CRS differ or are geographic, a column is missing, or no tile has a caption.
    """
    _check(layer, reference, category)
    spoken = layer["changed"].notna()
    tiles = layer[spoken]
    if tiles.empty:
        raise InputError("no tile of the layer has a caption: there is nothing to compare with the reference.")
    said = tiles["changed"].to_numpy(dtype=bool)
    pieces = _cut(tiles, reference, min_area)
    truth = pieces.change_area > min_area
    rows = _tile_rows(truth, said, tiles.geometry.area.to_numpy())
    rows.append(("tiles", "all", "share with a caption", 100 * len(tiles) / len(layer), len(layer)))
    rows += _area_rows(pieces, said, area_classes)
    rows += _edge_rows(pieces, said)
    if category is not None:
        rows += _category_rows(pieces, said, list(tiles["caption"]), list(reference[category]))
    summary = {"tile_id": tiles["tile_id"], "truth": truth, "said": said, "change_area": pieces.change_area}
    return LayerEvaluation(
        pd.DataFrame(rows, columns=["group", "part", "metric", "value", "n"]),
        pd.DataFrame(summary).reset_index(drop=True),
    )


def _check(layer: gpd.GeoDataFrame, reference: gpd.GeoDataFrame, category: str | None) -> None:
    for name, frame in (("layer", layer), ("reference", reference)):
        if frame.crs is None:
            raise MissingCRSError(f"the {name} has no CRS: {name}.set_crs(...) with the CRS its coordinates are in")
    if layer.crs != reference.crs:
        raise InputError(
            f"the layer is in {layer.crs.to_string()} and the reference in {reference.crs.to_string()}: "
            "reference.to_crs(layer.crs)"
        )
    if not layer.crs.is_projected:
        raise InputError(
            f"{layer.crs.to_string()} is in degrees, in which areas mean nothing: bring both to "
            "layer.estimate_utm_crs() with to_crs(...)"
        )
    missing = {"tile_id", "changed", "caption"} - set(layer.columns)
    if missing:
        raise InputError(f"the layer lacks {', '.join(sorted(missing))}; give what caption_changes returned.")
    if category is not None and category not in reference.columns:
        raise InputError(f"the reference has no column {category!r}; it has: {', '.join(map(str, reference.columns))}.")


def _cut(tiles: gpd.GeoDataFrame, reference: gpd.GeoDataFrame, min_area: float) -> _Pieces:
    import shapely

    footprints, polygons = tiles.geometry.to_numpy(), shapely.make_valid(reference.geometry.to_numpy())
    tile, polygon = shapely.STRtree(polygons).query(footprints, predicate="intersects")
    shared = shapely.intersection(footprints[tile], polygons[polygon])
    area = shapely.area(shared)
    kept = area > min_area
    tile, polygon, shared, area = tile[kept], polygon[kept], shared[kept], area[kept]
    # Polygons may overlap: ground counts once.
    change_area = np.array([shapely.union_all(shared[tile == index]).area for index in range(len(tiles))])
    inside = shapely.distance(shapely.point_on_surface(shared), shapely.boundary(footprints[tile]))
    # The farthest from its edge that a point of the tile can be; half the side of a square.
    deepest = shapely.length(shapely.maximum_inscribed_circle(footprints)) if len(footprints) else np.zeros(0)
    return _Pieces(tile, polygon, area, inside / deepest[tile], change_area)


def _tile_rows(truth: NDArray[np.bool_], said: NDArray[np.bool_], areas: NDArray[np.float64]) -> list[tuple[Any, ...]]:
    rows = []
    for weighting, weights in (("", np.ones(len(truth))), (" by area", areas)):
        hit = float(weights[truth & said].sum())
        claimed, real = float(weights[said].sum()), float(weights[truth].sum())
        rows += [
            ("tiles", "all", f"precision{weighting}", _percent(hit, claimed), int(said.sum())),
            ("tiles", "all", f"recall{weighting}", _percent(hit, real), int(truth.sum())),
            ("tiles", "all", f"F1{weighting}", _percent(2 * hit, claimed + real), len(truth)),
        ]
    return rows


def _area_rows(pieces: _Pieces, said: NDArray[np.bool_], area_classes: Sequence[float] | None) -> list[tuple[Any, ...]]:
    real = pieces.change_area[pieces.change_area > 0]
    if not len(real):
        return []
    limits = np.quantile(real, [0.25, 0.5, 0.75]) if area_classes is None else np.asarray(area_classes, dtype=float)
    bounds = [0.0, *np.unique(limits).tolist(), np.inf]
    rows: list[tuple[Any, ...]] = []
    for low, high in pairwise(bounds):
        chosen = (pieces.change_area > low) & (pieces.change_area <= high)
        part = f"over {low:g}" if np.isinf(high) else f"{low:g} to {high:g}"
        rows.append(("area", part, "recall", _percent(said[chosen].sum(), chosen.sum()), int(chosen.sum())))
    return rows


def _edge_rows(pieces: _Pieces, said: NDArray[np.bool_]) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = []
    for low, high in pairwise(_EDGES):
        chosen = (pieces.edge >= low) & ((pieces.edge < high) | (high == _EDGES[-1]))
        part = f"{low:.0%} to {high:.0%} of the way to the centre"
        rows.append(
            ("edge", part, "recall", _percent(said[pieces.tile[chosen]].sum(), chosen.sum()), int(chosen.sum()))
        )
    return rows


def _category_rows(
    pieces: _Pieces, said: NDArray[np.bool_], captions: list[str], names: list[Any]
) -> list[tuple[Any, ...]]:
    named = [categories(caption) for caption in captions]
    kinds = [_kinds(name) for name in names]
    rows: list[tuple[Any, ...]] = []
    for kind in dict.fromkeys(kind for own in kinds for kind in own):
        real = np.unique(pieces.tile[[kind in kinds[polygon] for polygon in pieces.polygon.tolist()]])
        spoken = np.array([kind in own for own in named])
        rows.append(("category", kind, "recall", _percent(said[real].sum(), len(real)), len(real)))
        if kind in CATEGORIES:
            hits = float(spoken[real].sum())
            rows.append(("category", kind, "named where it changed", _percent(hits, len(real)), len(real)))
            rows.append(("category", kind, "changed where named", _percent(hits, spoken.sum()), int(spoken.sum())))
    return rows


def _kinds(name: Any) -> frozenset[str]:
    text = str(name)
    return frozenset({text}) if text in CATEGORIES else categories(text) or frozenset({text})


def _percent(above: float, below: float) -> float:
    return float(100 * above / below) if below else float("nan")
