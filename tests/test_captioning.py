"""The main path, with a stub in the place of the model: geography, statuses, files and errors."""

from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rioxarray  # noqa: F401 - registers the accessor
import shapely
import xarray as xr
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from support.captioners import StubCaptioner

import geocc
from geocc.errors import AlignmentError, CaptionError, InputError, ReadError, WriteError

UTM = "EPSG:32614"
GRID = Affine(2.0, 0.0, 600_000.0, 0.0, -2.0, 5_200_000.0)


def raster(values, *, transform=GRID, crs=UTM, time=None, nodata=None):
    """Make a three-band raster from one band's values."""
    array = xr.DataArray(np.stack([values] * 3).astype(np.uint8), dims=("band", "y", "x"))
    array = array.rio.write_transform(transform).rio.write_crs(crs)
    if time is not None:
        array = array.assign_coords(time=np.datetime64(time, "ns"))
    return array if nodata is None else array.rio.write_nodata(nodata)


def scene(height=128, width=192):
    """A scene in which the upper-left 64-pixel tile gets brighter."""
    before = np.full((height, width), 100)
    after = before.copy()
    after[:64, :64] = 150
    return raster(before, time="2009-07-01"), raster(after, time="2020-07-01")


def caption(t1, t2, **options):
    return geocc.caption_changes(t1, t2, **{"model": StubCaptioner(), "tile_size": 64, "progress": False} | options)


def test_one_row_per_tile_says_what_changed_where():
    layer = caption(*scene())
    assert list(layer.columns) == [
        *("tile_id", "row", "col", "caption", "changed", "change_probability", "confidence"),
        *("status", "error", "valid_fraction", "t1", "t2", "geometry"),
    ]
    assert list(zip(layer["row"], layer["col"], strict=True)) == [(r, c) for r in (0, 64) for c in (0, 64, 128)]
    assert layer["changed"].tolist() == [True] + [False] * 5
    assert layer["caption"].iloc[0] == "100.000 became 150.000"
    assert set(layer["status"]) == {"ok"}
    assert layer["valid_fraction"].eq(1).all()
    assert layer.crs == UTM
    assert layer["t1"].dt.year.eq(2009).all()
    assert layer["t2"].dt.year.eq(2020).all()
    assert layer["geometry"].iloc[0].bounds == (600_000, 5_199_872, 600_128, 5_200_000)


def test_the_layer_says_how_it_came_about():
    told = caption(*scene()).attrs["geocc"]
    assert told["captioner"]["name"] == "stub"
    assert told["parameters"] == {"min_valid_fraction": 0.5}
    assert told["versions"]["geocc"] == geocc.__version__


@given(
    height=st.integers(1, 200),
    width=st.integers(1, 200),
    stride=st.integers(16, 64),
    batch_size=st.integers(1, 7),
)
def test_whatever_the_size_every_pixel_is_shown(height, width, stride, batch_size):
    t1, t2 = (raster(np.full((height, width), value)) for value in (10, 20))
    layer = caption(t1, t2, stride=stride, batch_size=batch_size)
    covered = layer.union_all()
    assert covered.area == pytest.approx(4 * height * width)
    assert covered.bounds == (600_000, 5_200_000 - 2 * height, 600_000 + 2 * width, 5_200_000)
    assert layer["tile_id"].is_unique


def test_tiles_without_enough_valid_ground_are_not_shown_to_the_model():
    before = np.full((64, 192), 100)
    before[:, 64:128] = 0
    before[:16, 128:] = 0
    stub = StubCaptioner()
    layer = caption(raster(before, nodata=0), raster(np.full((64, 192), 100), nodata=0), model=stub)
    assert layer["status"].tolist() == ["ok", "skipped_nodata", "ok"]
    assert layer["valid_fraction"].tolist() == [1.0, 0.0, 0.75]
    assert layer["caption"].isna().tolist() == [False, True, False]
    assert layer["changed"].isna().tolist() == [False, True, False]
    # A gap at one date is a gap at both: it must not look like a change.
    assert stub.tiles == ["r000000_c000000", "r000000_c000128"]
    assert layer["changed"].iloc[2] == False  # noqa: E712 - a nullable boolean


def test_a_tile_that_fails_is_a_row_that_says_so():
    layer = caption(*scene(), model=StubCaptioner(fail_on="r000064_c000064"))
    failed = layer[layer["status"].eq("failed")]
    assert failed["tile_id"].tolist() == ["r000064_c000064"]
    assert failed["error"].tolist() == ["RuntimeError: the stub dislikes r000064_c000064"]
    assert len(layer) == 6


def test_a_tile_that_fails_ends_the_run_when_asked_to():
    with pytest.raises(CaptionError, match="r000064_c000064"):
        caption(*scene(), model=StubCaptioner(fail_on="r000064_c000064"), on_error="raise")


