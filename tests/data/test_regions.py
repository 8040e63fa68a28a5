"""Own regions: what is written from polygons and corrected layers, and a split in which no part sees another."""

import itertools
import json
import os

import geopandas as gpd
import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from PIL import Image
from support.rasters import UTM, decode, grid, scene, write
from torchgeo.samplers import GridGeoSampler
from typer.testing import CliRunner

from geocc.cli import app as cli
from geocc.data import read_records
from geocc.data.regions import label_tiles, read_captions, split_windows, write_training_set
from geocc.errors import InputError, MissingCRSError, ReadError, WriteError
from geocc.inference import NO_CHANGE_SENTENCES
from geocc.scene import PixelWindow, plan_tiles
from geocc.table import TileResult, TileStatus, build_layer, write_layer

cli.register_commands()

SIZE = 16
GRID = grid(96, 160)
SAME = NO_CHANGE_SENTENCES[0]


def ground(left, top, right, bottom, geobox=GRID):
    """A box of pixels as a polygon on the ground."""
    corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
    return shapely.Polygon([geobox.pix2wld(*corner) for corner in corners])


def drawn(*rows, geobox=GRID, crs=UTM):
    """Polygons with captions: `(caption, left, top, right, bottom)` in pixels."""
    frame = gpd.GeoDataFrame(
        {"caption": [caption for caption, *_ in rows]}, geometry=[ground(*box, geobox) for _, *box in rows], crs=UTM
    )
    return frame if crs == UTM else frame.to_crs(crs)


def many(step=32):
    """A house every so many pixels, over all of the scene."""
    return drawn(
        *(
            (f"house {row} {col} is built", col + 4, row + 4, col + 10, row + 10)
            for row in range(0, 96, step)
            for col in range(0, 160, step)
        )
    )


def corrected(geobox=GRID, *, size=SIZE, failed=(), **options):
    """A layer as geocc writes it: every other tile changed."""
    plan = plan_tiles(geobox, tile_size=size, **options)
    results = [
        TileResult(name, TileStatus.FAILED, error="out of order")
        if number in failed
        else TileResult(
            name, TileStatus.OK, caption=f"house {number}" if number % 2 else SAME, changed=bool(number % 2)
        )
        for number, name in enumerate(plan.tile_ids.tolist())
    ]
    return build_layer(plan, results)


@pytest.fixture
def dates():
    return scene(GRID, time="2019-06-01"), scene(GRID, time="2023-06-03")


def made(dates, captions, folder, **options):
    """Write a training set; its records by tile."""
    options = {"progress": False, "name": "mine"} | options
    if not {"tile_id"} <= set(captions.columns):
        options = {"tile_size": SIZE} | options
    result = write_training_set(*dates, captions, folder, **options)
    records = {
        record.uid.removeprefix("mine_"): record for path in result.records.values() for record in read_records(path)
    }
    return result, records


def pixels(record):
    """Rows and columns of the scene that a record's pictures show."""
    images = [np.asarray(Image.open(path)) for path in (record.img1_path, record.img2_path)]
    assert np.array_equal(*images)
    return decode(np.moveaxis(images[0], -1, 0))


def boxes(records):
    """The tiles of records as boxes in pixels, by split."""
    found = {}
    for record in records.values():
        rows, cols = pixels(record)
        box = shapely.box(cols.min(), rows.min(), cols.max() + 1, rows.max() + 1)
        found.setdefault(record.split, []).append(box)
    return found


def test_polygons_become_captioned_tiles(dates, tmp_path):
    polygons = drawn(
        ("a shed is built", 2, 2, 5, 5),
        ("a hall is built", 6, 6, 14, 14),
        ("a road crosses", 10, 20, 100, 24),
    )
    result, records = made(dates, polygons, tmp_path / "set", split=(1.0,), max_unchanged=1)
    assert len(records) == result.splits["train"].tiles == result.planned == 60
    changed = {name: record.change_caption for name, record in records.items() if record.change_flag}
    assert changed == {
        "r000000_c000000": ["a hall is built", "a shed is built"],
        **{f"r000016_c{col:06d}": ["a road crosses"] for col in range(0, 112, 16)},
    }
    still = records["r000080_c000144"]
    assert (still.change_flag, still.change_caption) == (0, list(NO_CHANGE_SENTENCES))
    first = records["r000000_c000000"]
    assert (first.gsd_m, first.dates, first.crs, first.source) == (10.0, ("2019-06-01", "2023-06-03"), UTM, "mine")
    assert shapely.geometry.shape(first.footprint).equals(ground(0, 0, 16, 16))


