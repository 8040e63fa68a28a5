"""Series: the captions of pairwise calls, with each date of a tile encoded once."""

import itertools

import numpy as np
import pytest
import rioxarray  # noqa: F401 - registers the accessor
import xarray as xr
from affine import Affine
from support import tiny_ccexpert
from support.captioners import StubCaptioner

import geocc
from geocc.errors import AlignmentError, GeoccError, InputError, WriteError
from geocc.inference import CCExpertCaptioner, EncodeOnce, Gate, Gates, TileBatch
from geocc.inference.execution import LocalExecutor
from geocc.scene import open_series

GRID = Affine(2.0, 0.0, 600_000.0, 0.0, -2.0, 5_200_000.0)
YEARS = [2009, 2010, 2012, 2014, 2018, 2020]
SAME = ("caption", "changed", "status")
CLOSE = ("change_probability", "confidence", "valid_fraction")


def date(year, *, seed=None, size=(32, 48), grid=GRID, nodata=None):
    """A raster of noise with a date."""
    values = np.random.default_rng(year if seed is None else seed).integers(1, 256, (3, *size), dtype=np.uint8)
    array = xr.DataArray(values, dims=("band", "y", "x")).rio.write_transform(grid).rio.write_crs("EPSG:32614")
    array = array.assign_coords(time=np.datetime64(f"{year}-07-01", "ns"))
    return array if nodata is None else array.rio.write_nodata(nodata)


class Counting(CCExpertCaptioner):
    """Counts the images that its vision tower is shown."""

    encoded = 0

    def encode_dates(self, images):
        self.encoded += len(images)
        return super().encode_dates(images)


@pytest.fixture(scope="module")
def parts():
    return tiny_ccexpert.make()


@pytest.fixture
def captioner(parts):
    return Counting(*parts, max_new_tokens=4)


def series(rasters, model=None, **options):
    return geocc.caption_series(
        rasters, **{"model": model or StubCaptioner(), "tile_size": 16, "progress": False} | options
    )


def assert_same(layer, pairwise):
    for name in SAME:
        assert layer[name].tolist() == pairwise[name].tolist()
    for name in CLOSE:
        assert layer[name].tolist() == pytest.approx(pairwise[name].tolist(), rel=1e-4, nan_ok=True)


@pytest.mark.parametrize(
    ("pairs", "batch_size"), [("consecutive", 1), ("consecutive", 64), ("first", 4), ([(0, 5), (1, 2), (0, 3)], 5)]
)
def test_each_date_is_encoded_once_and_says_what_pairwise_calls_say(captioner, pairs, batch_size):
    dates = [date(year) for year in YEARS]
    layer = series(dates, captioner, pairs=pairs, batch_size=batch_size)
    chosen = {"consecutive": list(itertools.pairwise(range(6))), "first": [(0, i) for i in range(1, 6)]}.get(
        str(pairs), pairs
    )
    assert captioner.encoded == 6 * len({i for pair in chosen for i in pair})  # 6 tiles
    for part, (first, second) in zip(range(len(chosen)), chosen, strict=True):
        alone = geocc.caption_changes(dates[first], dates[second], model=captioner, tile_size=16, progress=False)
        rows = layer.iloc[part * 6 : part * 6 + 6]
        assert_same(rows, alone)
        assert rows["t1"].tolist() == alone["t1"].tolist()
        assert rows["t2"].tolist() == alone["t2"].tolist()
        assert rows["tile_id"].tolist() == [f"{tile}_d{first}_d{second}" for tile in alone["tile_id"]]
        assert rows.geometry.geom_equals(alone.geometry.set_axis(rows.index)).all()


def test_what_is_blank_in_one_date_leaves_the_pairs_of_the_others_alone(captioner):
    dates = [date(year, nodata=0) for year in YEARS[:4]]
    dates[1][:, :8, :10] = 0
    dates[2][:, :16, :16] = 0
    layer = series(dates, captioner, min_valid_fraction=0.2)
    for part in range(3):
        alone = geocc.caption_changes(
            *dates[part : part + 2], model=captioner, tile_size=16, min_valid_fraction=0.2, progress=False
        )
        assert_same(layer.iloc[part * 6 : part * 6 + 6], alone)
    assert layer["status"].eq("skipped_nodata").sum() == 2
    # The first tile: date 0 blank as date 1 is, and date 1; the last date is never seen there.
    assert captioner.encoded == 5 * 4 + 2


