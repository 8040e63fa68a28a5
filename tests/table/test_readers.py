from __future__ import annotations

import json
import shutil
import subprocess

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pyogrio
import pytest
import shapely
import shapely.affinity
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from table.standins import METADATA, make_layer, make_plan

from geocc.errors import InputError, MissingCRSError, ReadError
from geocc.table import clean_caption, read_layer, write_layer
from geocc.table.formats import FORMATS

SUFFIXES = sorted(FORMATS)
LOSSLESS = [".csv", ".fgb", ".gpkg", ".parquet"]


def assert_same_layer(found, expected, *, tolerance=0.0):
    pd.testing.assert_frame_equal(
        pd.DataFrame(found.drop(columns="geometry")),
        pd.DataFrame(expected.drop(columns="geometry")).reset_index(drop=True),
    )
    assert list(found.columns) == list(expected.columns)
    assert found.attrs == expected.attrs
    shapes = expected.geometry.to_crs(found.crs).to_numpy()
    assert (shapely.hausdorff_distance(found.geometry.to_numpy(), shapes) <= tolerance).all()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_is_written_is_what_is_read(layer, tmp_path, suffix):
    found = read_layer(write_layer(layer, tmp_path / f"changes{suffix}", csv_safe=False))
    is_geojson = suffix in {".geojson", ".json"}
    assert found.crs == ("EPSG:4326" if is_geojson else layer.crs)
    assert_same_layer(found, layer, tolerance=1e-7 if is_geojson else 0.0)
    # And once more, from the file's copy.
    again = read_layer(write_layer(found, tmp_path / f"again{suffix}", csv_safe=False))
    assert_same_layer(again, found, tolerance=1e-7 if is_geojson else 0.0)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_selection_without_rows_keeps_its_columns(layer, tmp_path, suffix):
    found = read_layer(write_layer(layer[:0], tmp_path / f"changes{suffix}"))
    assert_same_layer(found, layer[:0])


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_layer_without_metadata(layer, tmp_path, suffix):
    layer.attrs.clear()
    assert read_layer(write_layer(layer, tmp_path / f"changes{suffix}")).attrs == {}


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_further_columns_are_kept(layer, tmp_path, suffix):
    wider = layer.assign(area_ha=9.0, note=[None, "a", "b", "", "c", "d"])
    found = read_layer(write_layer(wider, tmp_path / f"changes{suffix}"))
    assert list(found.columns) == [*layer.columns[:-1], "area_ha", "note", "geometry"]
    assert found.area_ha.astype(float).tolist() == [9.0] * 6


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_footprints_of_several_parts(layer, tmp_path, suffix):
    parts = shapely.MultiPolygon([shapely.box(0, 0, 1, 1), shapely.box(5, 5, 6, 6)])
    layer.loc[0, "geometry"] = shapely.affinity.translate(parts, 500_000, 4_000_000)
    found = read_layer(write_layer(layer, tmp_path / f"changes{suffix}"))
    areas = found.geometry.to_crs(layer.crs).area
    np.testing.assert_allclose(areas, layer.area, rtol=0.05)
    assert found.geom_type[0] == "MultiPolygon"


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:3413", "+proj=laea +lat_0=10 +lon_0=20 +ellps=GRS80", "EPSG:32760"])
@pytest.mark.parametrize("suffix", LOSSLESS)
def test_every_crs_comes_back(tmp_path, suffix, crs):
    from affine import Affine

    affine = Affine(0.01, 0, 20, 0, -0.01, 60) if crs == "EPSG:4326" else None
    layer = make_layer(make_plan(affine=affine, crs=crs))
    found = read_layer(write_layer(layer, tmp_path / f"changes{suffix}"))
    assert found.crs == layer.crs


@pytest.mark.parametrize("suffix", [".gpkg", ".parquet", ".fgb", ".geojson"])
def test_a_caption_of_5000_characters_comes_back(tmp_path, suffix):
    text = ("Wald \N{DECIDUOUS TREE} 森林 غابة лес — ${x} <b>&amp;</b> \"'`\\ " * 200)[:5000]
    layer = make_layer(captions=[text])
    assert read_layer(write_layer(layer, tmp_path / f"changes{suffix}")).caption[0] == text


LOOKALIKES = [
    "2020-01-01",
    "2020-01-01T00:00:00Z",
    '{"a": [1]}',
    "[1, 2]",
    "true",
    "NA",
    "null",
    "nan",
    "",
    " ",
    "1e5",
    "007",
]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_captions_that_look_like_something_else_stay_text(tmp_path, suffix):
    for text in LOOKALIKES:
        layer = make_layer(captions=[text])
        found = read_layer(write_layer(layer, tmp_path / f"changes{suffix}", csv_safe=False))
        assert found.caption[0] == text
        assert found.caption.dtype == "string"


