"""Own regions: what indices and land-cover maps show, against rasters whose change is known."""

import numpy as np
import pytest
import rioxarray
import xarray as xr
from affine import Affine
from data.mask_checker import TL
from PIL import Image
from typer.testing import CliRunner

from geocc.cli import app as cli
from geocc.cli import data_captions as _data  # noqa: F401 - registers its commands
from geocc.data import read_records, write_records
from geocc.data.own_region import Indices, caption_cover, caption_indices
from geocc.errors import AlignmentError, InputError

GRID = Affine(2.0, 0.0, 600_000.0, 0.0, -2.0, 5_200_000.0)
# Red, green, blue, NIR of each.
WATER, GREEN, BARE = (40, 80, 60, 20), (60, 80, 50, 200), (150, 140, 120, 150)
INDICES = Indices(green=2, nir=4, red=1)


def raster(path, values, grid=GRID):
    array = xr.DataArray(np.asarray(values, dtype=np.uint8), dims=("band", "y", "x"))
    array.rio.write_transform(grid).rio.write_crs("EPSG:32614").rio.to_raster(path)
    return path


def land(shape, *patches):
    """Grass with patches of something else."""
    values = np.empty((4, *shape), dtype=np.uint8)
    values[:] = np.array(GREEN)[:, None, None]
    for rows, cols, colour in patches:
        values[:, rows, cols] = np.array(colour)[:, None, None]
    return values


@pytest.fixture
def pair(tmp_path):
    lake = (slice(4, 28), slice(4, 28), WATER)
    t1 = raster(tmp_path / "t1.tif", land((64, 128)))
    t2 = raster(tmp_path / "t2.tif", land((64, 128), lake))
    return t1, t2


def captioned(pair, tmp_path, **options):
    options = {"name": "a", "indices": INDICES, "bands": (1, 2, 3), "tile_size": 64} | options
    return {record.uid: record for record in caption_indices(*pair, tmp_path / "tiles", **options)}


def test_a_new_lake_is_told_and_the_tile_beside_it_is_unchanged(pair, tmp_path):
    records = captioned(pair, tmp_path)
    assert {uid: record.change_flag for uid, record in records.items()} == {"a_0_0": 1, "a_0_64": 0}
    changed = records["a_0_0"]
    assert changed.change_kinds == ["vegetation to water"]
    assert records["a_0_64"].change_kinds == []
    assert len(set(changed.change_caption)) == 5
    assert all("water" in caption.lower() or "vegetation" in caption.lower() for caption in changed.change_caption)
    assert not any("scene has changed" in caption.lower() for caption in changed.change_caption)
    assert any("left" in caption for caption in changed.change_caption)
    assert "There is no difference." in {caption for record in records.values() for caption in record.change_caption}
    first, second = (np.asarray(Image.open(path)) for path in (changed.img1_path, changed.img2_path))
    assert first.shape == (64, 64, 3)
    assert (first != second).any(axis=-1).sum() == 24 * 24
    assert (first != second).any(axis=-1)[: int(64 * TL[3]), : int(64 * TL[1])].sum() == 24 * 24


def test_shortwave_infrared_tells_a_muddy_river_from_sand(tmp_path):
    # Red, green, blue, NIR and SWIR: the two differ in SWIR alone, of which water may return nothing at all.
    sand, river = (120, 110, 100, 100, 180), (120, 110, 100, 100, 0)
    pixels = [np.broadcast_to(np.array(colour)[:, None, None], (5, 64, 64)).copy() for colour in (sand, sand)]
    pixels[1][:, :32] = np.array(river)[:, None, None]
    pair = [xr_nodata(raster(tmp_path / f"{date}.tif", values)) for date, values in enumerate(pixels)]
    told = Indices(green=2, nir=4, red=1, swir=5, water=(0.0, 0.3), vegetation=(0.0, 0.4))
    (record,) = captioned(pair, tmp_path, indices=told).values()
    assert record.change_kinds == ["ground to water"]
    assert (np.asarray(Image.open(record.label2_path))[:31] == 1).all()
    assert all(one.change_flag == 0 for one in captioned(pair, tmp_path).values())
    files = [str(tmp_path / name) for name in ("0.tif", "1.tif", "r.json")]
    options = ["--index-bands", "2,4,1", "--swir", "5", "--water", "0,0.3", "--vegetation", "0,0.4", "--name", "a"]
    result = CliRunner().invoke(cli.app, ["data", "indices", *files, "--bands", "1,2,3", "--tile-size", "64", *options])
    assert result.exit_code == 0, result.output
    assert next(read_records(tmp_path / "r.json")).change_kinds == ["ground to water"]


def test_mask_and_classes_lie_beside_the_pictures(pair, tmp_path):
    records = captioned(pair, tmp_path)
    changed, unchanged = records["a_0_0"], records["a_0_64"]
    layers = [Image.open(path) for path in (changed.mask_path, changed.label1_path, changed.label2_path)]
    assert [layer.mode for layer in layers] == ["L", "L", "L"]
    mask, before, after = (np.asarray(layer) for layer in layers)
    lake = np.zeros((64, 64), dtype=bool)
    lake[5:27, 5:27] = True  # the index is a mean over 3 x 3 pixels, so that the shore is either
    assert set(np.unique(mask)) == {0, 255}
    assert (mask[lake] == 255).all()
    assert not mask[30:].any()
    assert set(np.unique(before[mask > 0])) == {2}
    assert set(np.unique(after[mask > 0])) == {1}
    assert not before[mask == 0].any()
    assert not after[mask == 0].any()
    assert changed.label_classes == unchanged.label_classes == [1, 2, 3]
    assert not np.asarray(Image.open(unchanged.mask_path)).any()
    assert unchanged.label1_path is unchanged.label2_path is None


