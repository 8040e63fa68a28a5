from __future__ import annotations

import json
from math import ceil

import geopandas as gpd
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from support.rasters import AFFINES, UTM, grid

from geocc.errors import InputError, MissingCRSError, WriteError
from geocc.scene import PixelWindow, TilePlan, plan_tiles

TILE = 24
sizes = st.integers(1, 3 * TILE)
strides = st.integers(1, TILE)
kinds = st.sampled_from(sorted(AFFINES))


def tiles_along(size, tile, stride):
    return 1 if size <= tile else ceil((size - tile) / stride) + 1


@given(height=sizes, width=sizes, stride=strides, kind=kinds)
def test_every_pixel_is_covered_by_the_expected_number_of_distinct_tiles(height, width, stride, kind):
    plan = plan_tiles(grid(height, width, kind=kind), tile_size=TILE, stride=stride)
    seen = np.zeros((height, width), int)
    for window in plan:
        assert 0 <= window.row <= window.row + window.height <= height
        assert 0 <= window.col <= window.col + window.width <= width
        assert (window.height, window.width) == (min(TILE, height), min(TILE, width))
        seen[window.rows, window.cols] += 1
    assert seen.min() >= 1
    assert len(plan) == tiles_along(height, TILE, stride) * tiles_along(width, TILE, stride)
    assert len({(window.row, window.col) for window in plan}) == len(plan)
    assert len(set(plan.tile_ids.tolist())) == len(plan)


@given(height=sizes, width=sizes, stride=strides, kind=kinds)
def test_json_round_trip_is_exact(height, width, stride, kind):
    plan = plan_tiles(grid(height, width, kind=kind), tile_size=TILE, stride=stride)
    again = TilePlan.from_json(plan.to_json())
    assert again == plan
    assert again.geobox == plan.geobox
    assert again.geobox.affine[:6] == plan.geobox.affine[:6]
    assert again.tile_ids.tolist() == plan.tile_ids.tolist()


def test_tiles_start_at_the_upper_left_and_the_last_are_pulled_back():
    plan = plan_tiles(grid(30, 50), tile_size=20, stride=15)
    assert sorted(set(plan.row.tolist())) == [0, 10]
    assert sorted(set(plan.col.tolist())) == [0, 15, 30]
    assert plan.tile_ids[0] == "r000000_c000000"
    assert plan.tile_ids[-1] == "r000010_c000030"
    assert plan[1] == PixelWindow(0, 15, 20, 20)


@pytest.mark.parametrize(
    ("sizes", "match"),
    [
        ({"tile_size": 0}, "tile_size=0"),
        ({"tile_size": 2.5}, "tile_size=2.5"),
        ({"tile_size": True}, "tile_size=True"),
        ({"stride": 0}, "stride=0"),
        ({"tile_size": 10, "stride": 11}, "Take 1 to 10"),
    ],
)
def test_impossible_sizes_are_refused(sizes, match):
    with pytest.raises(InputError, match=match):
        plan_tiles(grid(30, 30), **sizes)


def test_a_plan_that_would_fill_the_memory_is_refused():
    with pytest.raises(InputError, match="larger stride"):
        plan_tiles(grid(10**6, 10**6), stride=1)


def test_numpy_sizes_are_whole_numbers_too():
    assert len(plan_tiles(grid(30, 30), tile_size=np.int64(15))) == 4


@pytest.mark.parametrize("kind", AFFINES)
def test_region_keeps_the_tiles_it_shares_area_with(kind):
    whole = plan_tiles(grid(60, 80, kind=kind), tile_size=20)
    footprints = whole.footprints()
    region = footprints.iloc[5].buffer(-1)
    kept = plan_tiles(whole.geobox, tile_size=20, roi=region)
    assert kept.tile_ids.tolist() == [whole.tile_ids[5]]


@given(data=st.data(), kind=kinds)
def test_region_agrees_with_the_areas_of_intersection(data, kind):
    whole = plan_tiles(grid(60, 80, kind=kind), tile_size=20, stride=15)
    left, top = data.draw(st.integers(0, 70)), data.draw(st.integers(0, 50))
    right, bottom = data.draw(st.integers(left + 1, 90)), data.draw(st.integers(top + 1, 70))
    corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
    region = shapely.Polygon([whole.geobox.pix2wld(*corner) for corner in corners])
    kept = plan_tiles(whole.geobox, tile_size=20, stride=15, roi=region)
    shared = whole.footprints().intersection(region).area > 1e-3
    assert kept.tile_ids.tolist() == whole.tile_ids[shared.to_numpy()].tolist()


@pytest.mark.parametrize("kind", AFFINES)
def test_a_region_along_tile_edges_does_not_catch_the_neighbours(kind):
    whole = plan_tiles(grid(60, 60, kind=kind), tile_size=20)
    assert len(plan_tiles(whole.geobox, tile_size=20, roi=whole.footprints().iloc[4])) == 1


def test_regions_with_a_crs_are_converted_from_it():
    whole = plan_tiles(grid(60, 60), tile_size=20)
    one = gpd.GeoSeries([whole.footprints().iloc[4].buffer(-20)], crs=UTM).to_crs("EPSG:4326")
    for region in (one, gpd.GeoDataFrame(geometry=one), GeoBox((1, 1), whole.geobox[25:30, 25:30].affine, UTM).extent):
        assert plan_tiles(whole.geobox, tile_size=20, roi=region).tile_ids.tolist() == ["r000020_c000020"]


