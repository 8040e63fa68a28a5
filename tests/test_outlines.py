"""Outlines of what changed inside tiles, by a scout that sees what is brighter, on grids of all kinds."""

import json

import geopandas as gpd
import numpy as np
import pytest
import rioxarray  # noqa: F401 - registers the accessor
import shapely
import xarray as xr
from affine import Affine
from typer.testing import CliRunner

import geocc
from geocc.cli.app import app, register_commands
from geocc.errors import InputError, MissingCRSError, ModelNotFoundError, WriteError
from geocc.inference import Caption
from geocc.inference.scout import ScoutCaptioner, ScoutMaps

UTM = "EPSG:32614"
NORTH_UP = Affine(2.0, 0.0, 600_000.0, 0.0, -2.0, 5_200_000.0)
GRIDS = {
    "north up": NORTH_UP,
    "south up": Affine(2.0, 0.0, 600_000.0, 0.0, 2.0, 5_100_000.0),
    "turned": NORTH_UP @ Affine.rotation(30.0),
    "oblong pixels": Affine(3.0, 0.0, 600_000.0, 0.0, -2.0, 5_200_000.0),
}
SIDE = 64
CELLS = 32


class Bright:
    """In place of the network: a cell changed where the later date is brighter, as its pixels' mean has it."""

    details = {"name": "bright"}  # noqa: RUF012 - as the real one has it
    covers = ()

    def maps(self, batch):
        difference = batch.images[:, 1].astype(float).mean(axis=1) - batch.images[:, 0].astype(float).mean(axis=1)
        cells = difference.reshape(len(batch), CELLS, SIDE // CELLS, CELLS, SIDE // CELLS).mean(axis=(2, 4))
        return ScoutMaps((cells / 100).clip(0, 1).astype(np.float32), None)


class Telling(Bright):
    """It tells covers apart besides, by how red they are: trees at 0, grass from 100 on, a house from 150 on."""

    covers = ("trees", "grass", "house")

    def maps(self, batch):
        red = batch.images[:, :, 0].reshape(len(batch), 2, CELLS, SIDE // CELLS, CELLS, SIDE // CELLS).mean(axis=(3, 5))
        which = np.digitize(red, [100, 150])
        covers = np.where(np.arange(3)[:, None, None] == which[:, :, None], 0.8, 0.1).astype(np.float32)
        return super().maps(batch)._replace(covers=covers)


class Told:
    """A captioner that calls every tile changed that got brighter anywhere."""

    name = fingerprint = "told"
    input_size, bytes_per_pair = SIDE, 1

    def caption(self, batch):
        changed = (batch.images[:, 1] > batch.images[:, 0]).any(axis=(1, 2, 3))
        return [Caption("brighter" if one else "no change", changed=bool(one)) for one in changed]


@pytest.fixture(autouse=True)
def bright_scouts(monkeypatch):
    monkeypatch.setattr(ScoutCaptioner, "from_pretrained", lambda *_args, **_kwargs: Bright())


def raster(values, *, transform=NORTH_UP, nodata=None):
    array = xr.DataArray(np.stack([values] * 3).astype(np.uint8), dims=("band", "y", "x"))
    array = array.rio.write_transform(transform).rio.write_crs(UTM)
    return array if nodata is None else array.rio.write_nodata(nodata)


def scene(*patches, transform=NORTH_UP, shape=(128, 192)):
    """Two dates; the later is brighter by 100 in the patches, each (row, col, height, width)."""
    before = np.full(shape, 50)
    after = before.copy()
    for row, col, height, width in patches:
        after[row : row + height, col : col + width] = 150
    return raster(before, transform=transform), raster(after, transform=transform)


def outlines_of(dates, layer=None, **options):
    layer = captions_of(dates) if layer is None else layer
    return geocc.outline_changes(layer, *dates, progress=False, **options)


def captions_of(dates):
    return geocc.caption_changes(*dates, model=Told(), tile_size=SIDE, progress=False)


@pytest.mark.parametrize("grid", GRIDS)
def test_an_outline_lies_on_the_ground_that_changed_on_any_grid(grid):
    patch = (16, 80, 24, 32)
    dates = scene(patch, transform=GRIDS[grid])
    layer = captions_of(dates)
    outlines = outlines_of(dates, layer)
    row, col, height, width = patch
    corners = [(col, row), (col + width, row), (col + width, row + height), (col, row + height)]
    truth = shapely.Polygon([GRIDS[grid] @ corner for corner in corners])
    assert len(outlines) == 1
    found = outlines.geometry.iloc[0]
    assert found.is_valid
    assert found.intersection(truth).area / found.union(truth).area > 0.9
    assert outlines.crs == UTM
    assert outlines["tile_id"].tolist() == layer.loc[layer["changed"], "tile_id"].tolist()
    assert outlines["caption"].tolist() == ["brighter"]
    assert outlines["change_probability"].iloc[0] == pytest.approx(1, abs=0.1)
    assert outlines["share"].iloc[0] == pytest.approx(24 * 32 / 64**2, rel=0.1)


def test_every_patch_of_every_changed_tile_is_outlined_and_names_its_tile():
    layer = captions_of(scene((4, 4, 12, 12), (40, 40, 16, 16), (100, 140, 16, 16)))
    outlines = outlines_of(scene((4, 4, 12, 12), (40, 40, 16, 16), (100, 140, 16, 16)), layer)
    assert outlines["tile_id"].tolist() == ["r000000_c000000"] * 2 + ["r000064_c000128"]
    tiles = layer.set_index("tile_id").geometry
    assert outlines.geometry.within(tiles.loc[outlines["tile_id"]].reset_index(drop=True).buffer(1e-6)).all()


def test_an_outline_says_what_stood_there_before_and_after(monkeypatch):
    monkeypatch.setattr(ScoutCaptioner, "from_pretrained", lambda *_args, **_kwargs: Telling())
    before, after = np.full((64, 64), 50), np.full((64, 64), 50)
    before[40:60, 40:60] = 110
    after[4:20, 4:20] = 110
    after[40:60, 40:60] = 255
    outlines = outlines_of((raster(before), raster(after))).sort_values("share")
    assert outlines[["cover_t1", "cover_t2"]].values.tolist() == [["trees", "grass"], ["grass", "house"]]
    assert outlines["cover_probability"].tolist() == pytest.approx([0.64, 0.64])  # of 0.8 twice


def test_both_dates_of_an_outline_are_of_different_covers_though_each_is_likeliest_alone(monkeypatch):
    monkeypatch.setattr(ScoutCaptioner, "from_pretrained", lambda *_args, **_kwargs: Telling())
    before, after = np.full((64, 64), 160), np.full((64, 64), 160)
    after[8:32, 8:32] = 250
    (row,) = outlines_of((raster(before), raster(after)))[["cover_t1", "cover_t2", "cover_probability"]].itertuples(
        index=False
    )
    assert row.cover_t1 != row.cover_t2
    assert row.cover_probability == pytest.approx(0.08, abs=0.01)


def test_a_scout_that_tells_no_covers_apart_leaves_them_missing(tmp_path):
    outlines = outlines_of(scene((4, 4, 12, 12)), output=tmp_path / "outlines.gpkg")
    assert outlines[["cover_t1", "cover_t2", "cover_probability"]].isna().all(axis=None)
    assert gpd.read_file(tmp_path / "outlines.gpkg")["cover_t1"].isna().all()


def test_tiles_that_did_not_change_are_not_read(monkeypatch):
    dates = scene((4, 4, 12, 12))
    layer = captions_of(dates)
    windows = []
    read = geocc.ScenePair.read
    monkeypatch.setattr(geocc.ScenePair, "read", lambda pair, window: windows.append(window) or read(pair, window))
    outlines_of(dates, layer)
    assert [(window.row, window.col) for window in windows] == [(0, 0)]


def test_a_changed_tile_in_which_nothing_stands_out_keeps_its_footprint():
    dates = scene((4, 4, 12, 12))
    layer = captions_of(dates)
    outlines = outlines_of((dates[0], dates[0]), layer)
    assert outlines["outlined"].tolist() == [False]
    assert outlines["share"].tolist() == [1]
    assert outlines.geometry.iloc[0].equals(layer.geometry.iloc[0])


def test_a_layer_without_change_has_no_outlines_and_its_file_none_either(tmp_path):
    dates = scene()
    outlines = outlines_of(dates, output=tmp_path / "none.gpkg")
    assert outlines.empty
    assert outlines.crs == UTM
    assert gpd.read_file(tmp_path / "none.gpkg").empty


def test_ground_without_data_is_not_outlined():
    before, after = np.full((64, 64), 50), np.full((64, 64), 150)
    after[:, :32] = 255
    dates = raster(before, nodata=255), raster(after, nodata=255)
    outlines = outlines_of(dates)
    left = shapely.box(600_000, 5_199_000, 600_000 + 62, 5_200_000)
    assert outlines["outlined"].all()
    assert outlines.intersection(left).area.sum() == 0


def test_a_hole_in_what_changed_is_a_hole():
    before, after = np.full((64, 64), 50), np.full((64, 64), 50)
    after[8:56, 8:56] = 150
    after[24:40, 24:40] = 50
    (outline,) = outlines_of((raster(before), raster(after))).geometry
    assert len(outline.interiors) == 1
    assert outline.area == pytest.approx((48**2 - 16**2) * 4, rel=0.1)


def test_a_higher_threshold_draws_tighter_and_small_patches_can_be_left_out():
    before, after = np.full((64, 64), 50), np.full((64, 64), 50)
    after[:32] = np.linspace(50, 150, 32)[:, None].astype(int)
    after[50:54, 50:54] = 150
    dates = raster(before), raster(after)
    areas = [outlines_of(dates, threshold=threshold).area.max() for threshold in (0.2, 0.5, 0.8)]
    assert areas == sorted(areas, reverse=True)
    assert areas[0] > 2 * areas[2]
    assert len(outlines_of(dates)) == 2
    assert len(outlines_of(dates, min_share=0.01)) == 1


@pytest.mark.parametrize("suffix", ["gpkg", "parquet", "fgb", "geojson", "csv"])
def test_outlines_are_written_in_every_format_with_how_they_came_about(tmp_path, suffix):
    dates = scene((4, 4, 12, 12), (100, 140, 16, 16))
    path = tmp_path / f"outlines.{suffix}"
    outlines = outlines_of(dates, output=path)
    assert outlines.attrs["geocc"]["parameters"] == {"threshold": 0.5, "min_share": 0.001}
    assert outlines.attrs["geocc"]["scout"] == {"name": "bright"}
    assert outlines.attrs["geocc"]["layer"]["captioner"]["name"] == "told"
    json.dumps(outlines.attrs["geocc"], allow_nan=False)
    if suffix == "csv":
        back = gpd.GeoSeries.from_wkt(gpd.pd.read_csv(path)["geometry"], crs=UTM)
    else:
        back = (gpd.read_parquet(path) if suffix == "parquet" else gpd.read_file(path)).geometry.to_crs(UTM)
    assert sorted(back.area) == pytest.approx(sorted(outlines.area), rel=1e-3)


def test_a_layer_read_back_from_a_file_can_be_outlined(tmp_path):
    dates = scene((4, 4, 12, 12))
    geocc.write_layer(captions_of(dates), tmp_path / "layer.gpkg")
    again = outlines_of(dates, geocc.read_layer(tmp_path / "layer.gpkg"))
    assert again.geometry.iloc[0].equals(outlines_of(dates).geometry.iloc[0])


@pytest.mark.parametrize("options", [{"threshold": 0}, {"threshold": 1.5}, {"min_share": -0.1}, {"min_share": 1}])
def test_settings_that_cannot_be_are_refused(options):
    dates = scene((4, 4, 12, 12))
    with pytest.raises(InputError, match="expected"):
        outlines_of(dates, **options)


def test_what_is_no_layer_or_of_another_grid_is_refused():
    dates = scene((4, 4, 12, 12))
    layer = captions_of(dates)
    with pytest.raises(InputError, match="expected a layer of change captions"):
        outlines_of(dates, layer[["tile_id", "geometry"]])
    with pytest.raises(InputError, match="rasters, and the align="):
        outlines_of(scene(transform=NORTH_UP @ Affine.translation(30, 0)), layer)
    with pytest.raises(MissingCRSError):
        outlines_of(dates, layer.set_crs(None, allow_override=True))


def test_an_output_that_cannot_be_written_is_refused_before_anything_is_read(monkeypatch, tmp_path):
    dates = scene((4, 4, 12, 12))
    layer = captions_of(dates)
    monkeypatch.setattr(geocc.ScenePair, "read", lambda *_args: pytest.fail("read"))
    with pytest.raises(WriteError):
        outlines_of(dates, layer, output=tmp_path / "missing" / "outlines.gpkg")


def test_there_must_be_such_a_scout(monkeypatch):
    monkeypatch.undo()
    dates = scene((4, 4, 12, 12))
    with pytest.raises(ModelNotFoundError):
        outlines_of(dates, scout="nobody/nothing/nowhere")


def test_the_real_scout_outlines_a_new_house(monkeypatch):
    monkeypatch.undo()
    made = geocc.data.synthetic.make_scene(11, size_px=512, change_density=0.4)
    dates = made.to_xarray()
    layer = geocc.caption_changes(*dates, progress=False)
    outlines = geocc.outline_changes(layer, *dates, progress=False)
    seen, truth = outlines[outlines["outlined"]].union_all(), made.changes_frame().union_all()
    captioned = layer[layer["changed"]].union_all()
    truth = truth.intersection(captioned)
    assert seen.intersection(truth).area / seen.union(truth).area > 0.5


def test_the_command_writes_outlines_and_says_how_many(tmp_path):
    register_commands()
    dates = scene((4, 4, 12, 12), (100, 140, 16, 16))
    for name, date in zip(("t1", "t2"), dates, strict=True):
        date.rio.to_raster(tmp_path / f"{name}.tif")
    geocc.write_layer(captions_of(dates), tmp_path / "layer.gpkg")
    rasters = [str(tmp_path / "t1.tif"), str(tmp_path / "t2.tif")]
    out = tmp_path / "outlines.gpkg"
    said = CliRunner().invoke(app, ["outline", str(tmp_path / "layer.gpkg"), *rasters, "-o", str(out)])
    assert said.exit_code == 0, said.output
    assert "2 outlines in 2 tiles" in said.output
    assert len(gpd.read_file(out)) == 2