def test_pictures_are_the_tiles_without_loss_and_outlines_lie_in_them(dates, tmp_path):
    _, records = made(dates, drawn(("a road crosses", 10, 20, 100, 24)), tmp_path / "set", split=(1.0,))
    record = records["r000016_c000000"]
    rows, cols = pixels(record)
    assert (rows[:, 0].tolist(), cols[0].tolist()) == (list(range(16, 32)), list(range(16)))
    (feature,) = record.change_polygons["features"]
    assert shapely.geometry.shape(feature["geometry"]).equals(shapely.box(10, 4, 16, 8))
    assert feature["properties"] == {"caption": "a road crosses"}


def test_what_is_said_most_comes_first_and_only_once(dates, tmp_path):
    polygons = drawn(("a house", 0, 0, 4, 4), ("a pool", 8, 8, 13, 13), ("a house", 0, 8, 4, 12))
    polygons["kind"] = ["building", "water", "building"]
    _, records = made(dates, polygons, tmp_path / "set", split=(1.0,), category_column="kind")
    record = records["r000000_c000000"]
    assert record.change_caption == ["a house", "a pool"]
    kinds = [feature["properties"]["category"] for feature in record.change_polygons["features"]]
    assert sorted(kinds) == ["building", "building", "water"]


def test_a_grazed_tile_is_neither_changed_nor_unchanged(dates, tmp_path):
    polygons = drawn(("a pool", 4, 4, 17, 12))
    result, records = made(dates, polygons, tmp_path / "set", split=(1.0,), max_unchanged=1, min_share=0.05)
    assert "r000000_c000016" not in records
    assert result.dropped == {"too_little_change": 1}
    assert "1 merely grazed by a change" in str(result)


def test_polygons_that_no_tile_meets_are_counted(dates, tmp_path):
    polygons = drawn(("a house", 4, 4, 10, 10), ("a far house", 900, 900, 910, 910))
    result, _ = made(dates, polygons, tmp_path / "set", split=(1.0,))
    assert result.unused_polygons == 1
    assert "polygons outside every tile: 1" in str(result)


def test_polygons_along_tile_edges_do_not_reach_the_neighbours():
    labels = label_tiles(plan_tiles(GRID, tile_size=SIZE), drawn(("a field", 16, 16, 32, 32)), min_share=0)
    assert [label.tile_id for label in labels.tiles if label.changed] == ["r000016_c000016"]


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:3857"])
def test_polygons_are_converted_from_their_own_crs(dates, tmp_path, crs):
    _, here = made(dates, many(), tmp_path / "here")
    _, there = made(dates, many().to_crs(crs), tmp_path / "there")
    assert {name: record.change_caption for name, record in there.items()} == {
        name: record.change_caption for name, record in here.items()
    }


def test_a_rotated_grid_is_followed(tmp_path):
    geobox = grid(64, 64, kind="rotated")
    polygons = drawn(("a barn", 18, 34, 26, 40), geobox=geobox)
    _, records = made([scene(geobox)] * 2, polygons, tmp_path / "set", split=(1.0,))
    assert [name for name, record in records.items() if record.change_flag] == ["r000032_c000016"]


def test_any_sampler_may_lay_the_tiles_and_a_region_bounds_them(dates, tmp_path):
    result, records = made(
        dates, many(), tmp_path / "set", tile_size=None, split=(1.0,), max_unchanged=1,
        sampler=lambda dataset: GridGeoSampler(dataset, size=20, stride=20),
    )  # fmt: skip
    assert result.planned == len(records)
    assert {pixels(record)[0].shape for record in records.values()} >= {(20, 20)}
    result, _ = made(dates, many(), tmp_path / "part", roi=ground(0, 0, 64, 64), split=(1.0,), max_unchanged=1)
    assert result.planned == 16


@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 1.0])
def test_unchanged_tiles_are_no_more_than_their_share(dates, tmp_path, share):
    result, records = made(dates, many(), tmp_path / "set", max_unchanged=share)
    assert sum(count.tiles for count in result.splits.values()) + sum(result.dropped.values()) == result.planned == 60
    for name, count in result.splits.items():
        assert count.changed == sum(record.change_flag for record in records.values() if record.split == name) > 0
        assert count.unchanged <= share * count.tiles
    if share == 1:
        assert "unchanged_surplus" not in result.dropped


def test_the_same_seed_gives_the_same_files(dates, tmp_path):
    for name in ("one", "two"):
        made(dates, many(), tmp_path / name, seed=3)
    for path in (tmp_path / "one").rglob("*.*"):
        assert path.read_bytes() == (tmp_path / "two" / path.relative_to(tmp_path / "one")).read_bytes()
    _, other = made(dates, many(), tmp_path / "three", seed=4)
    assert {record.uid for record in other.values()} != {
        record.uid for record in read_records(tmp_path / "one" / "train.json")
    }


