from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from support.rasters import AFFINES, UTM, encode, grid, scene, write

from geocc.scene import PixelWindow, open_pair, plan_tiles

GRID = grid(30, 40)
PAIR = open_pair(scene(GRID), scene(GRID))


@given(st.integers(-50, 50), st.integers(-50, 50), st.integers(1, 60), st.integers(1, 60))
def test_windows_over_the_edge_are_filled_with_invalid_zeros(row, col, height, width):
    tile = PAIR.read(PixelWindow(row, col, height, width))
    padded = np.zeros((3, 200, 200), np.uint8)
    padded[:, 80:110, 80:120] = encode(GRID)
    inside = np.zeros((200, 200), bool)
    inside[80:110, 80:120] = True
    rows, cols = slice(row + 80, row + 80 + height), slice(col + 80, col + 80 + width)
    assert (tile.image == padded[:, rows, cols]).all()
    assert (tile.valid == inside[rows, cols]).all()
    assert tile.image.shape == (2, 3, height, width)


def test_an_empty_window_reads_nothing():
    assert PAIR.read(PixelWindow(0, 0, 0, 5)).image.shape == (2, 3, 0, 5)


def test_a_pixel_is_valid_where_both_dates_hold_data():
    t1, t2 = encode(GRID, row=1, col=1), encode(GRID, row=1, col=1)
    t1[:, 3, 4] = 0
    t2[:, 5, 6] = 0
    tile = open_pair(scene(GRID, t1, nodata=0), scene(GRID, t2, nodata=0)).read(PixelWindow(0, 0, 30, 40))
    assert np.argwhere(~tile.valid).tolist() == [[3, 4], [5, 6]]
    assert not tile.image[:, :, [3, 5], [4, 6]].any()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_never_reach_the_tile(bad):
    values = encode(GRID).astype("float32")
    values[1, 7, 8] = bad
    tile = open_pair(scene(GRID, values), scene(GRID, values)).read(PixelWindow(0, 0, 30, 40))
    assert np.argwhere(~tile.valid).tolist() == [[7, 8]]
    assert (
        np.delete(tile.image[0].reshape(3, -1), 7 * 40 + 8, 1) == np.delete(encode(GRID).reshape(3, -1), 7 * 40 + 8, 1)
    ).all()


@pytest.mark.parametrize("kind", AFFINES)
def test_tiles_put_together_are_the_scene(kind):
    geobox = grid(70, 90, kind=kind)
    pair = open_pair(scene(geobox), scene(geobox))
    whole = np.zeros((2, 3, 70, 90), np.uint8)
    for window in plan_tiles(pair, tile_size=32, stride=20):
        whole[:, :, window.rows, window.cols] = pair.read(window).image
    assert (whole == encode(geobox)[:, :: -1 if kind == "south-up" else 1]).all()


def test_a_south_up_scene_is_read_north_up():
    geobox = grid(30, 40, kind="south-up")
    pair = open_pair(scene(geobox), scene(geobox))
    assert pair.geobox.affine[:6] == (10.0, 0.0, 500_000.0, 0.0, -10.0, 4_990_300.0)
    assert (pair.read(PixelWindow(0, 0, 1, 40)).image[0] == encode(geobox)[:, 29:]).all()


def test_the_description_is_plain_json(tmp_path):
    t1 = write(tmp_path / "t1.tif", GRID, nodata=0, tags={"TIFFTAG_DATETIME": "2009:08:18 17:02:11"})
    t2 = scene(GRID, encode(GRID).astype("float32"), nodata=float("nan"))
    pair = open_pair(t1, t2, scale=(0, 255))
    facts = pair.describe()
    assert json.loads(json.dumps(facts, allow_nan=False)) == facts
    assert facts["grid"] == {"crs": UTM, "transform": [10.0, 0.0, 5e5, 0.0, -10.0, 5e6], "shape": [30, 40]}
    assert facts["t1"]["source"] == t1
    assert facts["t1"]["date"] == "2009-08-18T17:02:11"
    assert facts["t1"]["nodata"] == [0.0, 0.0, 0.0]
    assert facts["t2"]["nodata"] == ["nan", "nan", "nan"]
    assert facts["t2"]["date"] is None
    assert facts["scale"] == {"origin": "given", "lo": [0.0, 0.0, 0.0], "hi": [255.0, 255.0, 255.0]}


def test_names_with_secrets_are_masked():
    data = scene(GRID).rename("https://me:pw@host/a.tif?sig=1")
    assert open_pair(data, data).describe()["t1"]["source"] == "DataArray 'https://***@host/a.tif?***'"


def test_pairs_of_arrays_travel_between_processes():
    window = PixelWindow(3, 4, 10, 12)
    sent = pickle.loads(pickle.dumps(PAIR))  # noqa: S301 - our own bytes
    assert (sent.read(window).image == PAIR.read(window).image).all()


def test_paths_may_be_path_objects(tmp_path):
    path = tmp_path / "t.tif"
    write(path, GRID)
    assert open_pair(path, str(path)).geobox == GRID


def test_a_tile_of_one_pixel():
    one = GeoBox((1, 1), Affine(10, 0, 5e5, 0, -10, 5e6), UTM)
    pair = open_pair(scene(one), scene(one))
    plan = plan_tiles(pair)
    assert [len(plan), plan[0]] == [1, PixelWindow(0, 0, 1, 1)]
    assert pair.read(plan[0]).padded(256).image.shape == (2, 3, 256, 256)
