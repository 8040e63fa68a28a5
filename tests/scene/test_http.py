"""A cloud-optimised GeoTIFF behind HTTP: only the blocks under the tiles travel."""

import numpy as np
import pytest
import rasterio
from rasterio.shutil import copy
from shapely import box
from support import range_server, rasters
from support.captioners import StubCaptioner

import geocc
from geocc.scene import open_pair, plan_tiles
from geocc.scene.reading import read_tiles

GRID = rasters.grid(2048, 2048)


@pytest.fixture
def server(tmp_path):
    values = np.random.default_rng(3).integers(0, 255, (3, *GRID.shape), np.uint8)
    plain = rasters.write(tmp_path / "plain.tif", GRID, values)
    served = tmp_path / "served"
    served.mkdir()
    for name in ("t1", "t2"):
        copy(plain, served / f"{name}.tif", driver="COG", compress="deflate", blocksize=256)
    # What stays in GDAL's cache of remote files would not be counted.
    alone = {"CPL_VSIL_CURL_NON_CACHED": "/vsicurl/http://127.0.0.1", "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR"}
    with range_server.serve(served) as running, rasterio.Env(**alone):
        yield running, [f"{running.root}/{name}.tif" for name in ("t1", "t2")], values


def test_a_corner_of_a_remote_scene_costs_a_corner_of_its_bytes(server, tmp_path):
    served, addresses, values = server
    size = (tmp_path / "served/t1.tif").stat().st_size
    pair = open_pair(*addresses)
    assert served.sent < 0.1 * size
    plan = plan_tiles(pair, tile_size=128, stride=64, roi=box(*pair.geobox[600:900, 600:900].boundingbox.bbox))
    for read in read_tiles(pair, plan):
        window = plan[read.position]
        np.testing.assert_array_equal(read.tile.image[0], values[:, window.rows, window.cols])
    # 3 x 3 blocks of 8 x 8 for each date, and what GDAL reads around them.
    assert served.sent < 0.25 * 2 * size


def test_a_remote_scene_is_captioned_and_resumed_by_its_pixels(server, tmp_path):
    _, addresses, _ = server
    layer = geocc.caption_changes(
        *addresses, model=StubCaptioner(), tile_size=512, output=tmp_path / "changes.gpkg", progress=False
    )
    assert set(layer["status"]) == {"ok"}


def test_a_remote_scene_that_is_gone_is_told(server):
    _, addresses, _ = server
    with pytest.raises(geocc.errors.ReadError, match="cannot be opened"):
        open_pair(addresses[0], addresses[1].replace("t2", "t3"))
