from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from support.rasters import encode, grid, scene

from geocc.errors import InputError, ReadError
from geocc.scene import PixelWindow, open_pair

GRID = grid(40, 50)
WHOLE = PixelWindow(0, 0, 40, 50)


def dataset(values=None, **arguments):
    data = scene(GRID, values, **arguments)
    bands = {name: data.isel(band=i, drop=True) for i, name in enumerate(("red", "green", "blue"))}
    return xr.Dataset(bands)


def test_a_netcdf_file_reads_as_its_dataset(tmp_path):
    path = tmp_path / "t.nc"
    dataset(time="2009-08-18").to_netcdf(path)
    pair = open_pair(path, scene(GRID))
    tile = pair.read(WHOLE)
    assert pair.geobox == GRID
    assert pair.t1_label == pd.Timestamp("2009-08-18")
    assert (tile.image[0] == tile.image[1]).all()
    assert pair.describe()["t1"]["source"] == str(path)
    assert pair.describe()["t1"]["dtype"] == "uint8"


def test_integers_stay_integers_and_fill_values_count(tmp_path):
    path = tmp_path / "t.nc"
    values = encode(GRID, row=1, col=1)
    values[:, 2, 3] = 255
    dataset(values).to_netcdf(path, encoding={name: {"_FillValue": 255} for name in ("red", "green", "blue")})
    pair = open_pair(path, path)
    assert pair.describe()["t1"]["dtype"] == "uint8"
    assert np.argwhere(~pair.read(WHOLE).valid).tolist() == [[2, 3]]


def test_packed_values_are_unpacked(tmp_path):
    path = tmp_path / "t.nc"
    packing = {"dtype": "uint16", "scale_factor": 0.5, "add_offset": -10.0, "_FillValue": 65535}
    values = encode(GRID).astype("float64")
    dataset(values).to_netcdf(path, encoding=dict.fromkeys(("red", "green", "blue"), packing))
    tile = open_pair(path, path, scale=(0, 255)).read(WHOLE)
    assert (tile.image[0] == encode(GRID)).all()


def test_reading_a_window_keeps_nothing_in_memory(tmp_path):
    path = tmp_path / "t.nc"
    dataset().to_netcdf(path)
    pair = open_pair(path, path)
    pair.read(PixelWindow(0, 0, 4, 4))
    assert not any(layer.variable._in_memory for layer in pair.t1.source.layers)


def test_a_zarr_store_reads_as_its_dataset(tmp_path):
    pytest.importorskip("zarr")
    path = tmp_path / "t.zarr"
    dataset().to_zarr(path, zarr_format=2)
    assert (open_pair(path, scene(GRID)).read(WHOLE).image[0] == encode(GRID)).all()


def test_a_stack_of_times_is_refused(tmp_path):
    path = tmp_path / "t.nc"
    xr.concat([dataset(time="2009-08-18"), dataset(time="2020-08-31")], dim="time", data_vars="all").to_netcdf(path)
    with pytest.raises(InputError, match=r"t1 .*t\.nc.*holds 2 times"):
        open_pair(path, path)


def test_what_is_no_netcdf_is_refused(tmp_path):
    path = tmp_path / "t.nc"
    path.write_bytes(b"no NetCDF")
    with pytest.raises(ReadError, match=r"^t1 \(.*t\.nc\) cannot be opened.*h5netcdf"):
        open_pair(path, path)
    with pytest.raises(ReadError, match="cannot be opened"):
        open_pair(tmp_path / "none.nc", path)


def test_a_dataset_whose_crs_is_no_coordinate_has_a_crs(tmp_path):
    path = tmp_path / "t.nc"
    dataset().to_netcdf(path)
    with xr.open_dataset(path) as plain:
        assert "spatial_ref" in plain.data_vars
        assert open_pair(plain, plain).geobox == GRID
