from __future__ import annotations

import geopandas as gpd
import pytest
from table.standins import make_layer, make_plan

from geocc.errors import InputError, WriteError
from geocc.table import write_footprints, write_layer
from geocc.table.build import plan_footprints


@pytest.mark.parametrize("suffix", [".gpkg", ".fgb", ".geojson"])
def test_a_plan_is_written_as_it_is(tmp_path, suffix):
    plan = make_plan(3, 4)
    found = gpd.read_file(write_footprints(plan, tmp_path / f"tiles{suffix}")).set_index("tile_id").loc[plan.tile_ids]
    assert found.row.tolist() == plan.row.tolist()
    assert found.col.tolist() == plan.col.tolist()
    if suffix != ".geojson":
        assert found.geometry.geom_equals(plan.footprints().set_axis(found.index)).all()


def test_a_plan_does_not_replace_a_result(tmp_path):
    path = write_layer(make_layer(), tmp_path / "changes.gpkg")
    with pytest.raises(WriteError, match="change_captions"):
        write_footprints(make_plan(), path)


def test_footprints_of_another_crs_or_number_are_refused():
    plan = make_plan()

    class Odd:
        geobox, tile_ids = plan.geobox, plan.tile_ids

        def __init__(self, footprints):
            self.footprints = lambda: footprints

    with pytest.raises(InputError, match="footprints are in EPSG:4326, its geobox in EPSG:26914"):
        plan_footprints(Odd(plan.footprints().to_crs("EPSG:4326")))
    with pytest.raises(InputError, match="6 tiles and 5 footprints"):
        plan_footprints(Odd(plan.footprints()[:5]))