def test_captioners_that_see_pairs_only_are_given_pairs():
    stub = StubCaptioner()
    layer = series([date(year) for year in YEARS], stub, batch_size=7)
    assert len(stub.tiles) == len(layer) == 30
    assert stub.tiles[:5] == [f"r000000_c000000_d{i}_d{i + 1}" for i in range(5)]  # a tile at a time


def test_a_time_dimension_is_a_series(captioner):
    dates = [date(year) for year in YEARS[:3]]
    stacked = xr.concat(dates, dim="time", coords="minimal", compat="override", join="override")
    assert_same(series(stacked, captioner), series(dates, captioner))
    lazy = series(stacked.chunk({"time": 1, "x": 20}).to_dataset(name="s")["s"], captioner)
    assert_same(lazy, series(dates, captioner))


def test_grids_that_differ_are_warped_and_cropped_to_full_ground():
    shifts = [(0, 0), (0.3, 1), (-0.4, 0.6)]
    dates = [date(year, grid=GRID @ Affine.translation(*by)) for year, by in zip(YEARS, shifts, strict=False)]
    with pytest.raises(AlignmentError, match='align="t1"'):
        series(dates)
    layer = series(dates, align="t1")
    assert layer["valid_fraction"].eq(1).all()
    grid = open_series(dates, align="t1").geobox
    for part in range(2):
        alone = geocc.caption_changes(
            *dates[part : part + 2], model=StubCaptioner(), tile_size=16, align=grid, progress=False
        )
        assert_same(layer.iloc[part * len(alone) : (part + 1) * len(alone)], alone)


def test_one_stretch_serves_all_dates():
    dates = [date(year).astype("uint16") * factor for year, factor in zip(YEARS[:3], (2, 3, 40), strict=True)]
    scene = open_series(dates)
    assert scene.scale.hi[0] > 5000
    window = geocc.plan_changes(*dates[:2], tile_size=16)[0]
    assert scene.read(window).images[0].mean() < 20


def test_the_layer_survives_its_file_and_tells_its_making(tmp_path):
    layer = series([date(year) for year in YEARS[:3]], output=tmp_path / "series.gpkg")
    again = geocc.read_layer(tmp_path / "series.gpkg")
    assert again["tile_id"].tolist() == layer["tile_id"].tolist()
    told = again.attrs["geocc"]
    assert told["series"]["pairs"] == [[0, 1], [1, 2]]
    assert [one["date"][:4] for one in told["series"]["dates"]] == ["2009", "2010", "2012"]


def test_one_bad_pair_costs_one_row_and_memory_that_runs_out_a_smaller_batch():
    stub = StubCaptioner(largest_batch=3, fail_on="r000000_c000016_d1_d2")
    layer = series([date(year) for year in YEARS[:4]], stub, batch_size=8)
    assert layer.loc[layer["status"].eq("failed"), "tile_id"].tolist() == ["r000000_c000016_d1_d2"]
    assert max(stub.seen) == 2  # of 8, halved twice
    with pytest.raises(GeoccError, match="dislikes"):
        series([date(year) for year in YEARS[:4]], stub, on_error="raise")


def stop_after(captions, dates, model, **options):
    def stop(done, _total):
        if done >= captions:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        series(dates, model, progress=stop, **options)


