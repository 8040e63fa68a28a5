from __future__ import annotations

import json

import dask
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.rasters import CountingScheduler, encode, grid, no_compute, scene

from geocc.errors import ScaleError
from geocc.scene import PixelWindow, Stretch, open_pair

SIDE = 96
WHOLE = PixelWindow(0, 0, SIDE, SIDE)
GRID = grid(SIDE, SIDE)


def texture(seed=0, *, top=255, dtype="uint8"):
    """Smooth noise from 1 to `top`."""
    rng = np.random.default_rng(seed)
    rows, cols = np.mgrid[:SIDE, :SIDE] / SIDE
    waves = np.stack([np.sin(7 * rows + 3 * band) * np.cos(5 * cols) for band in range(3)])
    noisy = 0.4 * (waves + 1) + 0.2 * rng.random((3, SIDE, SIDE))
    return (1 + (top - 1) * noisy).astype(dtype)


def read(t1, t2, **arguments):
    return open_pair(scene(GRID, t1), scene(GRID, t2), **arguments).read(WHOLE)


def test_uint8_is_taken_as_it_is():
    t1, t2 = texture(1), texture(2) // 3
    for scale in ("auto", None):
        assert (read(t1, t2, scale=scale).image == np.stack([t1, t2])).all()


@pytest.mark.parametrize("dtype", ["uint16", "int16", "int32", "float32", "float64"])
def test_wider_copies_of_a_uint8_scene_read_the_same(dtype):
    t1, t2 = texture(1), texture(2) // 3
    expected = read(t1, t2).image
    assert (read(t1.astype(dtype), t2.astype(dtype)).image == expected).all()
    pair = open_pair(scene(GRID, t1.astype(dtype)), scene(GRID, t2.astype(dtype)))
    assert pair.scale.origin == "as is"


@pytest.mark.parametrize("align", ["t1", "t2"])
def test_wider_copies_read_the_same_when_warped(align):
    shifted = GRID.translate_pix(0.4, 0.3)
    images = []
    for dtype in ("uint8", "uint16", "float32"):
        pair = open_pair(scene(GRID, texture(1).astype(dtype)), scene(shifted, texture(2).astype(dtype)), align=align)
        images.append(pair.read(WHOLE).image.astype(int))
    assert np.abs(images[0] - images[1]).max() <= 1
    assert np.abs(images[0] - images[2]).max() <= 1


@pytest.mark.parametrize(
    ("top", "dtype"), [(255, "uint8"), (4000, "uint16"), (4000, "int16"), (0.4, "float32"), (4000.0, "float64")]
)
@pytest.mark.parametrize("seed", range(5))
def test_one_hot_pixel_leaves_all_others_alone(top, dtype, seed):
    t1 = (
        texture(seed, top=top, dtype=dtype)
        if top > 1
        else (texture(seed, top=4000, dtype="float64") / 1e4).astype(dtype)
    )
    hot = t1.copy()
    hot[:, 40, 50] = 255 if dtype == "uint8" else (30_000 if top > 1 else 25.0)
    calm, burnt = read(t1, t1).image, read(t1, hot).image
    differs = (calm != burnt).any(axis=(0, 1))
    assert np.argwhere(differs).tolist() in ([[40, 50]], [])


def test_both_dates_share_one_stretch():
    dark = texture(1, top=2000, dtype="uint16")
    pair = open_pair(scene(GRID, dark), scene(GRID, dark * 2))
    lo, hi = (np.array(side)[:, None, None] for side in (pair.scale.lo, pair.scale.hi))
    for image, values in zip(pair.read(WHOLE).image, (dark, dark * 2), strict=True):
        assert np.abs(image - np.clip((values - lo) / (hi - lo) * 255, 0, 255)).max() <= 0.5 + 1e-9


def test_the_stretch_is_written_down_and_starts_and_ends_at_round_numbers():
    pair = open_pair(
        scene(GRID, texture(1, top=4000, dtype="uint16")), scene(GRID, texture(2, top=4000, dtype="uint16"))
    )
    facts = pair.describe()["scale"]
    assert json.loads(json.dumps(facts)) == facts
    assert facts["origin"] == "percentiles"
    for lo, hi in zip(facts["lo"], facts["hi"], strict=True):
        assert 0 <= lo < hi <= 4200
        assert lo % 100 == hi % 100 == 0


