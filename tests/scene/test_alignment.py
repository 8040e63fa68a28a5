from __future__ import annotations

import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from support.rasters import UTM, encode, grid, scene, write

from geocc.errors import AlignmentError, InputError, MissingCRSError, NoOverlapError
from geocc.scene import PixelWindow, open_pair, plan_tiles

WKT1 = grid(1, 1).crs.to_wkt(version="WKT1_GDAL")
WHOLE = PixelWindow(0, 0, 10_000, 10_000)


def pixels(pair):
    height, width = pair.geobox.shape
    return pair.read(PixelWindow(0, 0, height, width))


@given(row=st.integers(-30, 30), col=st.integers(-30, 30), kind=st.sampled_from(["north-up", "rotated", "sheared"]))
def test_whole_pixel_shifts_are_cropped_to_the_common_ground(row, col, kind):
    t1, t2 = grid(40, 50, kind=kind), grid(45, 48, kind=kind).translate_pix(col, row)
    pair = open_pair(scene(t1), scene(t2, encode(t2, row=row % 241, col=col % 251)))
    top, left = max(row, 0), max(col, 0)
    bottom, right = min(40, row + 45), min(50, col + 48)
    assert pair.geobox == t1[top:bottom, left:right]
    tile = pixels(pair)
    assert tile.valid.all()
    assert (tile.image[0] == encode(t1)[:, top:bottom, left:right]).all()
    inside = (slice(None), slice(top - row, bottom - row), slice(left - col, right - col))
    assert (tile.image[1] == encode(t2, row=row % 241, col=col % 251)[inside]).all()
    assert not any(pair.describe()[date]["warped"] for date in ("t1", "t2"))


@pytest.mark.parametrize("align", ["error", "t1", "t2"])
def test_one_grid_written_in_two_ways_is_one_grid(align):
    t1, t2 = scene(grid(20, 20)), scene(GeoBox((20, 20), grid(1, 1).affine, WKT1))
    pair = open_pair(t1, t2, align=align)
    assert not any(pair.describe()[date]["warped"] for date in ("t1", "t2"))
    assert (pixels(pair).image[0] == pixels(pair).image[1]).all()


def test_a_hundredth_of_a_pixel_is_no_difference():
    pair = open_pair(scene(grid(20, 20)), scene(grid(20, 20).translate_pix(0.009, -0.009)))
    assert pair.geobox == grid(20, 20)


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (grid(200, 200).translate_pix(0.5, 0), r"-?\+?0\.500 columns"),
        (GeoBox((100, 100), Affine(20, 0, 500_000, 0, -20, 5_000_000), UTM), "resolutions or orientations differ"),
        (grid(200, 200, kind="rotated"), "resolutions or orientations differ"),
        (GeoBox((200, 200), grid(1, 1).affine, "EPSG:25832"), "their CRS differ"),
    ],
)
def test_grids_that_differ_are_refused_with_both_and_the_remedy(other, reason):
    t1 = scene(grid(200, 200))
    with pytest.raises(AlignmentError, match=reason) as caught:
        open_pair(t1, scene(other))
    message = str(caught.value)
    assert not isinstance(caught.value, NoOverlapError)
    assert "CRS EPSG:32632, resolution (10, -10) metre, origin (500000, 5000000), 200 x 200 pixels" in message
    assert f"CRS EPSG:{other.crs.epsg}, resolution ({other.affine.a:.10g}, {other.affine.e:.10g}) metre" in message
    assert "lon 9.0" in message
    assert "lat 45." in message
    assert "% of t1" in message
    for remedy in ('align="t1"', "--align t1", "ds_t2.rio.reproject_match(ds_t1)"):
        assert remedy in message


def test_the_overlap_is_told_in_lonlat_and_shares():
    expected = r"overlap: lon 9\.00636 to 9\.01272, lat 45\.148.* to 45\.153.*; 24\.5% of t1, 49\.0% of t2"
    with pytest.raises(AlignmentError, match=expected):
        open_pair(scene(grid(100, 100)), scene(grid(50, 100).translate_pix(50.5, -0.5)))


