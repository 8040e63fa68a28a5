"""Scenes: deterministic, true to their masks, and rightly placed on the globe."""

import subprocess
import sys

import numpy as np
import pytest
import rasterio
import rasterio.features
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import ndimage

from geocc.data.synthetic import make_scene
from geocc.errors import InputError, WriteError

SEEDS = st.integers(0, 10_000)
few = settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def small(seed, **kwargs):
    return make_scene(seed, **{"size_px": 160, "change_density": 2.0} | kwargs)


@few
@given(seed=SEEDS)
def test_equal_seeds_make_equal_scenes_whatever_the_global_random_state(seed):
    np.random.seed(seed)  # noqa: NPY002  # the point is that the global state does not matter
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    one, other = small(seed), small(seed)
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002
    assert (one.t1 == other.t1).all()
    assert (one.t2 == other.t2).all()
    assert [c.kind for c in one.changes] == [c.kind for c in other.changes]
    assert (one.change_mask == other.change_mask).all()


def test_seeds_differ():
    assert (small(1).t1 != small(2).t1).any()


@few
@given(seed=SEEDS, height=st.integers(32, 120), width=st.integers(32, 120))
def test_shapes(seed, height, width):
    scene = make_scene(seed, size_px=(height, width))
    assert scene.t1.shape == scene.t2.shape == (3, height, width)
    assert scene.t1.dtype == scene.t2.dtype == np.uint8
    assert scene.change_mask.shape == (height, width)


@few
@given(seed=SEEDS)
def test_mask_is_the_union_of_the_changes_and_changes_do_not_overlap(seed):
    scene = small(seed)
    count = np.zeros(scene.change_mask.shape, dtype=int)
    for change in scene.changes:
        count[change.window.rows, change.window.cols] += change.mask
        assert change.category_from != change.category_to
    assert ((count > 0) == scene.change_mask).all()
    assert count.max(initial=0) <= 1


@few
@given(seed=SEEDS)
def test_without_nuisance_pixels_change_where_the_mask_says(seed):
    scene = small(seed, nuisance=0)
    differs = (scene.t1 != scene.t2).any(axis=0)
    mask = scene.change_mask
    if mask.any():
        assert (differs & mask).sum() > 0.95 * mask.sum()
    # Shadows of what was built, or felled, fall no farther than a tall tree's: 9 m at 46 degrees, plus blur.
    assert not differs[~ndimage.binary_dilation(mask, iterations=26)].any()


@few
@given(seed=SEEDS)
def test_nothing_changes_without_change_sites(seed):
    scene = small(seed, change_density=0)
    assert not scene.changes
    assert not scene.change_mask.any()
    still = small(seed, change_density=0, nuisance=0)
    assert (still.t1 == still.t2).all()


@few
@given(seed=SEEDS)
def test_nuisance_changes_pixels_everywhere(seed):
    scene = small(seed, change_density=0)
    assert (scene.t1 != scene.t2).any(axis=0).mean() > 0.5


def test_misregistration_is_found_again_by_correlation():
    found = []
    for seed in range(12):
        scene = small(seed, change_density=0, max_shift_px=2.0)
        shift = scene.conditions[1].shift_y
        one, other = (image.mean(axis=0)[:, 40:120] for image in (scene.t1, scene.t2))
        rows = np.arange(20, 140)
        match = [np.corrcoef(one[rows].ravel(), other[rows + step].ravel())[0, 1] for step in range(-4, 5)]
        found.append(abs(int(np.argmax(match)) - 4 - shift) <= 1.01)
    assert sum(found) >= 11


def test_polygons_cover_exactly_the_changed_pixels_in_the_crs():
    scene = small(3)
    assert len(scene.changes) > 1
    raster, _ = scene.to_xarray()
    frame = scene.changes_frame()
    assert frame.crs == raster.rio.crs
    assert frame.crs.is_projected
    burnt = rasterio.features.rasterize(
        frame.geometry, out_shape=scene.change_mask.shape, transform=raster.rio.transform()
    )
    assert (burnt.astype(bool) == scene.change_mask).all()
    assert frame.area.to_numpy() == pytest.approx(frame["area_m2"].to_numpy())
    assert frame.geometry.is_valid.all()
    assert list(frame["kind"]) == [change.kind for change in scene.changes]


def test_rasters_carry_crs_grid_and_date():
    scene = small(4, gsd_m=0.8)
    first, second = scene.to_xarray()
    assert first.dims == ("band", "y", "x")
    assert (first.to_numpy() == scene.t1).all()
    assert (second.to_numpy() == scene.t2).all()
    assert first.time < second.time
    assert first.rio.resolution() == (0.8, -0.8)
    assert first.rio.transform() == second.rio.transform()


def test_a_scene_without_change_has_an_empty_frame():
    frame = small(1, change_density=0).changes_frame()
    assert len(frame) == 0
    assert frame.crs is not None
    assert "kind" in frame


def test_geotiffs_hold_the_same_scene(tmp_path):
    scene = make_scene(5, size_px=(300, 280))
    paths = scene.to_geotiffs(tmp_path / "new" / "folder")
    assert [path.name for path in paths] == ["t1.tif", "t2.tif"]
    assert sorted(p.name for p in paths[0].parent.iterdir()) == ["t1.tif", "t2.tif"]
    expected = scene.to_xarray()[0].rio.transform()
    for path, image in zip(paths, (scene.t1, scene.t2), strict=True):
        with rasterio.open(path) as raster:
            assert (raster.read() == image).all()
            assert raster.profile["tiled"]
            assert raster.profile["compress"] == "deflate"
            assert raster.transform == expected
            assert raster.crs.to_epsg() == 32633


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(WriteError, match="file"):
        small(1).to_geotiffs(tmp_path / "file")


@pytest.mark.parametrize("kwargs", [{"size_px": 31}, {"gsd_m": 0}, {"change_density": -1}, {"max_shift_px": 3}])
def test_impossible_scenes_are_refused(kwargs):
    with pytest.raises(InputError, match=next(iter(kwargs))):
        make_scene(0, **kwargs)


def test_things_keep_their_size_on_the_ground():
    areas = {}
    for gsd_m in (0.5, 1.0):
        sizes = [
            change.mask.sum() * gsd_m**2
            for seed in range(25)
            for change in make_scene(seed, size_px=int(160 / gsd_m), gsd_m=gsd_m, change_density=1).changes
            if change.category == "building" and change.mask.size > 50
        ]
        areas[gsd_m] = np.median(sizes)
    assert areas[0.5] == pytest.approx(areas[1.0], rel=0.5)


def test_a_scene_without_georeference_needs_neither_torch_nor_gdal():
    code = (
        "import sys; from geocc.data.synthetic import make_scene; make_scene(0, size_px=64); "
        "print({'torch', 'rasterio', 'geopandas', 'xarray'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
