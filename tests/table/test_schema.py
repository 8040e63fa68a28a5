from __future__ import annotations

import geopandas as gpd
import pandas as pd
import pytest

from geocc.errors import InputError, MissingCRSError
from geocc.table import COLUMNS, TileResult, TileStatus, restore_dtypes, validate_layer

OK = {"tile_id": "a", "status": TileStatus.OK, "caption": "a road", "changed": True}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"status": "done"}, "expected one of ok, skipped_nodata"),
        ({"caption": None}, "both are needed"),
        ({"changed": None}, "both are needed"),
        ({"status": TileStatus.SKIPPED_NODATA}, "neither may be given"),
        ({"error": "why"}, "goes with status 'failed'"),
        ({"status": TileStatus.FAILED, "caption": None, "changed": None}, "goes with status 'failed'"),
        ({"change_probability": 1.5}, "change_probability 1.5: expected 0 to 1"),
        ({"confidence": -0.1}, "confidence -0.1"),
    ],
)
def test_a_result_does_not_contradict_itself(given, message):
    with pytest.raises(InputError, match=message):
        TileResult(**(OK | given))


def test_a_status_may_be_given_as_text():
    assert TileResult(**(OK | {"status": "ok"})).status is TileStatus.OK


def test_a_built_layer_and_its_selections_are_valid(layer):
    validate_layer(layer)
    validate_layer(layer[layer.changed.fillna(value=False)])
    validate_layer(layer[:0])
    validate_layer(layer.assign(area_ha=layer.area / 10_000))
    validate_layer(layer.to_crs("EPSG:4326"))


def _without_crs(layer):
    return layer.set_crs(None, allow_override=True)


@pytest.mark.parametrize(
    ("spoil", "error", "message"),
    [
        (pd.DataFrame, InputError, "got a DataFrame, expected a geopandas.GeoDataFrame"),
        (lambda layer: layer.drop(columns=["row", "status"]), InputError, "lacks row, status"),
        (lambda layer: layer.rename_geometry("geom"), InputError, "lacks geometry"),
        (lambda layer: layer.assign(centre=layer.centroid), InputError, "centre too"),
        (_without_crs, MissingCRSError, "set_crs"),
        (lambda layer: layer.assign(changed=layer.changed.astype("object")), InputError, "restore_dtypes"),
        (lambda layer: layer.assign(tile_id=pd.array(["a"] * 6, "string")), InputError, "6 of 6|5 of 6"),
        (lambda layer: layer.assign(tile_id=pd.array([None, *"bcdef"], "string")), InputError, "tile_id is missing"),
        (lambda layer: layer.assign(status=pd.array(["ok"] * 6, "string")), InputError, "caption and changed go with"),
        (lambda layer: layer.assign(status=pd.array(["odd"] * 6, "string")), InputError, "status is none of"),
        (lambda layer: layer.assign(error=pd.array(["e"] * 6, "string")), InputError, "error text goes with"),
        (lambda layer: layer.assign(confidence=2.0), InputError, "must be 0 to 1"),
        (lambda layer: layer.assign(caption=layer.caption + "\x00"), InputError, "clean_caption"),
        (lambda layer: layer.set_geometry(layer.centroid), InputError, "not a polygon"),
    ],
)
def test_a_spoilt_layer_is_refused_with_the_remedy(layer, spoil, error, message):
    with pytest.raises(error, match=message):
        validate_layer(spoil(layer))


def test_dtypes_lost_on_the_way_come_back(layer):
    plain = gpd.GeoDataFrame(
        {
            name: layer[name].astype("object").where(layer[name].notna(), None)
            for name in reversed(COLUMNS)
            if name != "geometry"
        },
        geometry=layer.geometry,
    ).assign(extra=1)
    restored = restore_dtypes(plain)
    assert list(restored.columns) == [*COLUMNS[:-1], "extra", "geometry"]
    pd.testing.assert_frame_equal(
        pd.DataFrame(restored.drop(columns=["geometry", "extra"])), pd.DataFrame(layer.drop(columns="geometry"))
    )


@pytest.mark.parametrize(
    ("column", "value"), [("changed", "maybe"), ("row", "north"), ("confidence", "high"), ("t1", "x")]
)
def test_values_of_another_kind_are_refused(layer, column, value):
    with pytest.raises(InputError, match=f"column '{column}' cannot be brought to"):
        restore_dtypes(layer.assign(**{column: value}))
