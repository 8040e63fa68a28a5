from __future__ import annotations

import base64
import json
import re

import folium
import geopandas as gpd
import pytest
import shapely
from table.standins import make_layer, make_plan
from views.browser import LEAFLET, needs_browser, run
from views.payloads import CANARY, PAYLOADS, RUN
from views.standins import Pair, make_changes, make_geobox, make_outlines

from geocc.errors import InputError
from geocc.table import clean_caption
from geocc.views import explore
from geocc.views.markup import asset

ENCODED = re.compile(r"'([A-Za-z0-9+/=]{40,})'")
IDENTIFIER = re.compile(r"[0-9a-f]{32}")


def page_of(captions, **kwargs):
    pair = Pair(make_geobox(1, len(captions)))
    return explore(make_changes(pair.geobox, size=1, captions=captions), pair, **kwargs).get_root().render()


def data_of(page):
    return json.loads(base64.b64decode(ENCODED.search(page)[1]))


def skeleton(page):
    """The page without the data and without folium's random names."""
    return IDENTIFIER.sub("ID", ENCODED.sub("'DATA'", page))


def test_payloads_change_nothing_but_the_data():
    page = page_of(PAYLOADS)
    assert skeleton(page) == skeleton(page_of(["a road was built"] * len(PAYLOADS)))
    assert RUN not in page
    # The most probable change is drawn last, on top.
    assert [tile["text"] for tile in data_of(page)["tiles"]][::-1] == [clean_caption(payload) for payload in PAYLOADS]


def test_the_script_holds_nothing_a_template_engine_reads_and_sets_no_html():
    code = asset("explore.js")
    assert not re.search(r"\{\{|\{%|\{#", code)
    assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(|Function\(", code)
    assert not re.search(r"\{\{|\{%|\{#", asset("explore.css"))


def test_a_notebook_shows_it_in_a_frame(changes):
    assert "<iframe" in explore(changes)._repr_html_()


def test_without_a_pair_there_are_no_pictures_and_no_basemap(changes):
    page = explore(changes).get_root().render()
    assert "images" not in data_of(page)
    assert "L.tileLayer" not in page


def test_a_basemap_may_be_asked_for(changes):
    assert "tile.openstreetmap.org" in explore(changes, tiles="OpenStreetMap").get_root().render()
    page = explore(changes, tiles="https://tiles.example/{z}/{x}/{y}.png", attribution="me").get_root().render()
    assert "tiles.example" in page


def test_tiles_carry_what_is_known_of_them():
    plan = make_plan(1, 4)
    data = data_of(explore(make_layer(plan), Pair(plan.geobox)).get_root().render())
    by_kind = {tile["kind"]: tile for tile in data["tiles"]}
    assert set(by_kind) == {"changed", "unchanged", "nodata", "failed"}
    assert by_kind["failed"]["text"] == "CaptionError: no room on the device"
    assert by_kind["changed"]["facts"] == ["change probability 0.00", "confidence 1.00", "tile r00000c00000"]
    assert data["counts"] == ["1 changed", "1 unchanged", "1 too little data", "1 failed"]
    assert data["dates"] == ["2009-07-15", "2020-06-30 17:04"]
    assert [uri[:23] for uri in data["images"]["uris"]] == ["data:image/webp;base64,"] * 2


def test_an_empty_layer_is_an_empty_map(changes):
    assert data_of(explore(changes[:0]).get_root().render())["tiles"] == []


def test_what_is_no_layer_is_refused():
    with pytest.raises(InputError):
        explore(None)


def in_browser(page, folder):
    """Open a map with the stand-in in the place of everything it would fetch."""
    page = re.sub(r'<(script|link)[^>]*(src|href)="https?://[^"]*"[^>]*>(</script>)?', "", page)
    path = folder / "map.html"
    path.write_text(page.replace("<head>", f"<head><script>{LEAFLET}</script>", 1), encoding="utf-8")
    return run(path)


@pytest.mark.slow
@needs_browser
def test_a_browser_runs_no_payload(tmp_path):
    found, console = in_browser(page_of(PAYLOADS), tmp_path)
    assert CANARY not in re.search(r"<html[^>]*>", found)[0]
    assert found.count('class="opened"') == 2 * len(PAYLOADS)
    assert not [line for line in console if "Error" in line]


def test_outlines_lie_over_the_tiles_as_lines_without_words(changes, pair):
    outlines = make_outlines(changes)
    data = data_of(explore(changes, pair, outlines=outlines).get_root().render())
    corners = gpd.GeoSeries(outlines.geometry.iloc[:2]).to_crs(4326)
    assert len(data["outlines"]) == 2  # the third is a whole tile
    for shape, expected in zip(data["outlines"], corners, strict=True):
        (ring,) = shape[0]
        found = shapely.Polygon([(longitude, latitude) for latitude, longitude in ring])
        assert found.symmetric_difference(expected).area < 1e-2 * expected.area  # rounded
    assert data["styles"]["outline"]["fill"] is False
    assert "outlines" not in data_of(explore(changes, pair).get_root().render())


def test_what_are_no_outlines_is_refused(changes):
    with pytest.raises(InputError, match="outline_changes returns"):
        explore(changes, outlines=changes)


@pytest.mark.slow
@needs_browser
def test_the_canary_sings_in_folium_s_own_tooltip(tmp_path):
    naive = folium.Map(tiles=None)
    folium.Polygon([[0, 0], [0, 1], [1, 1]], tooltip=f"<img src=x onerror='{RUN}'>").add_to(naive)
    found, _ = in_browser(naive.get_root().render(), tmp_path)
    assert CANARY in re.search(r"<html[^>]*>", found)[0]
