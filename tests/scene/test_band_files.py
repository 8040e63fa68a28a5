"""A date whose bands lie in files of their own: the same pixels as in one file."""

import numpy as np
import pytest
from support import rasters
from support.captioners import StubCaptioner
from typer.testing import CliRunner

import geocc
from geocc.cli import app as cli
from geocc.errors import AlignmentError, BandError, InputError
from geocc.scene import PixelWindow, open_pair, open_series

GRID = rasters.grid(96, 128)
NAMES = ("B04", "B03", "B02")
WHOLE = PixelWindow(0, 0, 96, 128)


def values(seed):
    found = np.random.default_rng(seed).integers(0, 4000, (3, 96, 128)).astype(np.uint16)
    found[:, :20, :30] = 0
    found[1, 40:50] = 0  # dark in one band is ground all the same
    return found


def date(folder, seed, *, grids=(GRID,) * 3, **options):
    """The bands of a date in three files."""
    folder.mkdir()
    pairs = zip(NAMES, values(seed), grids, strict=True)
    return [
        rasters.write(folder / f"T32_{name}.tif", grid, band[None], nodata=0, **options) for name, band, grid in pairs
    ]


@pytest.fixture
def dates(tmp_path):
    return [date(tmp_path / name, seed) for seed, name in enumerate(("t1", "t2"))]


@pytest.fixture
def joined(tmp_path):
    return [rasters.write(tmp_path / f"{i}.tif", GRID, values(i), nodata=0) for i in range(2)]


def test_the_pixels_are_those_of_one_file(dates, joined):
    bands = {"bands": (1, 2, 3)}
    for options in ({}, {"scale": (0, 3000)}):
        one, other = open_pair(*dates, **options).read(WHOLE), open_pair(*joined, **bands, **options).read(WHOLE)
        np.testing.assert_array_equal(one.image, other.image)
        np.testing.assert_array_equal(one.valid, other.valid)
    assert not one.valid[:20, :30].any()
    assert one.valid[40:50].all()


def test_bands_choose_among_the_files(dates, joined):
    picked = open_pair(dates[0][::-1], dates[1], bands=(("red", "b03", "T32_B02"), None))
    np.testing.assert_array_equal(picked.read(WHOLE).image, open_pair(*dates).read(WHOLE).image)
    swapped = open_pair(*dates, bands=(3, 2, 1), scale=(0, 4000))
    expected = open_pair(*joined, bands=(3, 2, 1), scale=(0, 4000))
    np.testing.assert_array_equal(swapped.read(WHOLE).image, expected.read(WHOLE).image)


def test_a_layer_is_that_of_one_file_and_a_changed_band_is_noticed(dates, joined, tmp_path):
    options = {"model": StubCaptioner(), "tile_size": 32, "progress": False, "batch_size": 2}
    layer = geocc.caption_changes(*dates, **options)
    assert layer.equals(geocc.caption_changes(*joined, bands=(1, 2, 3), **options))

    def stop(_done, _total):
        raise KeyboardInterrupt

    output = tmp_path / "changes.parquet"
    with pytest.raises(KeyboardInterrupt):
        geocc.caption_changes(*dates, **options | {"output": output, "progress": stop})
    with pytest.raises(InputError, match=r"inputs\.t1\.files"):
        geocc.caption_changes(dates[1], dates[1], output=output, resume=True, **options)


def test_a_series_takes_lists_of_files(dates):
    series = open_series([*dates, dates[0]], dates=["2009", "2010", "2020"])
    np.testing.assert_array_equal(series.read(WHOLE).images[1], open_pair(*dates).read(WHOLE).image[1])


def test_files_on_different_grids_are_named_with_their_grids(tmp_path, dates):
    coarse = rasters.GeoBox(GRID.shape, GRID.affine * GRID.affine.scale(2), GRID.crs)
    mixed = date(tmp_path / "mixed", 1, grids=(GRID, GRID, coarse))
    with pytest.raises(AlignmentError, match=r"(?s)not on one grid:.*B04.tif: CRS.*B02.tif: CRS.*gdalwarp"):
        open_pair(dates[0], mixed)


def test_what_is_no_triple_of_bands_is_refused(dates, joined):
    with pytest.raises(BandError, match="a list of 2 files; expected red, green and blue"):
        open_pair(dates[0][:2], dates[1])
    with pytest.raises(BandError, match="has 3 bands; expected one band in each"):
        open_pair(dates[0], [joined[1]] * 3)


def test_the_command_line_takes_three_files_with_commas(dates):
    cli.register_commands()
    done = CliRunner().invoke(cli.app, ["plan", *(",".join(paths) for paths in dates), "--tile-size", "32"])
    assert done.exit_code == 0, done.output
    assert "tiles            12" in done.output
