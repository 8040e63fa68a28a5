from __future__ import annotations

import numpy as np
import pytest
import torch
from affine import Affine
from odc.geo.geobox import GeoBox
from support.rasters import UTM, decode, encode, grid, scene, write
from torch.utils.data import DataLoader
from torchgeo import samplers
from torchgeo.datasets import RasterDataset, stack_samples

from geocc.errors import InputError
from geocc.scene import FullCoverGridSampler, PixelWindow, ScenePairDataset, open_pair, plan_tiles

GRID = grid(100, 130)


@pytest.fixture
def pair():
    return open_pair(scene(GRID, time="2009-08-18"), scene(GRID, 255 - encode(GRID), time="2020-08-31"))


def stock_samplers(dataset, size=32):
    """Those of whichever TorchGeo is installed, 0.8 or 0.10."""
    if hasattr(samplers, "GriddedPatchSampler"):
        grids = samplers.GriddedPatchSampler(dataset, size=size)
        return [grids, samplers.RandomPatchSampler(dataset, size=size, length=9)]
    return [
        samplers.GridGeoSampler(dataset, size=size),
        samplers.RandomGeoSampler(dataset, size=size, length=9),
        samplers.PreChippedGeoSampler(dataset),
    ]


def test_a_sample_holds_both_dates_and_tensors_only(pair):
    dataset = ScenePairDataset(pair)
    x, y, _ = dataset.bounds
    sample = dataset[x.start + 200 : x.start + 520, y.stop - 740 : y.stop - 100]
    assert all(isinstance(value, torch.Tensor) for value in sample.values())
    assert (sample["image"].shape, sample["image"].dtype) == ((2, 3, 64, 32), torch.uint8)
    assert (sample["valid"].shape, sample["valid"].dtype) == ((64, 32), torch.bool)
    rows, cols = decode(sample["image"][0].numpy())
    assert (rows[0, 0], cols[0, 0]) == (10, 20)
    assert sample["bounds"][:6].tolist() == [500_200.0, 500_520.0, 10.0, 4_999_260.0, 4_999_900.0, 10.0]
    assert sample["bounds"][6:8].tolist() == [stamp.timestamp() for stamp in (pair.t1_label, pair.t2_label)]
    assert sample["transform"].tolist() == list(GRID[10:74, 20:52].affine)
    assert dataset.crs.to_epsg() == 32632


def test_stock_samplers_and_loaders_work(pair):
    dataset = ScenePairDataset(pair)
    for sampler in stock_samplers(dataset):
        for batch in DataLoader(dataset, sampler=sampler, batch_size=2, collate_fn=stack_samples):
            assert batch["image"].shape[1:3] == (2, 3)
            assert batch["image"].dtype == torch.uint8
            for image, valid in zip(batch["image"], batch["valid"], strict=True):
                assert (image[0] + image[1] == 255 * valid).all()


@pytest.mark.slow
def test_loader_workers_read_the_same(tmp_path):
    path = write(tmp_path / "t.tif", GRID)
    dataset = ScenePairDataset(open_pair(path, path))
    sampler = FullCoverGridSampler(dataset, size=64)
    loaders = [
        DataLoader(dataset, sampler=sampler, collate_fn=stack_samples),
        DataLoader(dataset, sampler=sampler, collate_fn=stack_samples, num_workers=2, multiprocessing_context="fork"),
        DataLoader(dataset, sampler=sampler, collate_fn=stack_samples, num_workers=1, multiprocessing_context="spawn"),
    ]
    alone, forked, spawned = ([batch["image"] for batch in loader] for loader in loaders)
    assert len(alone) == len(forked) == len(spawned) == 6
    for one, two, three in zip(alone, forked, spawned, strict=True):
        assert torch.equal(one, two)
        assert torch.equal(one, three)


def test_tiles_equal_those_of_a_raster_dataset(tmp_path):
    path = write(tmp_path / "t.tif", GRID)
    oracle = RasterDataset(path)
    dataset = ScenePairDataset(open_pair(path, path))
    for index in stock_samplers(oracle)[0]:
        theirs, ours = oracle[index]["image"], dataset[index]["image"][0]
        assert torch.equal(theirs, ours.float())


def test_windows_over_the_edge_are_filled_and_those_outside_refused(pair):
    dataset = ScenePairDataset(pair)
    x, y, _ = dataset.bounds
    sample = dataset[x.stop - 100 : x.stop + 100, y.stop - 200 : y.stop]
    assert sample["image"].shape == (2, 3, 20, 20)
    assert sample["valid"][:, :10].all()
    assert not sample["valid"][:, 10:].any()
    with pytest.raises(IndexError, match="outside the scene"):
        dataset[x.stop + 100 : x.stop + 200, y.start : y.stop]


def test_transforms_are_applied(pair):
    dataset = ScenePairDataset(pair, transforms=lambda sample: {"image": sample["image"].float() / 255})
    assert dataset[:, :]["image"].max() <= 1


def test_rotated_grids_are_refused_and_the_remedy_works():
    geobox = grid(60, 60, kind="rotated")
    t1, t2 = scene(geobox), scene(geobox)
    pair = open_pair(t1, t2)
    with pytest.raises(InputError, match=r"GeoBox\.from_bbox\(pair\.geobox\.boundingbox"):
        ScenePairDataset(pair)
    mended = open_pair(t1, t2, align=GeoBox.from_bbox(pair.geobox.boundingbox, resolution=10))
    assert len(ScenePairDataset(mended)) == 1


def test_a_converted_index_is_refused(pair, capsys):
    dataset = ScenePairDataset(pair)
    dataset.crs = "EPSG:4326"
    capsys.readouterr()  # TorchGeo prints that it converts
    with pytest.raises(InputError, match="Put it first"):
        dataset[:, :]


def test_a_south_up_grid_keeps_its_place():
    south_up = GeoBox((40, 40), Affine(10, 0, 500_100, 0, 10, 4_999_200), UTM)
    pair = open_pair(scene(GRID), scene(GRID), align=south_up)
    dataset = ScenePairDataset(pair)
    x, y, _ = dataset.bounds
    assert (x.start, y.start) == (500_100, 4_999_200)
    sample = dataset[x.start : x.start + 50, y.start : y.start + 100]
    assert (sample["image"].numpy() == pair.read(PixelWindow(0, 0, 10, 5)).image).all()


def test_full_cover_sampler_gives_the_planned_tiles(pair):
    dataset = ScenePairDataset(pair)
    sampler, plan = FullCoverGridSampler(dataset, size=48, stride=33), plan_tiles(pair, tile_size=48, stride=33)
    assert len(sampler) == len(plan)
    for index, window in zip(sampler, plan, strict=True):
        assert np.array_equal(dataset[index]["image"], pair.read(window).image)
