from __future__ import annotations

import numpy as np
import pytest
import shapely
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import Transformer
from support.rasters import UTM, grid, scene, write

from geocc.scene import PixelWindow, open_pair, plan_tiles

T1 = grid(120, 150)
SOURCES = {
    "half a pixel": GeoBox((140, 170), Affine(10, 0, 499_905, 0, -10, 5_000_095), UTM),
    "half the resolution": GeoBox((80, 100), Affine(20, 0, 499_900, 0, -20, 5_000_100), UTM),
    "twice the resolution": GeoBox((280, 340), Affine(5, 0, 499_902, 0, -5, 5_000_098), UTM),
    "odd resolution": GeoBox((140, 170), Affine(11.3, 0, 499_903, 0, -11.3, 5_000_098), UTM),
    "rotated": GeoBox((260, 260), Affine(8.66, 5.0, 499_000, 5.0, -8.66, 5_000_200), UTM),
    "degrees": GeoBox((160, 180), Affine(0.00012, 0, 8.999, 0, -0.0001, 45.1545), "EPSG:4326"),
    "the next zone": GeoBox((400, 400), Affine(10, 0, 26_500, 0, -10, 5_020_000), "EPSG:32633"),
}


def ramp(geobox, dtype="float32"):
    """Red is the column of the pixel's centre, green its row."""
    height, width = geobox.shape
    rows, cols = np.mgrid[:height, :width] + 0.5
    return np.stack([cols, rows, np.ones_like(rows)]).astype(dtype)


def expected_place(pair, source):
    """Oracle: columns and rows on the source grid of every pixel centre, by pyproj and the inverse affine."""
    height, width = pair.geobox.shape
    rows, cols = np.mgrid[:height, :width] + 0.5
    a, b, c, d, e, f = pair.geobox.affine[:6]
    transformer = Transformer.from_crs(pair.geobox.crs.proj, source.crs.proj, always_xy=True)
    x, y = transformer.transform(a * cols + b * rows + c, d * cols + e * rows + f)
    a, b, c, d, e, f = (~source.affine)[:6]
    return np.stack([a * x + b * y + c, d * x + e * y + f])


def tiled(pair, size):
    """The later date before scaling, read tile by tile, and its validity."""
    values = np.zeros((3, *pair.geobox.shape))
    valid = np.zeros(pair.geobox.shape, bool)
    for window in plan_tiles(pair, tile_size=size):
        planes = pair.t2.read(window)
        values[:, window.rows, window.cols] = planes.values
        valid[window.rows, window.cols] = planes.valid
    return values, valid


@pytest.mark.parametrize("resampling", ["nearest", "bilinear", "cubic", "average"])
@pytest.mark.parametrize("name", SOURCES)
def test_warped_pixels_lie_within_half_a_pixel(name, resampling):
    source = SOURCES[name]
    t2 = scene(source, ramp(source))
    pair = open_pair(scene(T1, ramp(T1)), t2, align="t1", resampling=resampling, scale=(0, 500))
    values, valid = tiled(pair, 50)
    place = expected_place(pair, source)
    rim = 2.5  # source pixels: there the kernels reach beyond the scene and lean inwards
    shape = np.array(source.shape[::-1])[:, None, None]
    inside = ((place > rim) & (place < shape - rim)).all(axis=0)
    assert inside.mean() > 0.3
    assert valid[inside].all()
    # Half a pixel of the coarser grid, which for the nearest pixel is half a source pixel by definition.
    limit = 0.5 if name != "twice the resolution" else 1.0
    assert np.abs(values[:2] - place)[:, inside].max() <= limit + 1e-3
    if resampling == "bilinear":
        assert np.abs(values[:2] - place)[:, inside].max() <= 0.15


def test_tiles_of_any_size_hold_the_same_pixels():
    source = SOURCES["rotated"]
    pair = open_pair(scene(T1, ramp(T1)), scene(source, ramp(source)), align="t1", scale=(0, 500))
    (small, small_valid), (large, large_valid) = tiled(pair, 17), tiled(pair, 150)
    assert (small_valid == large_valid).all()
    np.testing.assert_allclose(small, large, atol=1e-2)


@pytest.mark.parametrize("resampling", ["nearest", "bilinear", "cubic", "cubic_spline", "lanczos", "average"])
@pytest.mark.parametrize("fill", [0, 255])
@pytest.mark.parametrize("name", ["half a pixel", "twice the resolution", "rotated", "degrees"])
def test_no_valid_pixel_holds_anything_of_the_collar(name, fill, resampling):
    source = SOURCES[name]
    height, width = source.shape
    values = np.full((3, height, width), 100, np.uint8)
    rows, cols = np.mgrid[:height, :width]
    collar = abs(rows - height / 2) + abs(cols - width / 2) > 0.4 * min(height, width)  # a diamond of ground
    values[:, collar] = fill
    pair = open_pair(
        scene(T1, np.full((3, *T1.shape), 50, np.uint8)),
        scene(source, values, nodata=fill),
        align="t1",
        resampling=resampling,
    )
    tile = pair.read(PixelWindow(0, 0, *pair.geobox.shape))
    assert tile.valid.any()
    assert not tile.valid.all()
    assert (tile.image[1][:, tile.valid] == 100).all()
    assert not tile.image[:, :, ~tile.valid].any()


