from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone

import pandas as pd
import pytest
from table.standins import METADATA, make_layer, make_plan, make_results

from geocc.errors import InputError, MissingCRSError
from geocc.table import COLUMNS, TileResult, TileStatus, build_layer
from geocc.table.schema import DTYPES


def test_one_row_per_planned_tile_in_plan_order():
    plan = make_plan(3, 4)
    layer = build_layer(plan, reversed(make_results(plan)))
    assert tuple(layer.columns) == COLUMNS
    assert list(layer.tile_id) == plan.tile_ids
    assert layer.row.tolist() == plan.row.tolist()
    assert layer.col.tolist() == plan.col.tolist()
    assert layer.geometry.geom_equals(plan.footprints()).all()
    assert {name: str(dtype) for name, dtype in layer.dtypes.items() if name in DTYPES} == DTYPES


def test_values_arrive_where_they_belong(layer):
    ok, nodata, unchanged, failed = (layer.iloc[index] for index in range(4))
    assert (ok.status, ok.changed, ok.confidence) == ("ok", True, 1.0)
    assert ok.caption.startswith("tile 0:")
    assert nodata[["caption", "changed", "change_probability", "error"]].isna().all()
    assert (unchanged.status, unchanged.changed, unchanged.change_probability) == ("skipped_unchanged", False, 0.4)
    assert failed.error == "CaptionError: no room on the device"


def test_metadata_name_model_crs_and_grid(layer):
    found = layer.attrs["geocc"]
    assert found == METADATA | {
        "crs": "EPSG:26914",
        "grid": {"height": 20, "width": 30, "affine": [30.0, 0.0, 500_000.0, 0.0, -30.0, 4_000_000.0]},
        "schema_version": 1,
    }
    assert json.loads(json.dumps(found)) == found


@pytest.mark.parametrize(
    "operation",
    [
        lambda layer: layer[layer.changed.fillna(value=False)],
        lambda layer: layer.to_crs("EPSG:4326"),
        lambda layer: layer.sort_values("change_probability"),
        lambda layer: layer.assign(area=layer.area),
        lambda layer: layer.drop(columns="error"),
        lambda layer: layer.copy(),
        lambda layer: layer.clip(layer.total_bounds),
        lambda layer: layer.reset_index(),
        lambda layer: pd.concat([layer[:3], layer[3:]]),
    ],
)
def test_metadata_survive_everyday_operations(layer, operation):
    assert operation(layer).attrs == layer.attrs


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda results: results[1:], "no result for 1 tiles, the first 'r00000c00000'"),
        (lambda results: [*results, results[2]], "more than one result for 1 tiles, the first 'r00000c00020'"),
        (
            lambda results: [*results, TileResult(tile_id="elsewhere", status=TileStatus.SKIPPED_NODATA)],
            "unplanned 1 tiles, the first 'elsewhere'",
        ),
        (lambda _: [], "no result for 6 tiles"),
    ],
)
def test_results_that_do_not_match_the_plan_are_refused(change, message):
    plan = make_plan()
    with pytest.raises(InputError, match=message):
        build_layer(plan, change(make_results(plan)))


def test_a_plan_without_crs_is_refused():
    class Plan:
        geobox = type("GeoBox", (), {"crs": None})

    with pytest.raises(MissingCRSError, match="write_crs"):
        build_layer(Plan(), [])


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, pd.NaT),
        (pd.NaT, pd.NaT),
        ("2009-07-15", pd.Timestamp("2009-07-15")),
        (datetime(2009, 7, 15, 12, tzinfo=UTC), pd.Timestamp("2009-07-15T12:00")),
        (datetime(2009, 7, 15, 1, tzinfo=timezone(timedelta(hours=2))), pd.Timestamp("2009-07-14T23:00")),
        ("2020-06-30T17:04:05.123999Z", pd.Timestamp("2020-06-30T17:04:05.123")),
        (pd.Timestamp("2020-06-30"), pd.Timestamp("2020-06-30")),
    ],
)
def test_dates_are_utc_to_the_millisecond(given, expected):
    layer = make_layer(t1=given)
    assert str(layer.t1.dtype) == "datetime64[ms]"
    assert layer.t1.isna().all() if expected is pd.NaT else layer.t1.eq(expected).all()


def test_what_is_no_date_is_refused():
    with pytest.raises(InputError, match="'yesterday-ish' is not a date"):
        make_layer(t2="yesterday-ish")


def test_captions_and_errors_are_cleaned_and_errors_hide_secrets():
    plan = make_plan(1, 2)
    first, second = plan.tile_ids
    layer = build_layer(
        plan,
        [
            TileResult(tile_id=first, status=TileStatus.OK, caption="a\u202eb\x00\nc", changed=True),
            TileResult(tile_id=second, status=TileStatus.FAILED, error="no https://u:pw@h/a.tif?sig=x\nthere"),
        ],
    )
    assert layer.caption[0] == "ab c"
    assert layer.error[1] == "no https://***@h/a.tif?*** there"


def test_the_table_needs_no_torch():
    code = "import sys; import geocc.table as t; [getattr(t, n) for n in t.__all__]; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