@pytest.mark.parametrize("align", ["error", "t1", "t2"])
def test_disjoint_dates_are_refused_with_both_extents(align):
    far = GeoBox((20, 20), Affine(10, 0, 700_000, 0, -10, 5_000_000), UTM)
    with pytest.raises(NoOverlapError, match=r"(?s)t1 .*lon 9\.0.*lat 45\.1.*t2 .*lon 11\.5.*lat 45\.1"):
        open_pair(scene(grid(20, 20)), scene(far), align=align)


@pytest.mark.parametrize("shift", [(20, 0), (0, 20), (19.3, 0), (0, 19.3), (-19.3, 0), (19.3, 19.3)])
def test_less_than_a_pixel_is_no_overlap(shift):
    with pytest.raises(NoOverlapError):
        open_pair(scene(grid(20, 20)), scene(grid(20, 20).translate_pix(*shift)), align="t1")


def test_one_pixel_is_an_overlap():
    pair = open_pair(scene(grid(20, 20)), scene(grid(20, 20).translate_pix(19, 19)))
    assert pair.geobox.shape == (1, 1)


@pytest.mark.parametrize("kind", ["north-up", "rotated", "sheared"])
def test_the_common_grid_is_the_reference_cropped_on_its_own_lattice(kind):
    t1 = grid(80, 90, kind=kind)
    t2 = GeoBox((40, 40), Affine(10, 0, 500_200, 0, -10, 4_999_900), "EPSG:25832")
    pair = open_pair(scene(t1), scene(t2), align="t1")
    col, row = t1.wld2pix(*pair.geobox.pix2wld(0.0, 0.0))
    assert (col, row) == pytest.approx((round(col), round(row)), abs=1e-6)
    common = t1.extent.geom & t2.extent.geom  # both UTM 32: ETRS89 and WGS 84 differ by less than a millimetre here
    covered = plan_tiles(pair, tile_size=16).footprints().union_all()
    assert common.difference(covered).area < 1e-6 * common.area


def test_warping_to_t2_takes_the_grid_of_t2():
    t1, t2 = grid(60, 60), grid(60, 60).translate_pix(3.5, 4.25)
    pair = open_pair(scene(t1), scene(t2), align="t2")
    assert pair.geobox == t2[:56, :57]
    assert [pair.describe()[date]["warped"] for date in ("t1", "t2")] == [True, False]


def test_a_geobox_takes_both_dates():
    target = GeoBox((30, 30), Affine(20, 0, 500_105, 0, -20, 4_999_895), UTM)
    pair = open_pair(scene(grid(100, 100)), scene(grid(100, 100)), align=target)
    assert pair.geobox == target
    assert all(pair.describe()[date]["warped"] for date in ("t1", "t2"))
    assert pair.describe()["align"] == "geobox"
    tile = pixels(pair)
    assert tile.valid.all()
    assert (tile.image[0] == tile.image[1]).all()


def test_a_geobox_on_the_lattice_of_a_date_leaves_it_unwarped():
    target = grid(100, 100)[10:60, 20:70]
    pair = open_pair(scene(grid(100, 100)), scene(grid(100, 100).translate_pix(0.5, 0.5)), align=target)
    assert [pair.describe()[date]["warped"] for date in ("t1", "t2")] == [False, True]
    assert (pixels(pair).image[0] == encode(grid(100, 100))[:, 10:60, 20:70]).all()


def test_a_geobox_beside_the_scene_is_refused():
    beside = GeoBox((30, 30), Affine(20, 0, 700_000, 0, -20, 5_000_000), UTM)
    with pytest.raises(NoOverlapError, match="align= grid: lon 11"):
        open_pair(scene(grid(20, 20)), scene(grid(20, 20)), align=beside)