def test_the_valid_share_is_that_of_the_ground():
    source = SOURCES["rotated"]
    geobox = GeoBox((300, 300), Affine(10, 0, 499_500, 0, -10, 5_001_000), UTM)
    pair = open_pair(scene(geobox, ramp(geobox)), scene(source, ramp(source)), align="t1", scale=(0, 500))
    tile = pair.read(PixelWindow(0, 0, *pair.geobox.shape))
    ground = pair.geobox.extent.geom
    assert tile.valid_fraction == pytest.approx(shapely.area(ground & source.extent.geom) / ground.area, abs=0.01)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32", "float64", "int32"])
def test_warping_keeps_the_type_and_rounds(dtype):
    t2 = GeoBox((60, 60), Affine(10, 0, 500_005, 0, -10, 5_000_005), UTM)
    values = np.tile(np.arange(60) * 2, (3, 60, 1)).astype(dtype) + np.asarray(1, dtype)
    pair = open_pair(scene(grid(50, 50), values[:, :50, :50]), scene(t2, values), align="t1", scale=(0, 255))
    planes = pair.t2.read(PixelWindow(5, 5, 10, 10))
    assert planes.values.dtype == dtype
    assert planes.values[0, 0].tolist() == [2 * (col + 5) for col in range(10)]  # halfway between 2c-1 and 2c+1


def test_only_the_ground_under_the_tile_is_read(tmp_path, monkeypatch):
    from geocc.scene.files import FileSource

    t2 = grid(400, 400).translate_pix(0.3, 0.3)
    pair = open_pair(scene(grid(400, 400)), write(tmp_path / "t2.tif", t2), align="t1")
    read, original = [], FileSource.read
    monkeypatch.setattr(FileSource, "read", lambda self, window: read.append(window) or original(self, window))
    pair.read(PixelWindow(100, 200, 50, 60))
    assert len(read) == 1
    assert 50 <= read[0].height <= 58
    assert 60 <= read[0].width <= 68


def test_a_much_finer_source_is_warped_in_parts():
    fine = GeoBox((3000, 3000), Affine(0.5, 0, 500_000, 0, -0.5, 5_000_000), UTM)
    coarse = GeoBox((15, 15), Affine(100, 0, 500_000, 0, -100, 5_000_000), UTM)
    values = np.zeros((3, 3000, 3000), np.uint8)
    values[:] = (np.arange(3000) // 200 * 10 + 5)[None, None]
    pair = open_pair(
        scene(coarse, np.full((3, 15, 15), 9, np.uint8)), scene(fine, values), align="t1", resampling="average"
    )
    tile = pair.read(PixelWindow(0, 0, 15, 15))
    assert tile.valid.all()
    assert tile.image[1, 0, 3].tolist() == [10 * col + 5 for col in range(15)]


def test_ground_that_cannot_be_projected_is_not_valid():
    world = GeoBox((90, 180), Affine(2, 0, -180, 0, -2, 90), "EPSG:4326")
    polar = GeoBox((100, 100), Affine(60_000, 0, -3e6, 0, -60_000, 3e6), "EPSG:3413")
    pair = open_pair(
        scene(polar, np.full((3, 100, 100), 7, np.uint8)), scene(world, np.full((3, 90, 180), 9, np.uint8)), align="t1"
    )
    tile = pair.read(PixelWindow(0, 0, *pair.geobox.shape))
    assert set(np.unique(tile.image[1])) <= {0, 9}


def test_tiles_off_the_source_or_on_its_collar_are_invalid():
    source = GeoBox((60, 60), Affine(7.07, 7.07, 500_300, 7.07, -7.07, 4_999_800), UTM)
    values = np.full((3, 60, 60), 9, np.uint8)
    values[:, :, 30:] = 0
    t1 = GeoBox((200, 200), Affine(10, 0, 500_000, 0, -10, 5_001_000), UTM)
    pair = open_pair(scene(t1, np.full((3, 200, 200), 7, np.uint8)), scene(source, values, nodata=0), align="t1")
    height, width = pair.geobox.shape
    corner = pair.read(PixelWindow(0, 0, 4, 4))
    assert not corner.valid.any()
    collar = pair.read(PixelWindow(height // 2 - 2, width - 8, 4, 4))
    assert not collar.valid.any()
    assert pair.read(PixelWindow(0, 0, height, width)).valid_fraction > 0.1
