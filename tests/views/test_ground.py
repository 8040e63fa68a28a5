from __future__ import annotations

import math

import numpy as np
import pytest
import shapely
from affine import Affine
from odc.geo.geobox import GeoBox
from views.standins import make_changes, make_geobox

from geocc.errors import MissingCRSError
from geocc.views.ground import footprints_on, ground_of


def test_utm_pixels_have_their_size_and_north_is_up():
    ground = ground_of(make_geobox())
    assert ground.pixel_width_m == pytest.approx(2.0, rel=1e-3)
    assert ground.aspect == pytest.approx(1.0, rel=1e-3)
    assert ground.north == pytest.approx((0, -1), abs=1e-3)
    assert ground.place == "36.144°N 98.999°W"


def test_degrees_of_longitude_shrink_with_latitude():
    ground = ground_of(GeoBox((100, 100), Affine(0.001, 0, 10, 0, -0.001, 60.05), "EPSG:4326"))
    assert ground.pixel_height_m == pytest.approx(111.4, rel=0.01)
    assert ground.aspect == pytest.approx(1 / math.cos(math.radians(60)), rel=0.01)


def test_north_turns_with_the_grid_and_with_the_meridian():
    turned = ground_of(make_geobox(affine=Affine(1.6, 1.2, 500_000, 1.2, -1.6, 4_000_000)))
    assert turned.north == pytest.approx((0.6, -0.8), abs=1e-3)
    # On the meridian of 45 degrees east, EPSG:3413, whose middle is 45 west, has north to the left.
    polar = ground_of(GeoBox((10, 10), Affine(100, 0, 1_000_000, 0, -100, 500), "EPSG:3413"))
    assert polar.north == pytest.approx((-1, 0), abs=1e-3)


@pytest.mark.parametrize("crs", ["EPSG:26914", "EPSG:4326"])
def test_footprints_are_brought_to_pixels_from_any_crs(crs):
    geobox = make_geobox(20, 30, affine=Affine(1.6, 1.2, 500_000, 1.2, -1.6, 4_000_000))
    shapes = footprints_on(make_changes(geobox).to_crs(crs), geobox)
    expected = [shapely.box(col, row, col + 10, row + 10) for row in (0, 10) for col in (0, 10, 20)]
    np.testing.assert_allclose(shapely.hausdorff_distance(shapes, expected), 0, atol=1e-4)


def test_a_grid_without_crs_is_refused():
    with pytest.raises(MissingCRSError, match="write_crs"):
        ground_of(GeoBox((10, 10), Affine.identity(), None))
