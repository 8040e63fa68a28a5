"""Reading ahead: every tile the same whatever the threads, every block about once, whatever the tiles."""

import threading
from collections import Counter
from pathlib import Path

import dask
import dask.array
import numpy as np
import pytest
import rasterio
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.env import get_gdal_config
from support import rasters

from geocc.errors import InputError, ReadError
from geocc.scene import open_pair, plan_tiles
from geocc.scene.files import FileSource
from geocc.scene.reading import read_tiles
from geocc.scene.schedule import reading_order

GRID = rasters.grid(700, 900)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reading")
    values = rasters.encode(GRID)
    return tuple(
        rasters.write(folder / f"{name}.tif", GRID, values, blockxsize=128, blockysize=256, compress="deflate")
        for name in ("t1", "t2")
    )


def images(pair, plan, **options):
    """The tiles by their position in the plan."""
    return {read.position: read.tile.image for read in read_tiles(pair, plan, **options)}


def counted(monkeypatch):
    """Windows that are read from files, as (date, window)."""
    seen, read, lock = [], FileSource.read, threading.Lock()

    def count(self, window):
        with lock:
            seen.append((self.date, window))
        return read(self, window)

    monkeypatch.setattr(FileSource, "read", count)
    return seen


@pytest.mark.parametrize("threads", [0, 1, 8])
@pytest.mark.parametrize("align", ["error", "t1"])
def test_the_pixels_are_those_of_a_bare_read_whatever_the_threads(files, threads, align):
    other = files[1]
    if align == "t1":  # half a pixel aside, so that t2 is warped
        with rasterio.open(files[1]) as file:
            values, affine = file.read(), file.transform
        moved = rasters.GeoBox(GRID.shape, affine * affine.translation(0.5, 0.5), GRID.crs)
        other = rasters.write(files[1].replace("t2", f"moved{threads}"), moved, values)
    pair = open_pair(files[0], other, align=align)
    plan = plan_tiles(pair, tile_size=128, stride=96)
    found = images(pair, plan, threads=threads)
    assert sorted(found) == list(range(len(plan)))
    for position, image in found.items():
        np.testing.assert_array_equal(image, pair.read(plan[position]).image)


@pytest.mark.parametrize("tight", [False, True])
def test_each_block_is_read_once_for_overlapping_tiles(files, tight, monkeypatch):
    pair = open_pair(*files)
    plan = plan_tiles(pair, tile_size=128, stride=64)
    seen = counted(monkeypatch)
    images(pair, plan, threads=2, **({"cache_bytes": 4 * 2**20} if tight else {}))
    pixels = sum(window.height * window.width for _, window in seen)
    reads = pixels / (2 * 700 * 900)
    assert 1 <= reads <= (1.3 if tight else 1)


@pytest.mark.parametrize("chunk", [64, 200, 700])
@pytest.mark.parametrize("align", ["error", "t1"])
def test_each_chunk_of_a_dask_array_is_computed_about_once(chunk, align):
    computed = Counter()
    lock = threading.Lock()

    def lazily(geobox, date):
        values = rasters.encode(geobox)

        def block(block_info=None):
            place = block_info[None]["array-location"]
            with lock:
                computed[date, place[1][0], place[2][0]] += 1
            return values[tuple(slice(*side) for side in place)]

        height, width = geobox.shape
        chunks = ((3,), *dask.array.core.normalize_chunks((chunk, chunk), (height, width)))
        array = dask.array.map_blocks(block, chunks=chunks, dtype=np.uint8, meta=np.empty((0, 0, 0), np.uint8))
        return rasters.scene(geobox, values).copy(data=array)

    other = (
        GRID
        if align == "error"
        else rasters.GeoBox(GRID.shape, GRID.affine * GRID.affine.translation(3.5, 2.5), GRID.crs)
    )
    pair = open_pair(lazily(GRID, "t1"), lazily(other, "t2"), align=align, scale=(0, 255))
    plan = plan_tiles(pair, tile_size=128, stride=64)
    computed.clear()  # `map_blocks` may have tried its function out
    found = images(pair, plan, threads=4)
    assert len(found) == len(plan)
    assert sum(computed.values()) / len(computed) <= 1.3


