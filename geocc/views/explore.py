"""An interactive map on which the model's words stay words."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import folium
from branca.element import MacroElement
from jinja2 import Template

from .markup import asset
from .mercator import WebMercator
from .palette import FAILED, NODATA, OUTLINE, RAMP, UNCHANGED, probability_color
from .pictures import data_uri
from .quicklook import quicklook
from .summary import Summary, TileKind, by_change, drawn_outlines, facts_of, kind_of, summarize, text_of

if TYPE_CHECKING:
    import geopandas as gpd

    from .quicklook import PairLike

__all__ = ["explore"]

_STYLES = {
    "changed": {"weight": 2, "fillOpacity": 0.35},
    "unchanged": {"color": UNCHANGED, "weight": 1, "opacity": 0.7, "fillColor": UNCHANGED, "fillOpacity": 0.02},
    "nodata": {"color": NODATA, "weight": 1, "fillColor": NODATA, "fillOpacity": 0.25},
    "failed": {"color": FAILED, "weight": 1.5, "dashArray": "4 3", "fillColor": FAILED, "fillOpacity": 0.25},
    "chosen": {"color": "#00a5ff", "weight": 4},
    "outline": {"color": OUTLINE, "weight": 2, "fill": False},
}


def explore(
    gdf: gpd.GeoDataFrame,
    pair: PairLike | None = None,
    *,
    outlines: gpd.GeoDataFrame | None = None,
    tiles: str | None = None,
    attribution: str | None = None,
    max_size_px: int = 1024,
) -> folium.Map:
    """Show a layer on an interactive map: captions on hovering, everything known of a tile on clicking.

    Unlike `gdf.explore()`, which hands captions to the browser as HTML, this map shows them as the text they are,
    whatever is in them.

    The map and the pictures of both dates are within the page; Leaflet, which draws them, and a basemap if asked for
    come from the network when the page is opened. Where there is none, `report` needs none. A page with 100,000 tiles is
    38 MB: of a large layer, show a part, such as ``gdf[gdf["changed"]]``.

    Args:
        gdf: The layer of change captions.
        pair: The two dates, to lay them under the tiles with a slider between them.
        outlines: What `geocc.outline_changes` returned, to draw over the tiles.
        tiles: A basemap, by a name that folium knows, such as ``"OpenStreetMap"``, or a URL template. None asks no server.
        attribution: The credit of a basemap given by URL template.
        max_size_px: The most pixels of the longer side of the pictures.

    Returns:
        The map: shown by a notebook, written by ``.save("map.html")``, extended like any other folium map.

    Raises:
        InputError: `gdf` is not a layer of change captions, or `outlines` are none of changes.
        ReadError: The pair cannot be read.
    """
    layer = by_change(gdf)
    plane = WebMercator.around(layer)
    shown = folium.Map(tiles=None, max_zoom=23, control_scale=True)
    if tiles is not None:
        folium.TileLayer(tiles, attr=attribution, control=False, max_zoom=23, max_native_zoom=18).add_to(shown)
    data = _data(layer, plane, summary=summarize(layer, pair))
    if outlines is not None:
        data["outlines"] = plane.polygons(drawn_outlines(outlines))
    if pair is not None:
        warped = plane.warp(quicklook(pair, max_size_px=max_size_px))
        data["images"] = {"uris": [data_uri(date, warped.valid) for date in warped.image], "bounds": warped.bounds}
    shown.add_child(_CaptionLayer(data))
    return shown


class _CaptionLayer(MacroElement):
    """The tiles, with their data as base64: what holds no markup can become none, in however many templates."""

    _template = Template(
        "{% macro header(this, kwargs) %}<style>{{ this.style }}</style>{% endmacro %}"
        "{% macro script(this, kwargs) %}({{ this.code }})({{ this._parent.get_name() }}, '{{ this.encoded }}');"
        "{% endmacro %}"
    )

    def __init__(self, data: dict[str, Any]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # branca is typed in part
        self._name = "CaptionLayer"
        self.style = asset("explore.css")
        self.code = asset("explore.js")
        self.encoded = base64.b64encode(json.dumps(data, allow_nan=False).encode()).decode("ascii")


def _data(layer: gpd.GeoDataFrame, plane: WebMercator, *, summary: Summary) -> dict[str, Any]:
    shapes = plane.polygons(layer)
    corners = [corner for shape in shapes for part in shape for ring in part for corner in ring]
    rows = zip(layer.itertuples(), shapes, strict=True)
    return {
        # From the last to the first, so that the most probable change lies on top.
        "tiles": [_tile(row, shape) for row, shape in rows][::-1],
        "bounds": [_extreme(min, corners), _extreme(max, corners)] if corners else None,
        "styles": _STYLES,
        "ramp": RAMP,
        "dates": [summary.t1, summary.t2],
        "counts": [f"{number:,} {name}" for name, number in _counts(summary).items()],
    }


def _extreme(choose: Any, corners: list[list[float]]) -> list[float]:
    return [choose(corner[axis] for corner in corners) for axis in range(2)]


def _counts(summary: Summary) -> dict[str, int]:
    counts = {"changed": summary.changed, "unchanged": summary.unchanged}
    return counts | {
        name: number for name, number in (("too little data", summary.nodata), ("failed", summary.failed)) if number
    }


def _tile(row: Any, shape: Any) -> dict[str, Any]:
    kind = kind_of(row)
    return {
        "kind": kind.value,
        "shape": shape,
        "text": text_of(row),
        "facts": facts_of(row),
        "color": probability_color(row.change_probability) if kind is TileKind.CHANGED else None,
    }