def test_regions_that_cannot_be_used_are_refused():
    geobox = grid(60, 60)
    with pytest.raises(InputError, match="without area"):
        plan_tiles(geobox, roi=shapely.LineString([(0, 0), (1, 1)]))
    with pytest.raises(InputError, match="make_valid"):
        plan_tiles(geobox, roi=shapely.Polygon([(0, 0), (4, 4), (4, 0), (0, 3)]))
    with pytest.raises(InputError, match="in the CRS of the scene"):
        plan_tiles(geobox, roi=shapely.box(9, 45, 10, 46))
    with pytest.raises(MissingCRSError, match="set_crs"):
        plan_tiles(geobox, roi=gpd.GeoSeries([shapely.box(0, 0, 1, 1)]))
    with pytest.raises(InputError, match="is a tuple"):
        plan_tiles(geobox, roi=(0, 0, 1, 1))


def test_a_grid_without_crs_has_no_footprints():
    plan = plan_tiles(GeoBox((4, 4), AFFINES["north-up"], None))
    with pytest.raises(MissingCRSError, match="GeoBox"):
        plan.footprints()


def test_summary_and_html_tell_count_size_and_ground():
    plan = plan_tiles(grid(60, 80), tile_size=20)
    facts = plan.summary()
    assert json.loads(json.dumps(facts)) == facts
    assert facts["tiles"] == 12
    assert facts["tile_ground"] == [200.0, 200.0]
    assert facts["tile_area"] == pytest.approx(40_000)
    html = plan._repr_html_()
    assert "12" in html
    assert "200 x 200 metre" in html


def test_plans_differ_where_their_tiles_do():
    one, other = (plan_tiles(grid(60, 80), tile_size=size) for size in (20, 30))
    assert one != other
    assert one != "a plan"


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"format": "other"}', plan_tiles(grid(4, 4)).to_json().replace('"row": [0]', '"row": [0, 1]')],
)
def test_what_is_no_plan_is_refused(text):
    with pytest.raises(InputError, match=r"to_json|Plan anew"):
        TilePlan.from_json(text)


def test_a_saved_plan_comes_back_equal_with_its_names(tmp_path):
    region = shapely.box(500_000, 4_999_000, 500_500, 5_000_000)
    plan = plan_tiles(grid(300, 200), tile_size=64, stride=40, roi=region)
    loaded = TilePlan.load(plan.save(tmp_path / "plan.npz"))
    assert loaded == plan
    assert loaded.tile_ids.tolist() == plan.tile_ids.tolist()
    assert loaded.left_out == plan.left_out == {"outside the region of interest": 29}
    assert loaded.digest() == plan.digest()


@settings(max_examples=20)
@given(st.data())
def test_a_part_of_a_plan_keeps_the_names_also_in_a_file(tmp_path_factory, data):
    table = st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(1, 3), st.integers(1, 3)), min_size=1, unique=True
    )
    columns = np.array(data.draw(table)).T
    plan = TilePlan(grid(10, 10), 3, None, *columns)
    keep = data.draw(st.permutations(range(len(plan))))[: data.draw(st.integers(1, len(plan)))]
    part = plan.take(np.array(keep))
    loaded = TilePlan.load(part.save(tmp_path_factory.mktemp("plan") / "plan.npz"))
    assert part.tile_ids.tolist() == loaded.tile_ids.tolist() == plan.tile_ids[keep].tolist()
    assert [part[i] for i in range(len(part))] == [plan[i] for i in keep]


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no archive", b"{}"])
def test_a_file_that_is_no_plan_is_refused(tmp_path, content):
    (tmp_path / "plan.npz").write_bytes(content)
    with pytest.raises(InputError, match=r"is not a tile plan .*plan\.save"):
        TilePlan.load(tmp_path / "plan.npz")


def test_a_plan_is_saved_as_npz_where_there_is_a_folder(tmp_path):
    plan = plan_tiles(grid(30, 30), tile_size=16)
    with pytest.raises(InputError, match=r"saved as \.npz"):
        plan.save(tmp_path / "plan.csv")
    with pytest.raises(WriteError, match="cannot be written"):
        plan.save(tmp_path / "missing" / "plan.npz")
    with pytest.raises(InputError, match="is not a tile plan"):
        TilePlan.load(tmp_path / "nothing.npz")


def test_a_plan_tells_what_it_leaves_out_and_what_it_will_cost():
    region = shapely.box(500_000, 4_999_000, 500_500, 5_000_000)
    plan = plan_tiles(grid(300, 200), tile_size=64, stride=40, roi=region)
    html = plan._repr_html_()
    assert "left out, outside the region of interest" in html
    assert "at 1 tiles/s" in html
    cost = plan.estimate(tiles_per_second=4)
    assert cost["seconds"] == len(plan) / 4
    assert cost["pixel_bytes"] == len(plan) * 64 * 64 * 6
    with pytest.raises(InputError, match="more than 0"):
        plan.estimate(tiles_per_second=0)
