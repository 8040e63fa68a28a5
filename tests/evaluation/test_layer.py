"""A captioned layer against polygons of change, on a grid of 10 m tiles whose answers are known."""

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from shapely.geometry import box

from geocc.errors import InputError, MissingCRSError
from geocc.evaluation import evaluate_layer

CRS = "EPSG:32614"


def make_layer(said, captions=None):
    """A row of tiles, 10 m wide; None is a tile without a caption."""
    footprints = [box(10 * n, 0, 10 * n + 10, 10) for n in range(len(said))]
    columns = {
        "tile_id": [f"t{n}" for n in range(len(said))],
        "changed": pd.array(said, dtype="boolean"),
        "caption": captions or ["a house is built" if flag else "no change has occurred" for flag in said],
    }
    return gpd.GeoDataFrame(columns, geometry=footprints, crs=CRS)


def make_reference(*boxes, kinds=None):
    columns = {} if kinds is None else {"kind": kinds}
    return gpd.GeoDataFrame(columns, geometry=[box(*one) for one in boxes], crs=CRS)


def figures(result):
    return result.table.set_index(["group", "part", "metric"])["value"]


def test_tiles_are_counted_and_weighted_by_area():
    layer = make_layer([True, True, False, False])
    layer.loc[0, "geometry"] = box(0, 0, 10, 30)
    found = figures(evaluate_layer(layer, make_reference((2, 2, 4, 4), (22, 2, 24, 4))))
    assert found["tiles", "all", "precision"] == 50
    assert found["tiles", "all", "recall"] == 50
    assert found["tiles", "all", "F1"] == 50
    assert found["tiles", "all", "precision by area"] == 75
    assert found["tiles", "all", "recall by area"] == 75


def test_tiles_without_a_caption_are_left_out_and_counted():
    result = evaluate_layer(make_layer([True, None, None, False]), make_reference((12, 2, 14, 4), (2, 2, 4, 4)))
    assert list(result.tiles["tile_id"]) == ["t0", "t3"]
    assert figures(result)["tiles", "all", "share with a caption"] == 50
    assert figures(result)["tiles", "all", "recall"] == 100


def test_ground_under_overlapping_polygons_counts_once_and_slivers_do_not():
    layer = make_layer([True, False])
    reference = make_reference((2, 2, 4, 4), (3, 2, 5, 4), (9.9, 2, 10.1, 3))
    result = evaluate_layer(layer, reference, min_area=0.5)
    assert result.tiles["change_area"].tolist() == pytest.approx([6, 0])
    assert result.tiles["truth"].tolist() == [True, False]


def test_recall_by_the_size_of_the_change():
    layer = make_layer([False, True, True, True])
    reference = make_reference((1, 1, 2, 2), (11, 1, 13, 3), (21, 1, 26, 6), (31, 1, 39, 9))
    found = figures(evaluate_layer(layer, reference, area_classes=[2, 10]))
    assert found["area", "0 to 2", "recall"] == 0
    assert found["area", "2 to 10", "recall"] == 100
    assert found["area", "over 10", "recall"] == 100
    assert set(evaluate_layer(layer, reference).table.query("group == 'area'")["n"]) == {1}


def test_recall_by_the_distance_from_the_edge():
    layer = make_layer([False, True])
    found = evaluate_layer(layer, make_reference((0, 4, 1, 6), (14.5, 4.5, 15.5, 5.5))).table.query("group == 'edge'")
    assert found["value"].tolist() == pytest.approx([0, np.nan, np.nan, 100], nan_ok=True)
    assert found["n"].tolist() == [1, 0, 0, 1]


def test_categories_are_found_and_named():
    captions = ["a house is built", "no change", "trees are removed", "a road and a house"]
    layer = make_layer([True, False, True, True], captions)
    boxes = [(2, 2, 4, 4), (12, 2, 14, 4), (22, 2, 24, 4), (32, 2, 34, 4)]
    reference = make_reference(*boxes, kinds=["building", "new houses", "forest", "crater"])
    found = figures(evaluate_layer(layer, reference, category="kind"))
    assert found["category", "building", "recall"] == 50
    assert found["category", "building", "named where it changed"] == 50
    assert found["category", "building", "changed where named"] == 50
    assert found["category", "vegetation", "named where it changed"] == 100
    assert found["category", "crater", "recall"] == 100
    assert ("category", "crater", "changed where named") not in found.index


def test_no_change_anywhere_leaves_recall_unknown():
    found = figures(evaluate_layer(make_layer([True, False]), make_reference((500, 0, 501, 1))))
    assert found["tiles", "all", "precision"] == 0
    assert np.isnan(found["tiles", "all", "recall"])


def test_nothing_is_reprojected_or_guessed():
    layer, reference = make_layer([True]), make_reference((1, 1, 2, 2))
    with pytest.raises(MissingCRSError, match="reference has no CRS"):
        evaluate_layer(layer, reference.set_crs(None, allow_override=True))
    with pytest.raises(InputError, match=r"reference\.to_crs\(layer\.crs\)"):
        evaluate_layer(layer, reference.to_crs("EPSG:32615"))
    with pytest.raises(InputError, match="degrees"):
        evaluate_layer(layer.to_crs("EPSG:4326"), reference.to_crs("EPSG:4326"))
    with pytest.raises(InputError, match="lacks changed"):
        evaluate_layer(layer.drop(columns="changed"), reference)
    with pytest.raises(InputError, match="no column 'what'"):
        evaluate_layer(layer, reference, category="what")
    with pytest.raises(InputError, match="no tile"):
        evaluate_layer(make_layer([None]), reference)


def test_views_escape_what_came_from_files():
    reference = make_reference((1, 1, 2, 2), kinds=["<script>"])
    result = evaluate_layer(make_layer([True]), reference, category="kind")
    assert "<script>" not in result._repr_html_()
    assert "recall" in str(result)