def test_no_data_is_no_training_data(tmp_path):
    values = np.full((3, 96, 160), 90, np.uint8)
    values[:, :, 80:] = 0
    data = scene(GRID, values, nodata=0)
    result = write_training_set(
        data, data, many(), tmp_path / "set", tile_size=SIZE, split=(1.0,), max_unchanged=1, progress=False
    )
    assert (result.splits["train"].tiles, result.dropped) == (30, {"too_little_data": 30})


def test_the_bar_or_a_function_hears_of_every_tile(dates, tmp_path):
    heard = []
    result, _ = made(dates, many(), tmp_path / "set", progress=lambda done, total: heard.append((done, total)))
    tiles = sum(count.tiles for count in result.splits.values())
    assert heard == [(done, tiles) for done in range(1, tiles + 1)]


def test_parts_on_disk_share_no_ground(dates, tmp_path):
    result, records = made(
        dates, many(), tmp_path / "set", split=(0.6, 0.2, 0.2), stride=8, buffer=3.0, max_unchanged=1, seed=1
    )
    parts = boxes(records)
    assert set(parts) == {"train", "val", "test"}
    for one, other in itertools.combinations(parts.values(), 2):
        assert min(a.distance(b) for a in one for b in other) > 3
    assert sum(map(len, parts.values())) + result.dropped["buffer"] == result.planned
    for one, other in itertools.combinations(records.values(), 2):
        grounds = [shapely.geometry.shape(record.footprint) for record in (one, other)]
        assert one.split == other.split or not shapely.intersects(*grounds)


@st.composite
def tilings(draw):
    """Tiles on a grid, overlapping or not, some of them missing; or tiles anywhere."""
    if draw(st.booleans()):
        side, step = draw(st.integers(4, 10)), draw(st.integers(4, 10))
        cells = list(itertools.product(range(draw(st.integers(1, 14))), range(draw(st.integers(1, 14)))))
        gone = draw(st.sets(st.sampled_from(cells), max_size=len(cells) // 3))
        windows = [PixelWindow(row * step, col * step, side, side) for row, col in cells if (row, col) not in gone]
    else:
        numbers = st.integers(0, 200)
        sides = st.integers(1, 20)
        windows = draw(st.lists(st.builds(PixelWindow, numbers, numbers, sides, sides), min_size=1, max_size=60))
    flags = draw(st.lists(st.booleans(), min_size=len(windows), max_size=len(windows)))
    return windows, flags


@given(
    tilings(),
    st.sampled_from([(0.8, 0.2), (0.5, 0.5), (0.7, 0.15, 0.15), (1.0,)]),
    st.sampled_from([0.0, 0.5, 7.0]),
    st.sampled_from([None, 1, 3]),
    st.integers(0, 5),
)
def test_no_part_touches_another(tiling, fractions, buffer, blocks, seed):
    windows, flags = tiling
    options = {"changed": flags, "buffer": buffer, "blocks": blocks, "seed": seed}
    try:
        parts = split_windows(windows, fractions, **options)
    except InputError:
        assert len(fractions) > 1  # the scene is too small
        return
    assert parts.tolist() == split_windows(windows, fractions, **options).tolist()
    assert set(parts.tolist()) - {-1} == set(range(len(fractions)))
    ground = [shapely.box(w.col, w.row, w.col + w.width, w.row + w.height) for w in windows]
    for one, other in itertools.combinations(range(len(windows)), 2):
        if -1 != parts[one] != parts[other] != -1:
            assert not ground[one].intersects(ground[other])
            assert ground[one].distance(ground[other]) > buffer
    for lost in np.flatnonzero(parts < 0):  # only what is too near to another part is lost
        assert any(ground[lost].distance(ground[kept]) <= buffer for kept in np.flatnonzero(parts >= 0) if kept != lost)


def test_a_large_scene_is_split_as_asked_and_loses_little():
    windows = list(plan_tiles(GeoBox((9600, 9600), Affine(1, 0, 0, 0, -1, 0), UTM), tile_size=256))
    parts = split_windows(windows, (0.8, 0.2))
    shares = [(parts == part).mean() for part in (0, 1, -1)]
    assert 0.6 < shares[0] < 0.8
    assert shares[1] == pytest.approx(0.2, abs=0.01)
    assert shares[2] < 0.2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fractions": (0.8, 0.1)}, r"add up to 0\.9"),
        ({"fractions": (1.2, -0.2)}, "shares above 0"),
        ({"fractions": ()}, "one to three shares"),
        ({"fractions": (0.8, 0.2), "buffer": -1}, "buffer"),
        ({"fractions": (0.8, 0.2), "blocks": 0}, "blocks"),
        ({"fractions": (0.8, 0.2), "seed": -1}, "seed"),
    ],
)
def test_splits_that_cannot_be_meant(options, message):
    with pytest.raises(InputError, match=message):
        split_windows([PixelWindow(0, 0, 4, 4)], **options)