def test_given_limits_are_used_as_given():
    t1, t2 = texture(1, top=4000, dtype="uint16"), texture(2, top=4000, dtype="uint16")
    exact = np.clip((np.stack([t1, t2]).astype(float) - 500) / 2500 * 255, 0, 255)
    image = read(t1, t2, scale=(500, 3000)).image
    assert np.abs(image - exact).max() <= 0.5 + 1e-9
    per_band = read(t1, t2, scale=[(500, 3000), (0, 4000), (500, 3000)]).image
    assert (per_band[:, [0, 2]] == image[:, [0, 2]]).all()
    assert np.abs(per_band[:, 1] - np.stack([t1, t2])[:, 1] / 4000 * 255).max() <= 0.5 + 1e-9


def test_given_limits_bridge_types():
    t1 = texture(1)
    image = read(t1, t1.astype("float32"), scale=(0, 255)).image
    assert (image[0] == image[1]).all()
    assert (image[0] == t1).all()


@pytest.mark.parametrize(
    ("types", "scale", "match"),
    [
        (("uint8", "uint16"), "auto", r"t1 holds uint8 and t2 uint16.*scale=\(lo, hi\)"),
        (("int16", "uint16"), "auto", "rarely count in one unit"),
        (("uint16", "uint16"), None, "scale=None takes uint8"),
        (("uint8", "float32"), None, "t2 float32"),
        (("uint8", "uint8"), "max", "scale='max'"),
        (("uint8", "uint8"), (5, 5), "lo < hi"),
        (("uint8", "uint8"), (1, 2, 3), "nor three of them"),
        (("uint8", "uint8"), (0, float("nan")), "nor three of them"),
        (("uint8", "uint8"), ("a", "b"), "nor three of them"),
        (("complex64", "complex64"), "auto", "complex64"),
    ],
)
def test_what_no_stretch_fits_is_refused(types, scale, match):
    t1, t2 = (texture(1).astype(dtype) for dtype in types)
    with pytest.raises(ScaleError, match=match):
        read(t1, t2, scale=scale)


def test_a_scene_without_data_has_no_stretch():
    nothing = np.full((3, SIDE, SIDE), np.nan, "float32")
    with pytest.raises(ScaleError, match="No valid pixel"):
        read(nothing, nothing)


def test_a_flat_scene_reads_flat():
    flat = np.full((3, SIDE, SIDE), 3000, "uint16")
    image = read(flat, flat).image
    assert (image == image[0, 0, 0, 0]).all()


def test_nodata_stays_out_of_the_stretch():
    t1 = texture(1, top=4000, dtype="int16")
    collar = t1.copy()
    collar[:, :, :40] = -9999
    pair = open_pair(scene(GRID, collar, nodata=-9999), scene(GRID, t1))
    assert min(pair.scale.lo) >= 0
    assert not pair.read(WHOLE).image[..., :40].any()


@given(st.lists(st.floats(width=32), min_size=27, max_size=27), st.floats(-1e6, 1e6), st.floats(0.001, 1e6))
def test_any_floats_become_finite_bytes(numbers, lo, span):
    values = np.array(numbers, np.float32).reshape(3, 3, 3)
    valid = np.isfinite(values).all(axis=0)
    with np.errstate(invalid="raise", over="raise", divide="raise"):
        levels = np.empty(values.shape, np.uint8)
        Stretch((lo,) * 3, (lo + span,) * 3, "given").apply(values, valid, out=levels)
    assert levels.dtype == np.uint8
    assert not levels[:, ~valid].any()


def test_the_sample_is_bounded_and_uint8_needs_none():
    geobox = grid(3000, 3000)
    values = np.zeros((3, 3000, 3000), "uint16")
    values[:, ::2] = 3000
    data = scene(geobox, values, chunks={"x": 250, "y": 250})
    scheduler = CountingScheduler()
    with dask.config.set(scheduler=scheduler):
        open_pair(data, data)
    assert scheduler.computes == 32
    with dask.config.set(scheduler=no_compute):
        open_pair(data.astype("uint8"), data.astype("uint8"))
        open_pair(data, data, scale=(0, 3000))


def test_no_encoded_pixel_is_lost_on_the_way():
    assert (read(encode(GRID), encode(GRID)).image == encode(GRID)).all()
