from __future__ import annotations

import pandas as pd
import pytest
from table.standins import METADATA, make_layer, make_plan
from views.standins import Pair, make_changes, make_geobox

from geocc.errors import InputError
from geocc.views.summary import by_change, flattened, kind_of, plural, summarize, text_of


def test_counts_dates_and_model():
    summary = summarize(make_layer(make_plan(2, 4)))
    assert (summary.tiles, summary.changed, summary.unchanged, summary.nodata, summary.failed) == (8, 2, 2, 2, 2)
    assert (summary.t1, summary.t2, summary.model) == ("2009-07-15", "2020-06-30 17:04", "geocc-mini")


def test_the_pair_tells_the_dates_where_the_layer_does_not():
    pair = Pair(make_geobox())
    pair.t1_label = pd.Timestamp("2001-02-03")
    layer = make_layer(t1=None, t2=None, metadata={})
    assert summarize(layer, pair).t1 == "2001-02-03"
    assert summarize(layer, pair).t2 == ""
    assert summarize(layer).model == ""


@pytest.mark.parametrize("metadata", [{"captioner": {"name": "x"}}, {"model": {"id": "x"}}, {"model": "x"}])
def test_the_model_is_found_where_it_may_be(metadata):
    assert summarize(make_layer(metadata=metadata)).model == "x"


def test_the_most_probable_change_comes_first_and_what_has_no_answer_last():
    ordered = by_change(make_layer(make_plan(2, 4)))
    assert [kind_of(row) for row in ordered.itertuples()] == ["changed"] * 2 + ["unchanged"] * 2 + [
        "nodata",
        "failed",
    ] * 2
    assert ordered.change_probability[:2].is_monotonic_decreasing
    assert text_of(next(ordered[4:].itertuples())).startswith("Not captioned")
    assert text_of(next(ordered[5:].itertuples())) == "CaptionError: no room on the device"


def test_without_probabilities_the_order_is_that_of_rows_and_columns():
    layer = make_changes(make_geobox(), probability=float("nan"))
    assert list(by_change(layer.sample(frac=1, random_state=0)).tile_id) == list(layer.tile_id)


def test_what_is_no_layer_is_refused():
    with pytest.raises(InputError, match=r"expected a geopandas\.GeoDataFrame"):
        by_change(None)


def test_metadata_become_lines():
    lines = dict(flattened(METADATA | {"empty": {}, "list": [1, 2]}))
    assert lines["model.id"] == "geocc-mini"
    assert lines["parameters.scale"] == ""
    assert lines["list"] == "1, 2"


def test_plural():
    assert [plural(number, "tile") for number in (0, 1, 2000)] == ["0 tiles", "1 tile", "2,000 tiles"]
