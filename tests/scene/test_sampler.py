from __future__ import annotations

import pandas as pd
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from support.rasters import AFFINES, UTM, grid, scene, write
from torchgeo import samplers
from torchgeo.datasets import RasterDataset

from geocc.errors import InputError
from geocc.scene import FullCoverGridSampler, PixelWindow, ScenePairDataset, open_pair, plan_tiles


def pair_of(height, width):
    data = scene(grid(height, width))
    return open_pair(data, data)


class Given:
    """A sampler that gives what it was given."""

    def __init__(self, *boxes):
        self.boxes = boxes

    def __iter__(self):
        return iter(self.boxes)


def box(geobox, window):
    """Slices around a window of a north-up grid."""
    x0, y1 = geobox.pix2wld(window.col, window.row)
    x1, y0 = geobox.pix2wld(window.col + window.width, window.row + window.height)
    return slice(x0, x1), slice(y0, y1), slice(pd.Timestamp(0), pd.Timestamp(0))


@given(st.integers(1, 60), st.integers(1, 60), st.integers(10, 20), st.data())
def test_the_sampler_and_the_plan_are_one(height, width, size, data):
    stride = data.draw(st.integers(7, size))
    pair = pair_of(height, width)
    plan = plan_tiles(pair, tile_size=size, stride=stride)
    sampled = plan_tiles(pair, sampler=lambda dataset: FullCoverGridSampler(dataset, size=size, stride=stride))
    assert list(sampled) == list(plan)
    assert sampled.tile_ids.tolist() == plan.tile_ids.tolist()
    assert sampled.stride is None


def test_region_and_time_of_interest():
    data = scene(grid(60, 60), time="2009-08-18")
    dataset = ScenePairDataset(open_pair(data, data))
    region = plan_tiles(dataset.pair, tile_size=20).footprints().iloc[4]
    assert len(FullCoverGridSampler(dataset, size=20, roi=region)) == 1
    assert len(FullCoverGridSampler(dataset, size=20, roi=shapely.box(0, 0, 1, 1))) == 0
    assert (
        len(FullCoverGridSampler(dataset, size=20, toi=pd.Interval(pd.Timestamp(2009, 1, 1), pd.Timestamp(2010, 1, 1))))
        == 9
    )
    assert (
        len(FullCoverGridSampler(dataset, size=20, toi=pd.Interval(pd.Timestamp(2019, 1, 1), pd.Timestamp(2020, 1, 1))))
        == 0
    )


def test_it_serves_other_datasets_too(tmp_path):
    dataset = RasterDataset(write(tmp_path / "t.tif", grid(70, 50)))
    shapes = [tuple(dataset[index]["image"].shape) for index in FullCoverGridSampler(dataset, size=32)]
    assert shapes == [(3, 32, 32)] * 6


def test_windows_of_stock_samplers_are_clipped_and_kept_once():
    pair = pair_of(100, 130)
    if not hasattr(samplers, "GriddedPatchSampler"):  # TorchGeo 0.8; 0.10 centres its grid
        plan = plan_tiles(pair, sampler=lambda dataset: samplers.GridGeoSampler(dataset, size=64))
        assert len(plan) == 6
        assert {(window.height, window.width) for window in plan} == {(64, 64), (64, 2), (36, 64), (36, 2)}
        assert plan.tile_size == 64
    twice = Given(*[box(pair.geobox, PixelWindow(3, 4, 10, 12))] * 2)
    assert list(plan_tiles(pair, sampler=twice)) == [PixelWindow(3, 4, 10, 12)]
    assert list(plan_tiles(pair.geobox, sampler=twice)) == [PixelWindow(3, 4, 10, 12)]


def test_one_corner_with_two_sizes_gives_two_names():
    pair = pair_of(50, 50)
    windows = [PixelWindow(3, 4, 10, 12), PixelWindow(3, 4, 10, 10), PixelWindow(5, 5, 8, 8)]
    plan = plan_tiles(pair, sampler=Given(*(box(pair.geobox, window) for window in windows)))
    assert list(plan) == windows
    assert plan.tile_ids.tolist() == ["r000003_c000004_h10_w12", "r000003_c000004_h10_w10", "r000005_c000005_h8_w8"]
    assert plan.tile_size == 12


def test_batch_samplers_give_lists_of_windows():
    pair = pair_of(100, 100)
    windows = [PixelWindow(0, 0, 20, 20), PixelWindow(5, 5, 20, 20), PixelWindow(40, 50, 20, 20)]
    boxes = [box(pair.geobox, window) for window in windows]
    assert list(plan_tiles(pair, sampler=Given(boxes[:2], boxes[2:]))) == windows


def test_coordinates_between_pixels_are_snapped():
    pair = pair_of(50, 50)
    x, y = slice(500_034.0, 500_136.0), slice(4_999_897.0, 5_000_002.0)
    assert list(plan_tiles(pair, sampler=Given((x, y)))) == [PixelWindow(0, 3, 10, 11)]


def test_a_region_thins_out_sampled_windows():
    pair = pair_of(50, 50)
    windows = [PixelWindow(0, 0, 10, 10), PixelWindow(30, 30, 10, 10)]
    region = GeoBox((10, 10), pair.geobox[35:, 35:].affine, UTM).extent
    plan = plan_tiles(pair, sampler=Given(*(box(pair.geobox, window) for window in windows)), roi=region)
    assert list(plan) == windows[1:]


def test_windows_outside_the_scene_are_refused():
    pair = pair_of(50, 50)
    for window in (PixelWindow(60, 0, 10, 10), PixelWindow(0, 0, 0, 10)):
        with pytest.raises(InputError, match="window outside the scene"):
            plan_tiles(pair, sampler=Given(box(pair.geobox, window)))


def test_a_sampler_without_windows_is_refused():
    with pytest.raises(InputError, match="gives no window"):
        plan_tiles(pair_of(10, 10), sampler=Given())


def test_a_callable_needs_the_pair():
    with pytest.raises(InputError, match="pass the pair"):
        plan_tiles(grid(10, 10), sampler=lambda dataset: dataset)


@pytest.mark.parametrize("kind", ["rotated", "sheared"])
def test_rotated_grids_take_no_sampler(kind):
    with pytest.raises(InputError, match=r"GeoBox\.from_bbox"):
        plan_tiles(GeoBox((10, 10), AFFINES[kind], UTM), sampler=Given())
