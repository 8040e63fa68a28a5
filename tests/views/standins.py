"""Stand-ins for the scene, small and with pixels that tell where they are."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import shapely.affinity
from affine import Affine
from odc.geo.geobox import GeoBox
from table.standins import Plan

from geocc.scene.window import Tile
from geocc.table import TileResult, TileStatus, build_layer

UTM = "EPSG:26914"


class Pair:
    """Two dates: red is the row, green the column, blue the date; counts what is read of it."""

    t1_label = None
    t2_label = None

    def __init__(self, geobox, *, valid=None):
        self.geobox = geobox
        height, width = geobox.shape
        rows, cols = np.mgrid[0:height, 0:width]
        self.valid = np.ones((height, width), bool) if valid is None else valid
        dates = [np.stack([rows % 256, cols % 256, np.full((height, width), 50 + 100 * date)]) for date in (0, 1)]
        self.image = np.where(self.valid, np.stack(dates), 0).astype(np.uint8)
        self.windows = []

    def read(self, window):
        self.windows.append(window)
        image = np.zeros((2, 3, window.height, window.width), np.uint8)
        valid = np.zeros((window.height, window.width), bool)
        part = self.image[..., window.rows, window.cols]
        image[..., : part.shape[-2], : part.shape[-1]] = part
        valid[: part.shape[-2], : part.shape[-1]] = self.valid[window.rows, window.cols]
        return Tile(image, valid)


def make_geobox(height=40, width=60, *, affine=None, crs=UTM):
    return GeoBox((height, width), affine or Affine(2.0, 0, 500_000, 0, -2.0, 4_000_000), crs)


def make_changes(geobox, *, size=10, captions=("a road was built",), changed=True, probability=None, metadata=None):
    """A layer in which every tile changed, or none, with the captions in turn."""
    plan = Plan(geobox, size)
    results = [
        TileResult(
            tile_id=tile_id,
            status=TileStatus.OK,
            caption=captions[index % len(captions)],
            changed=changed,
            change_probability=1 / (index + 1) if probability is None else probability,
            confidence=0.5,
            valid_fraction=1.0,
        )
        for index, tile_id in enumerate(plan.tile_ids)
    ]
    return build_layer(plan, results, t1="2009-07-15", t2="2020-06-30", metadata=metadata or {"model": {"id": "mini"}})


def make_outlines(changes):
    """Two outlines, each half a tile, and a changed tile in which nothing stood out."""
    tiles = changes.iloc[:3]
    geometry = tiles.geometry.tolist()
    halves = [shapely.affinity.scale(tile, 0.5, 0.5) for tile in geometry[:2]]
    columns = {"tile_id": tiles["tile_id"].tolist(), "outlined": [True, True, False]}
    return gpd.GeoDataFrame(columns, geometry=[*halves, geometry[2]], crs=changes.crs)
