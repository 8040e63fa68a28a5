from __future__ import annotations

import pytest
import shapely
from affine import Affine
from table.standins import make_layer, make_plan

from geocc.table import read_layer, write_layer


@pytest.mark.parametrize(
    ("crs", "affine"),
    [
        pytest.param("EPSG:32660", Affine(1000, 0, 685_000, 0, -1000, 6_000_000), id="UTM zone 60"),
        pytest.param("EPSG:32601", Affine(1000, 0, 295_000, 0, -1000, 6_000_000), id="UTM zone 1"),
        pytest.param("EPSG:3413", Affine(10_000, 0, -103_000, 0, -10_000, 105_000), id="North Pole"),
        pytest.param("EPSG:3031", Affine(10_000, 0, -103_000, 0, -10_000, 105_000), id="South Pole"),
        pytest.param("EPSG:4326", Affine(0.1, 0, 179.05, 0, -0.1, 60), id="east of 180"),
        pytest.param("EPSG:4326", Affine(0.1, 0, -180.95, 0, -0.1, 60), id="west of -180"),
        pytest.param("EPSG:4326", Affine(0.1, 0, 179.95, 0, -0.1, 60), id="astride, and wholly beyond"),
    ],
)
def test_the_ground_is_the_same_across_the_antimeridian_and_the_poles(tmp_path, crs, affine):
    layer = make_layer(make_plan(2, 2, affine=affine, crs=crs))
    found = read_layer(write_layer(layer, tmp_path / "changes.geojson"))
    assert found.geometry.is_valid.all()
    assert (found.total_bounds >= [-180, -90, -180, -90]).all()
    assert (found.total_bounds <= [180, 90, 180, 90]).all()
    # Sides are dense here and the sphere's area is exact in the equal-area projection: an independent measure.
    true_area = layer.geometry.segmentize(affine.a / 2).to_crs("EPSG:3571" if crs == "EPSG:3413" else _equal_area(crs))
    assert found.geometry.to_crs("EPSG:6933").area.sum() == pytest.approx(true_area.area.sum(), rel=0.01)
    if crs not in {"EPSG:3413", "EPSG:3031"}:
        assert "MultiPolygon" in set(found.geom_type)
        widths = [
            part.bounds[2] - part.bounds[0] for shape in found.geometry for part in getattr(shape, "geoms", [shape])
        ]
        assert max(widths) < 2


def _equal_area(crs):
    pole = {"EPSG:3031": "+proj=laea +lat_0=-90"}.get(crs, "+proj=laea +lat_0=55 +lon_0=180")
    return f"{pole} +datum=WGS84"


def test_small_tiles_keep_four_corners(layer, tmp_path):
    found = read_layer(write_layer(layer, tmp_path / "changes.geojson"))
    assert (shapely.get_num_coordinates(found.geometry.to_numpy()) == 5).all()