def test_a_scene_too_small_for_the_split(dates, tmp_path):
    with pytest.raises(InputError, match=r"too small for a split into 80% train, 20% val.*of 2 tiles") as caught:
        made(dates, drawn(("a house", 4, 4, 40, 40)), tmp_path / "set", tile_size=96)
    assert "split=(1.0,)" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_corrected_layer_keeps_its_tiles(dates, tmp_path):
    layer = corrected(size=20, stride=13, failed=(3, 8))
    layer["corrected_caption"] = None
    layer.loc[5, "corrected_caption"] = "  a stadium is built "
    result, records = made(dates, layer, tmp_path / "set", split=(1.0,), max_unchanged=1)
    assert result.dropped == {"failed": 2}
    assert set(records) == set(layer["tile_id"][layer["status"] == "ok"])
    for row in layer[layer["status"] == "ok"].itertuples():
        rows, cols = pixels(records[row.tile_id])
        assert (rows[0, 0], cols[0, 0], rows.shape) == (row.row, row.col, (20, 20))
        said = "a stadium is built" if row.Index == 5 else row.caption
        assert (records[row.tile_id].change_caption, records[row.tile_id].change_flag) == ([said], int(row.changed))


@pytest.mark.parametrize("suffix", [".gpkg", ".parquet", ".fgb", ".geojson", ".csv"])
def test_every_format_of_a_layer_can_come_back(dates, tmp_path, suffix):
    write_layer(corrected(failed=(3,)), tmp_path / f"layer{suffix}")
    _, records = made(dates, read_captions(tmp_path / f"layer{suffix}"), tmp_path / "set")
    _, straight = made(dates, corrected(failed=(3,)), tmp_path / "straight")
    assert {name: record.change_caption for name, record in records.items()} == {
        name: record.change_caption for name, record in straight.items()
    }


def layer_with(column, values, **more):
    layer = corrected(**more)
    layer[column] = layer[column].astype(object)
    for row, value in values.items():
        layer.loc[row, column] = value
    return layer


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (layer_with("caption", {2: None, 7: "  "}), r"caption is empty for r000000_c000032, r000000_c000112:"),
        (layer_with("changed", {4: None}), "neither true nor false for r000000_c000064"),
        (layer_with("changed", {4: True}), "contradict each other for r000000_c000064.*is changed and says"),
        (layer_with("caption", {5: SAME}), "contradict each other for r000000_c000080"),
        (layer_with("status", {1: "done"}), "status of r000000_c000016"),
        (layer_with("tile_id", {1: None}), "no tile_id at row 1"),
        (layer_with("tile_id", {1: "r000000_c000000"}), "not unique: r000000_c000000"),
        (layer_with("row", {1: 3}), "footprints of r000000_c000016 do not lie"),
        (layer_with("row", {1: None}), "'row' is no whole number from 0 for r000000_c000016:"),
        (layer_with("col", {1: 16.5}), "'col' is no whole number from 0 for r000000_c000016:"),
        (layer_with("geometry", {1: None}), "no polygon at r000000_c000016"),
        (corrected(grid(96, 176)), "do not lie where their row and col"),
        (corrected().set_crs(None, allow_override=True), "no CRS"),
        (corrected(failed=range(60)), "no tile has a caption"),
    ],
)
def test_tiles_that_were_spoilt_are_named(dates, tmp_path, layer, message):
    with pytest.raises(InputError, match=message):
        made(dates, layer, tmp_path / "set")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("trusted", "flag"), [("caption", 0), ("changed", 1)])
def test_one_of_flag_and_caption_may_be_trusted(dates, tmp_path, trusted, flag):
    _, records = made(
        dates, layer_with("caption", {5: SAME}), tmp_path / "set", flag_from=trusted, split=(1.0,), max_unchanged=1
    )
    assert records["r000000_c000080"].change_flag == flag


