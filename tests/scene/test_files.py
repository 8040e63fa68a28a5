from __future__ import annotations

import pickle
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import rasterio
from PIL import Image
from rasterio.control import GroundControlPoint
from rasterio.enums import ColorInterp
from support.rasters import AFFINES, UTM, decode, encode, grid, scene, write

from geocc.errors import InputError, MissingCRSError, ReadError
from geocc.scene import PixelWindow, files, open_pair, plan_tiles


@pytest.mark.parametrize("kind", AFFINES)
def test_every_tile_of_a_file_holds_its_own_pixels(kind, tmp_path):
    geobox = grid(150, 190, kind=kind)
    path = write(tmp_path / "t.tif", geobox)
    pair = open_pair(path, path)
    for window in plan_tiles(pair, tile_size=64, stride=50):
        rows, cols = decode(pair.read(window).image[0])
        # The pixel of the file that lies where the tile's corner lies on the ground.
        col, row = geobox.wld2pix(*pair.geobox.pix2wld(window.col + 0.5, window.row + 0.5))
        assert (rows[0, 0], cols[0, 0]) == (int(row), int(col))
        assert (np.abs(np.diff(cols, axis=1)) == 1).all()
        assert (np.abs(np.diff(rows, axis=0)) == 1).all()


def test_file_and_array_read_the_same(tmp_path):
    geobox = grid(90, 110)
    path = write(tmp_path / "t.tif", geobox)
    tile = open_pair(path, scene(geobox)).read(PixelWindow(20, 30, 50, 60))
    assert (tile.image[0] == tile.image[1]).all()


def test_a_read_touches_only_its_window(tmp_path, monkeypatch):
    path = write(tmp_path / "t.tif", grid(300, 300))
    pair = open_pair(path, path)
    read = []
    original = files.FileSource._bands_under

    def spy(self, dataset, where):
        read.append((where.row_off, where.col_off, where.height, where.width))
        return original(self, dataset, where)

    monkeypatch.setattr(files.FileSource, "_bands_under", spy)
    pair.read(PixelWindow(100, 120, 64, 32))
    assert read == [(100, 120, 64, 32)] * 2


def test_threads_and_processes_read_the_same(tmp_path):
    path = write(tmp_path / "t.tif", grid(200, 200))
    pair = open_pair(path, path)
    windows = list(plan_tiles(pair, tile_size=50)) * 3
    alone = [pair.read(window).image for window in windows]
    with ThreadPoolExecutor(8) as pool:
        together = [tile.image for tile in pool.map(pair.read, windows)]
    sent = pickle.loads(pickle.dumps(pair))  # noqa: S301 - our own bytes
    elsewhere = [sent.read(window).image for window in windows]
    assert (np.stack(alone) == np.stack(together)).all()
    assert (np.stack(alone) == np.stack(elsewhere)).all()


def test_each_thread_has_its_own_handle(tmp_path):
    path = write(tmp_path / "t.tif", grid(20, 20))
    handles = open_pair(path, path).t1.source.handles
    found = []
    thread = threading.Thread(target=lambda: found.append(handles.get()))
    thread.start()
    thread.join()
    assert handles.get() is handles.get()
    assert handles.get() is not found[0]


def test_dates_come_from_the_tags(tmp_path):
    t1 = write(tmp_path / "t1.tif", grid(8, 8), tags={"TIFFTAG_DATETIME": "2009:08:18 17:02:11"})
    t2 = write(tmp_path / "t2.tif", grid(8, 8), tags={"ACQUISITIONDATETIME": "2020-08-31T10:00:00Z"})
    pair = open_pair(t1, t2)
    assert (pair.t1_label, pair.t2_label) == (pd.Timestamp("2009-08-18 17:02:11"), pd.Timestamp("2020-08-31 10:00"))


def test_nodata_of_the_file_counts_and_dark_pixels_stay(tmp_path):
    values = encode(grid(20, 20), row=1, col=1)
    values[:, 5, 5] = 0
    values[:2, 6, 6] = 0
    values[2, 6, 6] = 9
    path = write(tmp_path / "t.tif", grid(20, 20), values, nodata=0)
    tile = open_pair(path, path).read(PixelWindow(0, 0, 20, 20))
    assert np.argwhere(~tile.valid).tolist() == [[5, 5]]
    assert tile.image[:, 2, 6, 6].tolist() == [9, 9]


def test_alpha_and_mask_bands_count(tmp_path):
    alpha = np.full((20, 20), 255, np.uint8)
    alpha[:, :7] = 0
    rgba = np.concatenate([encode(grid(20, 20)), alpha[None]])
    colours = [ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha]
    with_alpha = write(tmp_path / "alpha.tif", grid(20, 20), rgba, photometric="rgb", colorinterp=colours)
    with_mask = write(tmp_path / "mask.tif", grid(20, 20), mask=alpha)
    for path in (with_alpha, with_mask):
        tile = open_pair(path, scene(grid(20, 20))).read(PixelWindow(0, 0, 20, 20))
        assert (tile.valid == (alpha > 0)).all()
        assert not tile.image[:, :, :, :7].any()


