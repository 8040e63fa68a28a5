from __future__ import annotations

import dask
import dask.array
import numpy as np
import pandas as pd
import pytest
import rioxarray
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox
from support.rasters import AFFINES, UTM, CountingScheduler, decode, encode, grid, no_compute, scene, write

from geocc.errors import InputError, MissingCRSError, ReadError
from geocc.scene import PixelWindow, open_pair, plan_tiles


def tile_list(pair, size=12):
    """Every tile of a pair with the corners of its footprint."""
    plan = plan_tiles(pair, tile_size=size)
    corners = [np.round(polygon.exterior.coords, 6).tolist() for polygon in plan.footprints()]
    return plan.tile_ids.tolist(), corners, np.stack([pair.read(window).image for window in plan])


@pytest.mark.parametrize("names", [("y", "x"), ("lat", "lon"), ("latitude", "longitude")])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("flip_x", [False, True])
@pytest.mark.parametrize("flip_y", [False, True])
def test_orientation_changes_neither_pixels_nor_ground(names, transposed, flip_x, flip_y):
    geobox = GeoBox((29, 41), Affine(0.001, 0, 9.0, 0, -0.001, 47.0), "EPSG:4326")
    plain = scene(geobox)
    expected = tile_list(open_pair(plain, plain))
    turned = plain.rename({plain.dims[1]: names[0], plain.dims[2]: names[1]})
    turned = turned.isel(
        {names[0]: slice(None, None, -1 if flip_y else 1), names[1]: slice(None, None, -1 if flip_x else 1)}
    )
    turned = turned.transpose(names[1], "band", names[0]) if transposed else turned
    for pair in (open_pair(turned, turned), open_pair(plain, turned)):
        found = tile_list(pair)
        assert found[0] == expected[0]
        np.testing.assert_allclose(found[1], expected[1], atol=1e-9)
        assert (found[2] == expected[2]).all()


@pytest.mark.parametrize("kind", ["rotated", "sheared"])
def test_rotated_arrays_of_rioxarray_keep_their_place_when_cut(kind, tmp_path):
    geobox = grid(30, 40, kind=kind)
    data = rioxarray.open_rasterio(write(tmp_path / "t.tif", geobox))
    pair = open_pair(data, data)
    np.testing.assert_allclose(pair.geobox.affine[:6], geobox.affine[:6])
    cut = data.isel(y=slice(10, 25), x=slice(5, 30))
    pair = open_pair(data, cut)
    np.testing.assert_allclose(pair.geobox.affine[:6], geobox[10:25, 5:30].affine[:6])
    rows, cols = decode(pair.read(PixelWindow(0, 0, 15, 25)).image[1])
    assert (rows[0, 0], cols[0, 0], rows[-1, -1], cols[-1, -1]) == (10, 5, 24, 29)


@pytest.mark.parametrize("kind", AFFINES)
def test_arrays_of_odc_geo_keep_their_place_when_cut(kind):
    geobox = grid(30, 40, kind=kind)
    data = scene(geobox)
    y, x = data.dims[1:]
    pair = open_pair(data, data.isel({y: slice(10, 25), x: slice(5, 30)}))
    tile = pair.read(PixelWindow(0, 0, 15, 25))
    assert (tile.image[0] == tile.image[1]).all()
    assert (tile.image[1] == encode(geobox)[:, 10:25, 5:30][:, :: -1 if kind == "south-up" else 1]).all()


def test_coordinates_without_geotransform_are_enough():
    data = scene(grid(10, 12)).drop_vars("spatial_ref").rio.write_crs(UTM)
    data.spatial_ref.attrs.pop("GeoTransform", None)
    assert open_pair(data, data).geobox == grid(10, 12)


def test_geotransform_without_coordinates_is_enough():
    data = scene(grid(10, 12)).drop_vars(["x", "y"])
    assert open_pair(data, data).geobox == grid(10, 12)
    bare = xr.DataArray(np.zeros((3, 4, 4), np.uint8), dims=("band", "y", "x")).rio.write_crs(UTM)
    with pytest.raises(InputError, match="write_transform"):
        open_pair(bare, bare)


def test_a_single_row_takes_its_size_from_the_geotransform():
    data = scene(grid(10, 12)).isel(y=slice(3, 4))
    assert open_pair(data, data).geobox == grid(10, 12)[3:4, :]
    data.spatial_ref.attrs.pop("GeoTransform")
    with pytest.raises(InputError, match="one pixel long along 'y'"):
        open_pair(data, data)


def test_uneven_coordinates_are_refused():
    data = scene(grid(10, 12))
    data = data.assign_coords(x=data.x.to_numpy() + np.arange(12.0) ** 2)
    with pytest.raises(InputError, match="uneven coordinate 'x'"):
        open_pair(data, data)


def test_one_time_is_squeezed_and_dates_the_scene():
    t1 = scene(grid(8, 8)).expand_dims(time=[np.datetime64("2009-08-18", "ns")])
    pair = open_pair(t1, scene(grid(8, 8), time="2020-08-31"))
    assert (pair.t1_label, pair.t2_label) == (pd.Timestamp("2009-08-18"), pd.Timestamp("2020-08-31"))
    undated = open_pair(scene(grid(8, 8)), scene(grid(8, 8)))
    assert (undated.t1_label, undated.t2_label) == (None, None)