def test_a_dataset_with_one_lazy_variable_per_band_is_read_alike():
    array = rasters.scene(GRID, names=("red", "green", "blue"))
    dataset = array.to_dataset(dim="band").chunk({"y": 256, "x": 256})
    assert isinstance(dataset, xr.Dataset)
    lazy, held = open_pair(dataset, dataset), open_pair(array, array)
    plan = plan_tiles(held, tile_size=128, stride=100)
    expected = images(held, plan, threads=0)
    for position, image in images(lazy, plan).items():
        np.testing.assert_array_equal(image, expected[position])


@settings(max_examples=12)
@given(
    height=st.integers(1, 500),
    width=st.integers(1, 500),
    block=st.sampled_from([16, 64, 176, 400]),
    tile=st.integers(20, 200),
    overlap=st.floats(0, 0.9),
    flip=st.booleans(),
)
def test_whatever_the_sizes_the_order_is_a_permutation_and_the_pixels_are_right(
    height, width, block, tile, overlap, flip
):
    geobox = rasters.grid(height, width, kind="south-up" if flip else "north-up")
    values = rasters.encode(geobox)
    held = open_pair(*[rasters.scene(geobox, values)] * 2)
    lazy = open_pair(*[rasters.scene(geobox, values, chunks={"y": block, "x": block})] * 2)
    plan = plan_tiles(held, tile_size=tile, stride=max(1, round(tile * (1 - overlap))) if overlap < 0.7 else tile)
    assert sorted(reading_order(lazy, plan)) == list(range(len(plan)))
    for position, image in images(lazy, plan, threads=2).items():
        np.testing.assert_array_equal(image, held.read(plan[position]).image)


def test_a_damaged_block_costs_the_tiles_that_need_it(tmp_path):
    values = np.random.default_rng(1).integers(0, 255, (3, 512, 512), np.uint8)
    grid = rasters.grid(512, 512)
    path = rasters.write(tmp_path / "damaged.tif", grid, values, compress="deflate", interleave="pixel")
    with rasterio.open(path) as file:
        offset = int(file.get_tag_item("BLOCK_OFFSET_2_3", "TIFF", bidx=1))
        size = int(file.get_tag_item("BLOCK_SIZE_2_3", "TIFF", bidx=1))
    with Path(path).open("r+b") as file:
        file.seek(offset)
        file.write(b"\0" * size)
    pair = open_pair(path, path)
    plan = plan_tiles(pair, tile_size=64)
    reads = list(read_tiles(pair, plan))
    failed = [plan[read.position] for read in reads if read.tile is None]
    assert [(window.row, window.col) for window in failed] == [(192, 128)]
    assert isinstance(next(read for read in reads if read.tile is None).error, ReadError)


def test_gdals_cache_is_bounded_while_tiles_are_read_and_as_before_afterwards(files):
    before = get_gdal_config("GDAL_CACHEMAX")
    pair = open_pair(*files)
    stream = read_tiles(pair, plan_tiles(pair, tile_size=128))
    next(stream)
    during = int(get_gdal_config("GDAL_CACHEMAX"))
    stream.close()
    assert during <= 64 * 2**20
    assert get_gdal_config("GDAL_CACHEMAX") == before


def test_closing_the_stream_ends_its_threads(files):
    pair = open_pair(*files)
    stream = read_tiles(pair, plan_tiles(pair, tile_size=32), threads=3)
    next(stream)
    stream.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("geocc-read")]


def test_the_threads_read_with_the_callers_gdal_options(files, monkeypatch):
    seen = set()
    read = FileSource.read

    def look(self, window):
        seen.add(get_gdal_config("GDAL_HTTP_USERAGENT"))
        return read(self, window)

    monkeypatch.setattr(FileSource, "read", look)
    pair = open_pair(*files)
    with rasterio.Env(GDAL_HTTP_USERAGENT="a test"):
        images(pair, plan_tiles(pair, tile_size=256), threads=2)
    assert seen == {"a test"}


def test_fewer_than_no_threads_are_refused(files):
    pair = open_pair(*files)
    with pytest.raises(InputError, match="threads is -1"):
        next(read_tiles(pair, plan_tiles(pair), threads=-1))
