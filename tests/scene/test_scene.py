"""The package's face, and real scenes from ../shared/data."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
import xarray as xr

import geocc.scene
from geocc.errors import AlignmentError
from geocc.scene import PixelWindow, open_pair, plan_tiles

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason=f"the real data is not there: {SHARED}")


def naip(day):
    return SHARED / "naip" / f"m_4709963_se_14_1_{day}.tif"


def test_every_public_name_is_there_and_sorted():
    assert geocc.scene.__all__ == sorted(geocc.scene.__all__)
    for name in geocc.scene.__all__:
        assert getattr(geocc.scene, name).__name__ == name
        assert name in dir(geocc.scene)
    with pytest.raises(AttributeError, match="attribute nothing"):
        _ = geocc.scene.nothing


def test_planning_and_reading_import_no_torch():
    code = (
        "import sys, geocc.scene; assert 'rasterio' not in sys.modules\n"
        "geocc.scene.open_pair, geocc.scene.plan_tiles\n"
        "assert 'torch' not in sys.modules and 'torchgeo' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.shared
@needs_shared
def test_naip_2009_and_2020_differ_and_align():
    with pytest.raises(AlignmentError) as caught:
        open_pair(naip(20090818), naip(20200831))
    for words in (
        "origin (485900, 5209247), 934 x 724",
        "origin (485899, 5209246), 934 x 723",
        'align="t1"',
        "EPSG:26914",
    ):
        assert words in str(caught.value)
    pair = open_pair(naip(20090818), naip(20200831), align="t1")
    assert pair.geobox.affine[:6] == (5.0, 0.0, 485_900.0, 0.0, -5.0, 5_209_247.0)
    tile = pair.read(PixelWindow(256, 256, 256, 256))
    assert tile.valid.all()
    with rasterio.open(naip(20090818)) as file:
        assert (tile.image[0] == file.read([1, 2, 3], window=((256, 512), (256, 512)))).all()
    with rasterio.open(naip(20200831)) as file:  # 0.2 pixels away: the warp changes no level by much on average
        nearest = file.read([1, 2, 3], window=((256, 512), (256, 512))).astype(int)
    assert np.abs(tile.image[1] - nearest).mean() < 5


@pytest.mark.shared
@needs_shared
def test_naip_dates_on_one_grid_need_no_alignment():
    pair = open_pair(naip(20100629), naip(20140720))
    assert pair.geobox.shape == (723, 934)
    assert len(plan_tiles(pair)) == 12


@pytest.mark.shared
@needs_shared
def test_landsat_by_band_number():
    t1, t2 = (SHARED / "landsat" / f"{year}.tif" for year in (1985, 2020))
    pair = open_pair(t1, t2, bands=(3, 4, 2))
    assert pair.geobox.crs.epsg == 4326
    tile = pair.read(PixelWindow(100, 200, 64, 64))
    with rasterio.open(t2) as file:
        assert (tile.image[1] == file.read([3, 4, 2], window=((100, 164), (200, 264))) * tile.valid).all()


@pytest.mark.shared
@needs_shared
def test_a_real_netcdf_file():
    stack = xr.open_dataset(SHARED / "netcdf" / "PLANET_SCOPE_3D.nc", decode_coords="all")
    pair = open_pair(stack.isel(time=0), stack.isel(time=1), bands=("green", "green", "blue"))
    assert pair.geobox.shape == (10, 10)
    assert pair.geobox.crs.epsg == 32722
    assert pair.t1_label.year == 2016
    assert np.isfinite(pair.read(PixelWindow(0, 0, 10, 10)).image).all()
    stack.close()