def test_a_stack_of_times_is_refused_with_the_remedy():
    stack = xr.concat([scene(grid(8, 8), time=day) for day in ("2009-08-18", "2020-08-31")], dim="time")
    with pytest.raises(InputError, match=r"t2 .*2 times.*ds\.isel\(time=0\)"):
        open_pair(scene(grid(8, 8)), stack)


def test_dimensions_that_are_no_raster_are_refused():
    data = scene(grid(8, 8))
    with pytest.raises(InputError, match="level"):
        open_pair(data.expand_dims(level=2), data)
    with pytest.raises(InputError, match="set_spatial_dims"):
        open_pair(data.rename(x="a", y="b").drop_vars(["a", "b"]), data)


@pytest.mark.parametrize("date", ["t1", "t2"])
def test_a_missing_crs_is_named_with_its_date(date):
    data = scene(grid(8, 8))
    bare = data.drop_vars("spatial_ref")
    bare.encoding.clear()
    bare.attrs.clear()
    with pytest.raises(MissingCRSError, match=rf'^{date} .*ds\.rio\.write_crs\("EPSG:'):
        open_pair(*((bare, data) if date == "t1" else (data, bare)))


def test_a_numpy_array_is_refused():
    with pytest.raises(InputError, match=r"t1 is a ndarray.*rioxarray\.open_rasterio"):
        open_pair(np.zeros((3, 4, 4), np.uint8), scene(grid(4, 4)))


@pytest.mark.parametrize("align", ["error", "t1", "t2"])
def test_opening_and_planning_compute_nothing(align):
    geobox = grid(300, 400)
    shift = geobox if align == "error" else geobox.translate_pix(0.4, 0.3)
    t1, t2 = (scene(box, chunks={"x": 64, "y": 64}) for box in (geobox, shift))
    with dask.config.set(scheduler=no_compute):
        pair = open_pair(t1, t2, align=align)
        assert len(plan_tiles(pair, tile_size=64).footprints()) > 20
        pair.describe()
        repr(pair)


def test_a_read_computes_only_the_chunks_under_it():
    made = []

    def block(block_info=None):
        location = block_info[None]["chunk-location"]
        made.append(location[1:])
        return np.zeros(block_info[None]["chunk-shape"], np.uint8)

    geobox = grid(320, 320)
    lazy = dask.array.map_blocks(
        block, chunks=((3,), (64,) * 5, (64,) * 5), dtype=np.uint8, meta=np.zeros((0, 0, 0), np.uint8)
    )
    t1 = scene(geobox).copy(data=lazy)
    pair = open_pair(t1, scene(geobox))
    pair.read(PixelWindow(64, 128, 64, 64))
    assert made == [(1, 2)]


def test_dataset_bands_are_computed_together():
    data = scene(grid(40, 40), chunks={"x": 20, "y": 20})
    dataset = xr.Dataset({name: data.isel(band=i, drop=True) for i, name in enumerate(("red", "green", "blue"))})
    pair, scheduler = open_pair(dataset, dataset), CountingScheduler()
    with dask.config.set(scheduler=scheduler):
        tile = pair.read(PixelWindow(10, 10, 20, 20))
    assert scheduler.computes == 2
    assert (tile.image[0] == encode(grid(40, 40))[:, 10:30, 10:30]).all()


def test_dask_and_numpy_read_the_same():
    data = scene(grid(50, 60))
    plain, lazy = open_pair(data, data), open_pair(data.chunk({"x": 13, "y": 17}), data)
    window = PixelWindow(5, 7, 30, 40)
    assert (plain.read(window).image == lazy.read(window).image).all()


def test_nodata_comes_from_attributes_encoding_or_argument():
    values = encode(grid(8, 8), row=1, col=1)
    values[:, 0, 0] = 200
    for t1, nodata in (
        (scene(grid(8, 8), values, nodata=200), None),
        (scene(grid(8, 8), values), (200, None)),
        (scene(grid(8, 8), values).assign_attrs(_FillValue=200), None),
        (scene(grid(8, 8), values, nodata=7), 200),
    ):
        valid = open_pair(t1, scene(grid(8, 8), values), nodata=nodata).read(PixelWindow(0, 0, 8, 8)).valid
        assert valid.sum() == 63
        assert not valid[0, 0]
    with pytest.raises(InputError, match="one per date"):
        open_pair(t1, t1, nodata=(1, 2, 3))


def test_a_decoded_nodata_attribute_still_counts():
    values = encode(grid(8, 8), row=1, col=1).astype("float64")
    values[:, 0, 0] = 0
    data = scene(grid(8, 8), values).assign_attrs(nodata=0.0)
    data.encoding["_FillValue"] = np.nan
    assert open_pair(data, data).read(PixelWindow(0, 0, 8, 8)).valid.sum() == 63


def test_a_failed_compute_names_date_and_window():
    def fail(_block):
        raise OSError("disk on fire at https://me:secret@host/a?sig=1")

    data = scene(grid(40, 40), chunks={"x": 20, "y": 20})
    broken = data.copy(data=dask.array.map_blocks(fail, data.data, dtype=np.uint8, meta=np.zeros((0, 0, 0), np.uint8)))
    pair = open_pair(data, broken)
    with pytest.raises(ReadError, match=r"^t2 .*rows 0 to 10, columns 20 to 30.*disk on fire") as caught:
        pair.read(PixelWindow(0, 20, 10, 10))
    assert "secret" not in str(caught.value)
