from __future__ import annotations

import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from support.rasters import AFFINES, UTM

from geocc.scene import PixelWindow, plan_tiles, window_polygons

scales = st.floats(0.1, 100).flatmap(lambda size: st.sampled_from([size, -size]))
affines = st.builds(
    lambda angle, sx, sy, shear, x, y: (
        Affine.translation(x, y) @ Affine.rotation(angle) @ Affine.shear(shear, 0) @ Affine.scale(sx, sy)
    ),
    st.floats(-180, 180), scales, scales, st.floats(-40, 40), st.floats(1e5, 9e5), st.floats(0, 9e6),
)  # fmt: skip


def corners_by_hand(affine, window):
    """Oracle: each corner by the six coefficients, without affine's or odc-geo's own product."""
    a, b, c, d, e, f = affine[:6]
    corners = [(0, 0), (window.width, 0), (window.width, window.height), (0, window.height)]
    pixels = [(window.col + dx, window.row + dy) for dx, dy in corners]
    return np.array([(a * col + b * row + c, d * col + e * row + f) for col, row in pixels])


def assert_corners(polygon, affine, window, tolerance_px=1e-6):
    found = np.array(polygon.exterior.coords)[:4]
    size = min(np.hypot(affine.a, affine.d), np.hypot(affine.b, affine.e))
    assert np.abs(found - corners_by_hand(affine, window)).max() <= tolerance_px * size


@given(affine=affines, tile=st.integers(4, 40), height=st.integers(1, 100), width=st.integers(1, 100))
def test_footprints_are_the_affine_times_the_pixel_corners(affine, tile, height, width):
    plan = plan_tiles(GeoBox((height, width), affine, UTM), tile_size=tile)
    for polygon, window in zip(plan.footprints(), plan, strict=True):
        assert_corners(polygon, affine, window)


@pytest.mark.parametrize("kind", AFFINES)
def test_footprints_of_a_grid_cover_it_without_gap_or_overlap(kind):
    geobox = GeoBox((40, 60), AFFINES[kind], UTM)
    footprints = plan_tiles(geobox, tile_size=20).footprints()
    whole = shapely.Polygon(corners_by_hand(AFFINES[kind], PixelWindow(0, 0, 40, 60)))
    assert footprints.union_all().symmetric_difference(whole).area < 1e-6 * whole.area
    assert footprints.area.sum() == pytest.approx(whole.area)
    assert footprints.crs.to_epsg() == 32632


def test_no_windows_make_no_polygons():
    none = np.zeros(0, int)
    assert window_polygons(
        GeoBox((4, 4), AFFINES["north-up"], UTM), row=none, col=none, height=none, width=none
    ).shape == (0,)
