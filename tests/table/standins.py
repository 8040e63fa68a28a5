"""Stand-ins for what the scene gives to the table."""

from __future__ import annotations

from dataclasses import dataclass, field

import geopandas as gpd
import numpy as np
from affine import Affine
from odc.geo.geobox import GeoBox
from shapely.geometry import Polygon

from geocc.table import TileResult, TileStatus, build_layer

METADATA = {
    "model": {"id": "geocc-mini", "hash": "sha256:0123"},
    "prompt": "What changed?\n日本 {}",
    "parameters": {"tile_size": 10, "max_new_tokens": 64, "scale": None},
    "versions": {"geocc": "0.1.0"},
}


@dataclass(frozen=True)
class Plan:
    """A full cover of square tiles, as the scene's plan looks from outside."""

    geobox: GeoBox
    size: int
    row: np.ndarray = field(init=False)
    col: np.ndarray = field(init=False)

    def __post_init__(self):
        rows, cols = np.mgrid[0 : self.geobox.shape.y : self.size, 0 : self.geobox.shape.x : self.size]
        object.__setattr__(self, "row", rows.ravel())
        object.__setattr__(self, "col", cols.ravel())

    @property
    def tile_ids(self):
        return [f"r{row:05d}c{col:05d}" for row, col in zip(self.row, self.col, strict=True)]

    def footprints(self):
        corners = [(0, 0), (self.size, 0), (self.size, self.size), (0, self.size)]
        a, b, c, d, e, f = tuple(self.geobox.affine)[:6]
        return gpd.GeoSeries(
            [
                Polygon([(a * (col + x) + b * (row + y) + c, d * (col + x) + e * (row + y) + f) for x, y in corners])
                for row, col in zip(self.row.tolist(), self.col.tolist(), strict=True)
            ],
            crs=str(self.geobox.crs),
        )


def make_plan(rows=2, cols=3, *, size=10, affine=None, crs="EPSG:26914"):
    affine = affine or Affine(30.0, 0, 500_000, 0, -30.0, 4_000_000)
    return Plan(GeoBox((rows * size, cols * size), affine, crs), size)


def make_results(plan, captions=None):
    """One result of every status in turn, and then some."""
    results = []
    for index, tile_id in enumerate(plan.tile_ids):
        status = list(TileStatus)[index % 4]
        caption = captions[index % len(captions)] if captions else f"tile {index}: trees gave way to a road, 道路"
        results.append(
            TileResult(
                tile_id=tile_id,
                status=status,
                caption=caption if status.has_caption else None,
                changed=(status is TileStatus.OK) if status.has_caption else None,
                change_probability=index / (index + 3) if status.has_caption else float("nan"),
                confidence=1 / (index + 1) if status is TileStatus.OK else float("nan"),
                error="CaptionError: no room on the device" if status is TileStatus.FAILED else None,
                valid_fraction=1 / (index + 1),
            )
        )
    return results


def make_layer(plan=None, captions=None, **kwargs):
    plan = plan or make_plan()
    options = {"t1": "2009-07-15", "t2": "2020-06-30T17:04:05.123456Z", "metadata": METADATA} | kwargs
    return build_layer(plan, make_results(plan, captions), **options)
