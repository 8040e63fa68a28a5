from __future__ import annotations

import geopandas as gpd
import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import Transformer
from views.standins import Pair, make_changes, make_geobox

from geocc.views import quicklook
from geocc.views.mercator import WebMercator

ASTRIDE = GeoBox((40, 60), Affine(1000.0, 0, 670_000, 0, -1000.0, 6_000_000), "EPSG:32660")
TURNED = make_geobox(affine=Affine(1.6, 1.2, 500_000, 1.2, -1.6, 4_000_000))


@pytest.mark.parametrize("geobox", [make_geobox(), TURNED, ASTRIDE])
def test_corners_are_where_proj_has_them_and_never_a_world_apart(geobox):
    layer = make_changes(geobox)
    plane = WebMercator.around(layer)
    corners = np.array(
        [corner for shape in plane.polygons(layer) for part in shape for ring in part for corner in ring]
    )
    assert np.ptp(corners[:, 1]) < 2
    truth = layer.geometry.to_crs("EPSG:4326").get_coordinates().to_numpy().reshape(-1, 5, 2)[:, :4].reshape(-1, 2)
    np.testing.assert_allclose(corners[:, 0], truth[:, 1], atol=1e-6)
    np.testing.assert_allclose((corners[:, 1] - truth[:, 0] + 180) % 360, 180, atol=1e-6)


@pytest.mark.parametrize("geobox", [make_geobox(), TURNED, ASTRIDE])
def test_pictures_lie_on_their_ground(geobox):
    pair = Pair(geobox)
    layer = make_changes(geobox)
    warped = WebMercator.around(layer).warp(quicklook(pair))
    (south, west), (north, east) = warped.bounds
    height, width = warped.valid.shape
    to_degrees = Transformer.from_crs(str(geobox.crs), "EPSG:4326", always_xy=True)
    to_web = Transformer.from_crs("EPSG:4326", "EPSG:3857", always_xy=True)
    a, b, c, d, e, f = tuple(geobox.affine)[:6]
    edges = [to_web.transform(0, latitude)[1] for latitude in (north, south)]
    for row, col in ((5, 5), (20, 30), (35, 55)):
        longitude, latitude = to_degrees.transform(a * col + b * row + c, d * col + e * row + f)
        x = ((longitude - west) % 360) / (east - west) * width
        y = (edges[0] - to_web.transform(0, latitude)[1]) / (edges[0] - edges[1]) * height
        found = warped.image[0, :2, int(y), int(x)]
        np.testing.assert_allclose(found, [row, col], atol=2)


def test_an_empty_layer_has_a_plane_too():
    assert WebMercator.around(gpd.GeoDataFrame(geometry=[], crs="EPSG:4326")).longitude == 0