@pytest.mark.parametrize("suffix", [".csv", ".fgb", ".geojson", ".gpkg", ".parquet"])
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(captions=st.lists(st.text(alphabet=st.characters(codec=None), max_size=40), min_size=1, max_size=6))
def test_any_caption_comes_back(tmp_path, suffix, captions):
    layer = make_layer(captions=captions)
    found = read_layer(write_layer(layer, tmp_path / f"changes{suffix}", csv_safe=False))
    assert found.caption.equals(layer.caption)
    assert found.caption.dropna().map(clean_caption).equals(found.caption.dropna())


def test_geopandas_reads_the_files_alone(layer, tmp_path):
    for suffix in (".gpkg", ".fgb", ".geojson"):
        found = gpd.read_file(write_layer(layer, tmp_path / f"changes{suffix}"))
        assert sorted(found.tile_id) == sorted(layer.tile_id)
    found = gpd.read_parquet(write_layer(layer, tmp_path / "changes.parquet"))
    assert found.crs == layer.crs


def test_geopackage_types_are_those_gis_programs_know(layer, tmp_path):
    info = pyogrio.read_info(write_layer(layer, tmp_path / "changes.gpkg"))
    assert (info["layer_name"], info["geometry_type"]) == ("change_captions", "Polygon")
    types = dict(zip(info["fields"], zip(info["ogr_types"], info["ogr_subtypes"], strict=True), strict=True))
    assert types["changed"] == ("OFTInteger", "OFSTBoolean")
    assert types["row"] == ("OFTInteger", "OFSTNone")
    assert types["t1"] == ("OFTDateTime", "OFSTNone")
    assert json.loads(info["layer_metadata"]["geocc"])["model"] == METADATA["model"]


@pytest.mark.skipif(shutil.which("ogrinfo") is None, reason="ogrinfo is not installed")
def test_ogrinfo_reads_the_geopackage(layer, tmp_path):
    path = write_layer(layer, tmp_path / "changes.gpkg")
    seen = subprocess.run(["ogrinfo", "-so", "-al", path], check=True, capture_output=True, text=True)  # noqa: S607  # found on PATH by the mark above
    assert "Layer name: change_captions" in seen.stdout
    assert "Feature Count: 6" in seen.stdout
    assert "geocc-mini" in seen.stdout
    assert "Warning" not in seen.stderr


def test_geoparquet_has_its_own_key_and_a_bbox(layer, tmp_path):
    schema = pq.read_schema(write_layer(layer, tmp_path / "changes.parquet"))
    geo = json.loads(schema.metadata[b"geo"])
    assert geo["version"] == "1.1.0"
    assert geo["columns"]["geometry"]["covering"]["bbox"]["xmin"] == ["bbox", "xmin"]
    assert json.loads(schema.metadata[b"geocc"])["prompt"] == METADATA["prompt"]


def test_geojson_is_rfc_7946(layer, tmp_path):
    path = write_layer(layer, tmp_path / "changes.geojson")
    collection = json.loads(path.read_text(encoding="utf-8"))
    assert collection["type"] == "FeatureCollection"
    assert "crs" not in collection
    assert collection["geocc"]["crs"] == "EPSG:26914"
    feature = collection["features"][0]
    assert feature["properties"]["changed"] is True
    assert collection["features"][1]["properties"]["changed"] is None
    ring = shapely.LinearRing(feature["geometry"]["coordinates"][0])
    assert ring.is_ccw


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_is_no_layer_is_refused(tmp_path, suffix):
    path = tmp_path / f"changes{suffix}"
    with pytest.raises(ReadError, match="there is no file"):
        read_layer(path)
    path.write_text("neither fish nor fowl")
    with pytest.raises((ReadError, MissingCRSError)):
        read_layer(path)


def test_other_formats_and_other_tables_are_refused(layer, tmp_path):
    with pytest.raises(ReadError, match="of no format geocc reads"):
        read_layer(tmp_path / "changes.shp")
    layer[["tile_id", "geometry"]].to_file(tmp_path / "other.gpkg")
    with pytest.raises(InputError, match="lacks row, col"):
        read_layer(tmp_path / "other.gpkg")
    layer[["tile_id", "geometry"]].to_file(tmp_path / "other.gpkg", layer="more")
    with pytest.raises(ReadError, match="expected one"):
        read_layer(tmp_path / "other.gpkg")
    (tmp_path / "other.json").write_text("[]")
    with pytest.raises(ReadError, match="not a FeatureCollection"):
        read_layer(tmp_path / "other.json")