def test_a_missing_file_is_named():
    with pytest.raises(ReadError, match=r"^t1 \(nowhere\.tif\) cannot be opened.*No such file"):
        open_pair("nowhere.tif", "nowhere.tif")


def test_secrets_of_an_address_stay_out_of_errors():
    with pytest.raises(ReadError, match="cannot be opened") as caught:
        open_pair("/vsicurl/http://me:passw0rd@127.0.0.1:9/a.tif?sig=hidden", "x.tif")
    assert "passw0rd" not in str(caught.value)
    assert "hidden" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_vrt_is_refused_whatever_its_name(tmp_path):
    canary = write(tmp_path / "canary.tif", grid(8, 8))
    text = (
        '<VRTDataset rasterXSize="8" rasterYSize="8"><VRTRasterBand dataType="Byte" band="1"><SimpleSource>'
        f'<SourceFilename relativeToVRT="0">{canary}</SourceFilename></SimpleSource></VRTRasterBand></VRTDataset>'
    )
    disguised = tmp_path / "scene.tif"
    disguised.write_text(text)
    for path in (disguised, text, f"vrt://{canary}"):
        with pytest.raises(ReadError, match=r"is a VRT.*gdal_translate"):
            open_pair(path, path)


def test_what_is_no_raster_is_refused(tmp_path):
    path = tmp_path / "scene.tif"
    path.write_bytes(b"not a raster at all" * 100)
    with pytest.raises(ReadError, match="cannot be opened"):
        open_pair(path, path)


def test_a_header_that_claims_too_much_is_refused_without_allocating(tmp_path):
    path = tmp_path / "huge.tif"
    with rasterio.open(
        path, "w", driver="GTiff", height=10**6, width=10**6, count=3, dtype="uint8", crs=UTM,
        transform=AFFINES["north-up"], tiled=True, blockxsize=8192, blockysize=8192, sparse_ok=True, bigtiff="yes",
    ):  # fmt: skip
        pass
    tracemalloc.start()
    with pytest.raises(ReadError, match="claims 1000000 x 1000000 pixels"):
        open_pair(path, path)
    assert tracemalloc.get_traced_memory()[1] < 20e6
    tracemalloc.stop()


def test_blocks_that_no_memory_holds_are_refused(tmp_path):
    path = tmp_path / "block.tif"
    with rasterio.open(
        path, "w", driver="GTiff", height=70_000, width=70_000, count=3, dtype="uint8", crs=UTM,
        transform=AFFINES["north-up"], tiled=True, blockxsize=32_768, blockysize=32_768, sparse_ok=True, bigtiff="yes",
        interleave="pixel",
    ):  # fmt: skip
        pass
    with pytest.raises(ReadError, match="TILED=YES"):
        open_pair(path, path)


def test_a_damaged_file_fails_by_name_date_and_window(tmp_path):
    whole = write(tmp_path / "whole.tif", grid(192, 192), compress="deflate")
    cut = tmp_path / "cut.tif"
    data = bytearray(Path(whole).read_bytes())
    with rasterio.open(whole) as file:
        offset = int(file.get_tag_item("BLOCK_OFFSET_2_2", "TIFF", bidx=1))
    data[offset : offset + 40] = b"\xff" * 40
    cut.write_bytes(data)
    pair = open_pair(whole, cut)
    pair.read(PixelWindow(0, 0, 64, 64))
    with pytest.raises(ReadError, match=r"^t2 \(.*cut\.tif\) cannot be read at rows 128 to 192, columns 128 to 192"):
        pair.read(PixelWindow(128, 128, 64, 64))


@pytest.mark.parametrize("date", ["t1", "t2"])
def test_a_file_without_crs_is_named_with_its_date(date, tmp_path):
    bare = write(tmp_path / "bare.tif", type(grid(8, 8))((8, 8), AFFINES["north-up"], None))
    good = write(tmp_path / "good.tif", grid(8, 8))
    with pytest.raises(MissingCRSError, match=rf'^{date} .*ds\.rio\.write_crs\("EPSG:'):
        open_pair(*((bare, good) if date == "t1" else (good, bare)))


def test_a_file_without_any_place_is_refused(tmp_path):
    path = tmp_path / "plain.png"
    Image.fromarray(np.moveaxis(encode(grid(8, 8)), 0, -1)).save(path)
    with pytest.raises(MissingCRSError, match=r"^t1 .*plain\.png"):
        open_pair(path, path)


def test_control_points_are_refused_with_the_remedy(tmp_path):
    path = tmp_path / "gcps.tif"
    points = [GroundControlPoint(row, col, 500_000 + 10 * col, 5e6 - 10 * row) for row in (0, 8) for col in (0, 8)]
    with rasterio.open(
        path, "w", driver="GTiff", height=8, width=8, count=3, dtype="uint8", gcps=points, crs=UTM
    ) as file:
        file.write(encode(grid(8, 8)))
    with pytest.raises(InputError, match="gdalwarp"):
        open_pair(path, path)