@pytest.mark.parametrize("after", [1, 10, 29])
def test_a_resumed_run_does_the_rest_and_ends_as_an_uninterrupted_one(tmp_path, after):
    dates, output = [date(year) for year in YEARS], tmp_path / "series.gpkg"
    stop_after(after, dates, StubCaptioner(), output=output, batch_size=4)
    with pytest.raises(WriteError, match="resume=True"):
        series(dates, output=output)
    with pytest.raises(InputError, match=r"parameters\.pairs"):
        series(dates, output=output, resume=True, pairs="first")
    rest = StubCaptioner()
    resumed = series(dates, rest, output=output, resume=True)
    clean = series(dates)
    assert len(rest.tiles) == 30 - 4 * -(-after // 4) or (after == 29 and len(rest.tiles) == 0)
    assert resumed.equals(clean)
    assert resumed.attrs == clean.attrs
    assert [path.name for path in tmp_path.iterdir()] == ["series.gpkg"]


def test_an_executor_is_given_pairs_and_says_the_same(tmp_path):
    dates, output = [date(year) for year in YEARS[:4]], tmp_path / "series.parquet"
    stop_after(5, dates, StubCaptioner(), output=output, batch_size=4)
    stub = StubCaptioner()
    layer = series(dates, stub, executor=LocalExecutor(), output=output, resume=True)
    assert layer.equals(series(dates))
    assert len(stub.tiles) == 18 - 8
    with pytest.raises(InputError, match="expected None, which runs in this process"):
        series(dates, executor="lokal")


def test_gates_stop_pairs_and_leave_each_date_encoded_once(captioner):
    dates = [date(year, seed=min(year, 2012)) for year in YEARS]  # nothing changes from 2012 on
    layer = series(dates, captioner, gates=Gates(pixel=Gate(0.01), feature=Gate(1e-9)))
    assert layer.groupby("t2")["status"].unique().map(list).tolist() == [["ok"]] * 2 + [["skipped_unchanged"]] * 3
    assert captioner.encoded == 3 * 6
    with pytest.raises(InputError, match="one and the same gate"):
        series(dates, captioner, gates=Gates(head=0.5), skip_unchanged=0.5)


def test_progress_counts_captions():
    seen = []
    series([date(year) for year in YEARS[:3]], progress=lambda done, total: seen.append((done, total)))
    assert seen == [(i, 12) for i in range(1, 13)]


@pytest.mark.parametrize(
    ("given", "options", "match"),
    [
        ([date(2009)], {}, "two or more"),
        (date(2009), {}, "time"),
        ("2009.tif", {}, "list of"),
        ([date(2010), date(2009)], {}, "sortby"),
        ([date(2009).drop_vars("time"), date(2010)], {}, "dates="),
        ([date(2009), date(2010)], {"dates": ["2009"]}, "one each"),
        ([date(2009), date(2010)], {"dates": ["2009", "soon"]}, "such as"),
        ([date(2009), date(2010)], {"pairs": "all"}, "consecutive"),
        ([date(2009), date(2010)], {"pairs": [(1, 0)]}, "consecutive"),
        ([date(2009), date(2010)], {"pairs": [(0, 1), (0, 1)]}, "each pair once"),
        ([date(2009), date(2010)], {"pairs": 3}, "consecutive"),
        ([date(2009), date(2010)], {"align": "t2"}, "GeoBox"),
        ([date(2009), date(2010)], {"bands": ((1, 2, 3), (3, 2, 1))}, "one triple"),
        ([date(2009), date(2010)], {"min_valid_fraction": 2}, "share"),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_remedy(given, options, match):
    with pytest.raises(InputError, match=match):
        series(given, **options)


def test_dates_may_be_told_where_rasters_do_not():
    layer = series([date(year).drop_vars("time") for year in YEARS[:2]], dates=["2009-08-18", "2010-06-29"])
    assert layer["t1"].dt.strftime("%Y-%m-%d").unique().tolist() == ["2009-08-18"]


def test_encode_once_keeps_no_more_than_asked(captioner):
    images = np.random.default_rng(1).integers(0, 256, (4, 2, 3, 16, 16), dtype=np.uint8)
    once = EncodeOnce(captioner, keep=3)
    batch = TileBatch(images, tuple("abcd"))
    assert [c.text for c in once.caption(batch)] == [c.text for c in captioner.caption(batch)]
    assert once.encoded == 8
    once.caption(TileBatch(images[2:, ::-1], tuple("ab")))  # three of these four are kept
    assert once.encoded == 9
    with pytest.raises(InputError, match="pairs only"):
        EncodeOnce(StubCaptioner(), keep=3)