def test_a_region_of_interest_keeps_whole_tiles_and_their_names():
    roi = gpd.GeoSeries.from_xy([600_200], [5_199_800], crs=UTM).buffer(10)
    layer = caption(*scene(), roi=roi)
    assert layer["tile_id"].tolist() == ["r000064_c000064"]


def test_the_layer_is_written_and_read_back(tmp_path):
    layer = caption(*scene(), output=tmp_path / "changes.gpkg")
    back = geocc.read_layer(tmp_path / "changes.gpkg")
    assert back["caption"].tolist() == layer["caption"].tolist()
    assert back.attrs["geocc"]["captioner"]["name"] == "stub"
    assert [path.name for path in tmp_path.iterdir()] == ["changes.gpkg"]


def test_a_folder_that_is_not_there_is_named_before_the_work_begins(tmp_path):
    stub = StubCaptioner()
    with pytest.raises(WriteError, match="nowhere"):
        caption(*scene(), model=stub, output=tmp_path / "nowhere" / "changes.gpkg")
    assert stub.seen == []


def test_progress_can_be_a_function():
    calls = []
    caption(*scene(), progress=lambda done, total: calls.append((done, total)))
    assert calls == [(done, 6) for done in range(1, 7)]


def test_grids_that_differ_are_refused_and_aligned_on_request():
    t1, t2 = scene()
    moved = raster(t2.values[0], transform=GRID @ Affine.translation(0.5, 0.5), time="2020-07-01")
    with pytest.raises(AlignmentError, match='align="t1"'):
        caption(t1, moved)
    assert caption(t1, moved, align="t1")["status"].eq("ok").all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_valid_fraction": 1.5}, "min_valid_fraction is 1.5; expected a share from 0 to 1"),
        ({"on_error": "ignore"}, "on_error is 'ignore'; expected 'record' or 'raise'"),
        ({"skip_unchanged": 2.0}, "skip_unchanged is 2.0; expected a probability"),
        ({"skip_unchanged": 0.5}, "settings of the captioner"),
        ({"prompt": "What?"}, "settings of the captioner"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"stride": 65}, "stride"),
        ({"tile_size": 0}, "tile_size"),
    ],
)
def test_bad_arguments_are_named(options, message):
    with pytest.raises(InputError, match=message):
        caption(*scene(), **options)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ReadError, match=r"nothing\.tif"):
        caption(tmp_path / "nothing.tif", scene()[1])


def test_planning_reads_no_pixel_and_matches_the_layer():
    t1, t2 = scene()
    plan = geocc.plan_changes(t1, t2, tile_size=64)
    layer = caption(t1, t2)
    assert list(plan.tile_ids) == layer["tile_id"].tolist()
    assert plan.footprints().geom_equals(layer.geometry).all()


SHARED = Path(__file__).parents[1].parent / "shared/data"


@pytest.mark.shared
@pytest.mark.skipif(not SHARED.exists(), reason="needs ../shared/data")
def test_two_years_of_naip_become_a_layer_on_the_grid_of_the_first(tmp_path):
    years = [SHARED / f"naip/m_4709963_se_14_1_{date}.tif" for date in ("20090818", "20200831")]
    with pytest.raises(AlignmentError, match=r"485900, 5209247(?s:.)*485899, 5209246(?s:.)*--align t1"):
        caption(*years)
    caption(*years, align="t1", tile_size=256, output=tmp_path / "changes.gpkg")
    layer = gpd.read_file(tmp_path / "changes.gpkg", layer="change_captions")
    assert layer.crs == "EPSG:26914"
    assert len(layer) == 3 * 4  # 724 x 934 pixels
    # The grid of 2009: 5 m from (485900, 5209247) down and to the right.
    for row, col, footprint in zip(layer["row"], layer["col"], layer.geometry, strict=True):
        west, north = 485_900 + 5 * col, 5_209_247 - 5 * row
        assert footprint.bounds == pytest.approx((west, north - 1280, west + 1280, north), abs=5e-6)
    common = shapely.box(485_900, 5_209_247 - 5 * 723, 485_899 + 5 * 934, 5_209_246)
    assert layer.union_all().buffer(1e-6).covers(common)


@pytest.mark.shared
@pytest.mark.skipif(not SHARED.exists(), reason="needs ../shared/data")
def test_landsat_in_degrees_and_another_band_order_works_by_number():
    layer = caption(SHARED / "landsat/1985.tif", SHARED / "landsat/2020.tif", bands=(3, 4, 2), tile_size=128)
    assert layer.crs == "EPSG:4326"
    assert len(layer) == 3 * 6  # 377 x 697 pixels
    assert set(layer["status"]) == {"ok"}