def test_arguments_that_a_layer_has_no_use_for(dates, tmp_path):
    with pytest.raises(InputError, match="tile_size, stride cannot be given"):
        made(dates, corrected(), tmp_path / "set", tile_size=16, stride=16)
    with pytest.raises(InputError, match="flag_from is 'both'"):
        made(dates, corrected(), tmp_path / "set", flag_from="both")


@pytest.mark.parametrize(
    ("polygons", "error", "message"),
    [
        (drawn(("a house", 0, 0, 9, 9), ("  ", 20, 20, 30, 30)), InputError, "no caption in column 'caption' at row 1"),
        (drawn(("a house", 0, 0, 9, 9)).rename(columns={"caption": "text"}), InputError, "no column 'caption'.*text"),
        (drawn(("a house", 500, 500, 600, 600)), InputError, "none of the 1 polygons meets a tile"),
        (drawn(("a house", 0, 0, 9, 9)).set_crs(None, allow_override=True), MissingCRSError, "no CRS"),
        (gpd.GeoDataFrame({"caption": ["a"]}, geometry=[shapely.Point(1, 2)], crs=UTM), InputError, "no polygon at row 0"),
        (
            gpd.GeoDataFrame({"caption": ["a"]}, geometry=[shapely.Polygon([(0, 0), (1, 1), (1, 0), (0, 1)])], crs=UTM),
            InputError,
            "row 0 are not valid",
        ),
    ],
)  # fmt: skip
def test_polygons_that_cannot_be_used(dates, tmp_path, polygons, error, message):
    with pytest.raises(error, match=message):
        made(dates, polygons, tmp_path / "set")
    assert list(tmp_path.iterdir()) == []


def test_a_part_without_change_is_said(dates, tmp_path):
    with pytest.raises(InputError, match=r"no tile is left for '(?:val|train)'"):
        made(dates, drawn(("a house", 4, 4, 10, 10)), tmp_path / "set")
    assert list(tmp_path.iterdir()) == []


def test_a_used_folder_is_refused_and_an_empty_one_taken(dates, tmp_path):
    (tmp_path / "set").mkdir()
    made(dates, many(), tmp_path / "set")
    before = sorted(path.name for path in (tmp_path / "set").iterdir())
    assert before == ["region.json", "t1", "t2", "train.json", "val.json"]
    with pytest.raises(WriteError, match="holds something already"):
        made(dates, many(), tmp_path / "set")
    with pytest.raises(WriteError, match="mkdir -p"):
        made(dates, many(), tmp_path / "no" / "set")
    with pytest.raises(InputError, match="letters"):
        made(dates, many(), tmp_path / "other", name="../x")


def test_an_end_midway_leaves_nothing(dates, tmp_path):
    def stop(done, _):
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        made(dates, many(), tmp_path / "set", progress=stop)
    assert list(tmp_path.iterdir()) == []


def test_files_that_are_no_captions(tmp_path):
    with pytest.raises(ReadError, match="no file"):
        read_captions(tmp_path / "none.gpkg")
    with pytest.raises(ReadError, match="no format"):
        read_captions(tmp_path / "none.docx")
    (tmp_path / "bad.gpkg").write_bytes(b"not a database")
    with pytest.raises(ReadError, match="cannot be read"):
        read_captions(tmp_path / "bad.gpkg")
    for layer in ("one", "two"):
        many().to_file(tmp_path / "two.gpkg", layer=layer)
    with pytest.raises(ReadError, match=r"the layers .*layer=\.\.\."):
        read_captions(tmp_path / "two.gpkg")


def test_the_command(tmp_path):
    rasters = [write(tmp_path / f"{date}.tif", GRID) for date in ("t1", "t2")]
    many().rename(columns={"caption": "what"}).to_file(tmp_path / "houses.geojson")
    out = tmp_path / "set"

    def run(*more):
        words = ["data", "region", *rasters, tmp_path / "houses.geojson", out, *more]
        return CliRunner().invoke(cli.app, [str(word) for word in words])

    options = ("--caption-column", "what", "--tile-size", 16, "--bands", "1,2,3", "--split", "0.7,0.3", "--seed", 2)
    result = run(*options, "--buffer", 4)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("train: ")
    assert result.stdout.endswith(f"Written to {out}.\n")
    told = json.loads((out / "region.json").read_text())
    assert told["tiling"] == {"split": [0.7, 0.3], "buffer": 4.0, "blocks": None, "seed": 2, "max_unchanged": 0.5}
    assert str(os.fspath(tmp_path)) not in (out / "train.json").read_text()
    assert isinstance(run(*options).exception, WriteError)
    assert isinstance(run("--split", "most").exception, InputError)
    assert isinstance(run().exception, WriteError | InputError)