def test_where_the_indices_are_not_sure_nothing_is_said(tmp_path):
    # From green to something between green and bare: it may have changed, and no class tells.
    between = tuple((np.array(GREEN) + np.array(BARE)) // 2)
    t1 = raster(tmp_path / "t1.tif", land((64, 64)))
    t2 = raster(tmp_path / "t2.tif", land((64, 64), (slice(4, 28), slice(4, 28), between)))
    assert captioned((t1, t2), tmp_path, indices=Indices(green=2, nir=4, red=1, vegetation=(0.0, 0.5))) == {}


def test_specks_are_not_told(tmp_path):
    t1 = raster(tmp_path / "t1.tif", land((64, 64)))
    t2 = raster(tmp_path / "t2.tif", land((64, 64), (slice(4, 6), slice(4, 6), WATER)))
    assert not any(record.change_flag for record in captioned((t1, t2), tmp_path, min_pixels=30).values())


def test_tiles_without_data_are_left_out(tmp_path):
    nothing = (slice(0, 64), slice(0, 64), (0, 0, 0, 0))
    paths = [raster(tmp_path / f"{date}.tif", land((64, 128), nothing)) for date in (1, 2)]
    assert list(captioned([xr_nodata(path) for path in paths], tmp_path)) == ["a_0_64"]


def xr_nodata(path):
    return rioxarray.open_rasterio(path).rio.write_nodata(0)


def test_land_cover_maps_tell_from_what_to_what(pair, tmp_path):
    cover = np.full((1, 64, 128), 10)
    after = cover.copy()
    after[:, 40:60, 80:120] = 50
    maps = [raster(tmp_path / f"{name}.tif", values) for name, values in (("c1", cover), ("c2", after))]
    records = list(caption_cover(*pair, tuple(maps), tmp_path / "tiles", name="b", bands=(1, 2, 3), tile_size=64))
    assert [record.change_flag for record in records] == [0, 1]
    text = " ".join(records[1].change_caption).lower()
    assert "built-up" in text
    assert "tree" in text or "wooded" in text
    assert set(records[1].label_classes) == {10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 100}
    block = np.zeros((64, 64), dtype=int)
    block[40:60, 16:56] = 1
    layers = [records[1].mask_path, records[1].label1_path, records[1].label2_path]
    for path, value in zip(layers, (255, 10, 50), strict=True):
        assert (np.asarray(Image.open(path)) == value * block).all()
    moved = raster(tmp_path / "c3.tif", after, GRID @ Affine.translation(8, 0))
    with pytest.raises((AlignmentError, InputError)):
        list(caption_cover(*pair, (moved, moved), tmp_path / "tiles", name="b", bands=(1, 2, 3), tile_size=64))


def test_what_is_made_is_read_back(pair, tmp_path):
    records = captioned(pair, tmp_path, fields={"source": "mine", "split": "train", "gsd_m": 2.0})
    write_records(tmp_path / "r.json", records.values())
    again = list(read_records(tmp_path / "r.json"))
    assert again == list(records.values())
    assert all(record.img1_path.is_file() and record.gsd_m == 2.0 for record in again)


@pytest.mark.parametrize("name", ["", "../x", "a b", "a/b"])
def test_names_that_are_no_file_names_are_refused(pair, tmp_path, name):
    with pytest.raises(InputError, match="letters"):
        captioned(pair, tmp_path, name=name)


def test_the_command_makes_what_the_function_makes(pair, tmp_path):
    options = ["--index-bands", "2,4,1", "--bands", "1,2,3", "--name", "a", "--tile-size", "64", "--gsd-m", "2.0"]
    line = ["data", "indices", *map(str, pair), str(tmp_path / "r.json"), "--split", "train", *options]
    result = CliRunner().invoke(cli.app, line)
    assert result.exit_code == 0, result.output
    assert "2 captioned pairs" in result.output
    made = captioned(pair, tmp_path / "r", fields={"source": "a", "split": "train", "gsd_m": 2.0}).values()
    paths = {"img1_path", "img2_path", "mask_path", "label1_path", "label2_path"}
    written = list(read_records(tmp_path / "r.json"))
    assert [one.model_dump(exclude=paths) for one in written] == [one.model_dump(exclude=paths) for one in made]
    for one in written:
        there = {path.parent.name for key in paths if (path := getattr(one, key)) is not None and path.is_file()}
        assert there == ({"A", "B", "mask", "label1", "label2"} if one.change_flag else {"A", "B", "mask"})
        assert one.img1_path.parent.parent.name == "r_tiles"


@pytest.mark.parametrize("option", [["--water", "0.1"], ["--vegetation", "0.4,0.2"], ["--water", "a,b"]])
def test_bounds_that_are_none_are_refused(pair, tmp_path, option):
    line = ["data", "indices", *map(str, pair), str(tmp_path / "r.json"), "--index-bands", "2,4,1", "--name", "a"]
    result = CliRunner().invoke(cli.app, [*line, *option])
    assert isinstance(result.exception, InputError)
    assert option[0] in str(result.exception)