def test_impossible_arguments_are_refused():
    data = scene(grid(8, 8))
    with pytest.raises(InputError, match="align='t3'"):
        open_pair(data, data, align="t3")
    with pytest.raises(InputError, match=r"resampling='mode'.*nearest, bilinear"):
        open_pair(data, data, align="t1", resampling="mode")
    with pytest.raises(MissingCRSError, match="align="):
        open_pair(data, data, align=GeoBox((8, 8), grid(8, 8).affine, None))


def test_files_and_arrays_align_alike(tmp_path):
    t1, t2 = grid(70, 70), grid(70, 70).translate_pix(2.5, 1.25)
    files = open_pair(write(tmp_path / "t1.tif", t1), write(tmp_path / "t2.tif", t2), align="t1")
    arrays = open_pair(scene(t1), scene(t2, chunks={"x": 30, "y": 30}), align="t1")
    assert files.geobox == arrays.geobox
    assert (pixels(files).image == pixels(arrays).image).all()
    assert (pixels(files).valid == pixels(arrays).valid).all()


def test_across_the_antimeridian_the_extent_stays_narrow():
    east = GeoBox((100, 100), Affine(1000, 0, 750_000, 0, -1000, 50_000), "EPSG:32660")
    with pytest.raises(AlignmentError) as caught:
        open_pair(scene(east), scene(east.translate_pix(0.5, 0)))
    overlap = next(line for line in str(caught.value).splitlines() if "overlap" in line)
    west, east_edge = (float(part) for part in overlap.split("lon ")[1].split(",")[0].split(" to "))
    assert 0 < east_edge - west < 1.5


def test_shares_are_those_of_an_oracle():
    t1, t2 = grid(100, 100), grid(80, 80, kind="rotated").translate_pix(10.3, -20.7)
    common = shapely.area(t1.extent.geom & t2.extent.geom)
    expected = f"{common / t1.extent.geom.area:.1%} of t1, {common / t2.extent.geom.area:.1%} of t2"
    with pytest.raises(AlignmentError) as caught:
        open_pair(scene(t1), scene(t2))
    assert expected in str(caught.value)
    assert np.isfinite(common)


def test_a_shift_just_below_a_whole_pixel_reads_invalid_pixels_at_the_rim():
    pair = open_pair(scene(grid(20, 20)), scene(grid(20, 20).translate_pix(4.991, 0)))
    tile = pixels(pair)
    assert not any(pair.describe()[date]["warped"] for date in ("t1", "t2"))
    assert pair.geobox == grid(20, 20)[:, 4:]
    assert not tile.valid[:, 0].any()
    assert tile.valid[:, 1:].all()


@pytest.mark.parametrize("align", ["t1", "t2"])
def test_a_world_map_covers_a_utm_scene(align):
    world = GeoBox((1800, 3600), Affine(0.1, 0, -180, 0, -0.1, 90), "EPSG:4326")
    local = GeoBox((60, 60), Affine(1000, 0, 470_000, 0, -1000, 5_030_000), UTM)
    t1, t2 = (world, local) if align == "t2" else (local, world)
    pair = open_pair(
        scene(t1, np.ones((3, *t1.shape), "uint8")), scene(t2, np.ones((3, *t2.shape), "uint8")), align=align
    )
    assert pair.geobox == local
    assert pixels(pair).valid.all()


def test_a_part_of_a_world_map_is_found_too():
    north = GeoBox((900, 3600), Affine(0.1, 0, -180, 0, -0.1, 90), "EPSG:4326")
    local = GeoBox((100, 60), Affine(1000, 0, 470_000, 0, -1000, 50_000), UTM)  # half of it south of the equator
    pair = open_pair(
        scene(local, np.ones((3, 100, 60), "uint8")), scene(north, np.ones((3, 900, 3600), "uint8")), align="t1"
    )
    assert pair.geobox == local[:50, :]
