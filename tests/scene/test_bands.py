from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from rasterio.enums import ColorInterp
from support.rasters import encode, grid, scene, write

from geocc.errors import BandError
from geocc.scene import PixelWindow, open_pair

WINDOW = PixelWindow(0, 0, 4, 4)


def first_pixel(data, **arguments):
    """Red, green and blue of the first pixel of t1."""
    return open_pair(data, data, **arguments).read(WINDOW).image[0, :, 0, 0].tolist()


def numbered(count=3, **arguments):
    """A scene whose band i holds i everywhere, counted from 1."""
    geobox = grid(4, 4)
    return scene(
        geobox, np.ones((count, 4, 4), np.uint8) * np.arange(1, count + 1, dtype=np.uint8)[:, None, None], **arguments
    )


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        (("blue", "green", "red"), None),
        (("B", "G", "R"), None),
        (("B02", "B03", "B04"), None),
        (("B02", "B03", "B04"), ("red", "green", "blue")),
        (("blue", "green", "red"), ("b04", "B03", "B02")),
        (("swir", "nir", "pan"), ("PAN", "nir", "swir")),
        (None, (3, 2, 1)),
        (None, [np.int64(3), 2, 1]),
        (("red", "green", "blue"), (3, 2, 1)),
    ],
)
def test_bands_by_name_alias_or_number(names, wanted):
    assert first_pixel(numbered(names=names), bands=wanted) == [3, 2, 1]


def test_the_first_three_of_four_nameless_bands():
    assert first_pixel(numbered(4)) == [1, 2, 3]


def test_one_band_for_all_three():
    assert first_pixel(numbered(1), bands=(1, 1, 1)) == [1, 1, 1]


def test_a_choice_for_each_date():
    pair = open_pair(numbered(), numbered(4), bands=((1, 2, 3), (4, 3, 2)))
    assert pair.read(WINDOW).image[:, :, 0, 0].tolist() == [[1, 2, 3], [4, 3, 2]]
    pair = open_pair(numbered(), numbered(4), bands=(None, (4, 3, 2)))
    assert pair.read(WINDOW).image[:, :, 0, 0].tolist() == [[1, 2, 3], [4, 3, 2]]


def test_long_names_of_a_data_array_name_its_bands():
    data = numbered().assign_attrs(long_name=("blue", "green", "red"))
    assert first_pixel(data) == [3, 2, 1]


def test_dataset_variables_are_bands():
    data = numbered()
    dataset = xr.Dataset({name: data.isel(band=i, drop=True) for i, name in enumerate(("B02", "B03", "B04"))})
    assert first_pixel(dataset) == [3, 2, 1]
    assert first_pixel(dataset, bands=(1, 1, 2)) == [1, 1, 2]
    assert open_pair(dataset, dataset).describe()["t1"]["bands"] == ["B04", "B03", "B02"]


def test_dataset_long_names_name_its_bands():
    data = numbered()
    dataset = xr.Dataset({f"band_{i + 1}": data.isel(band=i, drop=True) for i in range(3)})
    for i, name in enumerate(("blue", "green", "red")):
        dataset[f"band_{i + 1}"].attrs["long_name"] = name
    assert first_pixel(dataset) == [3, 2, 1]


def test_file_descriptions_and_colours_name_bands(tmp_path):
    values = np.ones((4, 4, 4), np.uint8) * np.arange(1, 5, dtype=np.uint8)[:, None, None]
    described = write(tmp_path / "described.tif", grid(4, 4), values, descriptions=("nir", "Blue", "Green", "Red"))
    assert first_pixel(described) == [4, 3, 2]
    assert first_pixel(described, bands=("nir", "red", "green")) == [1, 4, 3]
    colours = [ColorInterp.blue, ColorInterp.green, ColorInterp.red, ColorInterp.undefined]
    assert first_pixel(write(tmp_path / "coloured.tif", grid(4, 4), values, colorinterp=colours)) == [3, 2, 1]
    assert first_pixel(write(tmp_path / "plain.tif", grid(4, 4), values)) == [1, 2, 3]


@pytest.mark.parametrize(
    ("data", "bands", "match"),
    [
        (numbered(1), None, r"t1 \(.*1 band.*bands=\(1, 1, 1\)"),
        (numbered(2), None, r"bands=\(1, 1, 1\)"),
        (numbered(5), None, "does not say which"),
        (numbered(names=("green", "red", "nir")), None, "1: green, 2: red, 3: nir"),
        (numbered(), (1, 2, 4), r"no band 4.*3 bands"),
        (numbered(), (0, 1, 2), "counted from 1"),
        (numbered(names=("red", "green", "blue")), ("red", "green", "bleu"), "did you mean 'blue'"),
        (numbered(names=("a", "b", "c")), ("red", "green", "blue"), "by number"),
        (numbered(), (1, 2), "does not name red, green and blue"),
        (numbered(), "rgb", "does not name red, green and blue"),
        (numbered(), (1, 2, 3.5), "does not name red, green and blue"),
        (numbered(), (True, 2, 3), "does not name red, green and blue"),
    ],
)
def test_bands_that_are_not_there_are_refused(data, bands, match):
    with pytest.raises(BandError, match=match):
        open_pair(data, data, bands=bands)


def test_a_dataset_without_rasters_has_no_bands():
    dataset = xr.Dataset({"rain": ("station", [1.0, 2.0])})
    with pytest.raises(BandError, match="rain"):
        open_pair(dataset, dataset)


def test_the_message_names_the_date():
    with pytest.raises(BandError, match=r"^t2 "):
        open_pair(scene(grid(4, 4)), scene(grid(4, 4), encode(grid(4, 4))[:1]))
