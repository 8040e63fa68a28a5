"""A report for a colleague: one HTML file with both dates, the tiles and every caption."""

from __future__ import annotations

import math
import os
from html import escape
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

from geocc.errors import WriteError
from geocc.table.atomic import replacing
from geocc.table.metadata import layer_metadata

from .ground import Ground, footprints_on, ground_of
from .markup import asset, content_policy, element, path_data
from .palette import INK, RAMP, probability_color
from .pictures import data_uri
from .quicklook import quicklook
from .summary import Summary, TileKind, by_change, facts_of, flattened, kind_of, summarize, text_of

if TYPE_CHECKING:
    import geopandas as gpd

    from .quicklook import PairLike, Quicklook

__all__ = ["report"]

_DENSE = 1500
_WIDE = 0.42  # below this height per width, the dates are one above the other
_DOT = " \N{MIDDLE DOT} "


def report(
    gdf: gpd.GeoDataFrame,
    pair: PairLike,
    *,
    path: str | os.PathLike[str],
    title: str = "What changed",
    max_size_px: int = 1600,
) -> Path:
    """Write a report: both dates side by side with the tiles over them, and all captions, the most probable change first.

    The file is complete in itself: it fetches nothing, and its Content-Security-Policy forbids that it ever does. It
    may be sent by mail and opened in any browser of today.

    Args:
        gdf: The layer of change captions.
        pair: The two dates.
        path: Where to write the HTML.
        title: The heading.
        max_size_px: The most pixels of the scene's longer side; more is sharper and larger.

    Returns:
        The path.

    Raises:
        InputError: `gdf` is not a layer of change captions.
        ReadError: The pair cannot be read.
        WriteError: The file cannot be written; what was there is as it was.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise WriteError(f"there is no folder {path.parent}: Path({str(path.parent)!r}).mkdir(parents=True)")
    page = _page(by_change(gdf), pair, title=title, max_size_px=max_size_px)
    try:
        with replacing(Path(os.path.realpath(path))) as draft:
            draft.write_text(page, encoding="utf-8")
    except OSError as error:
        raise WriteError(f"cannot write the report {path}; what was there is as it was: {error}") from error
    return path


def _page(layer: gpd.GeoDataFrame, pair: PairLike, *, title: str, max_size_px: int) -> str:
    look = quicklook(pair, max_size_px=max_size_px).upright()
    ground = ground_of(look.geobox)
    summary = summarize(layer, pair)
    script, style = asset("report.js"), asset("report.css")
    tiles = _tiles(layer, look, ground)
    # One pass over the template: a `$` in what is filled in stays a `$`.
    return Template(asset("report.html")).substitute(
        policy=content_policy(script=script, style=style),
        script=script,
        style=style,
        title=escape(title),
        dates=escape(" \N{RIGHTWARDS ARROW} ".join(date for date in (summary.t1, summary.t2) if date)),
        place=escape(_place(summary, look, ground)),
        counts=_counts(summary),
        t1=escape(summary.t1),
        t2=escape(summary.t2),
        before=_map(look, ground, tiles=tiles, date=0),
        after=_map(look, ground, tiles=tiles, date=1),
        legend=_legend(summary, ground),
        stacked="stacked" if look.geobox.shape.y * ground.aspect < _WIDE * look.geobox.shape.x else "",
        captions=_captions(layer, summary),
        metadata=_metadata(layer),
    )


def _place(summary: Summary, look: Quicklook, ground: Ground) -> str:
    width = look.geobox.shape.x * ground.pixel_width_m / 1000
    height = look.geobox.shape.y * ground.pixel_height_m / 1000
    size = f"{width:.3g} \N{MULTIPLICATION SIGN} {height:.3g} km"
    model = f"captions by {summary.model}" if summary.model else ""
    return _DOT.join(part for part in (ground.place, size, model) if part)


def _counts(summary: Summary) -> str:
    numbers = {
        "tiles": summary.tiles,
        "changed": summary.changed,
        "unchanged": summary.unchanged,
        "too little data": summary.nodata,
        "failed": summary.failed,
    }
    return "".join(
        element("div", element("dt", text=name) + element("dd", text=f"{number:,}"))
        for name, number in numbers.items()
        if number or name in {"tiles", "changed"}
    )


def _tiles(layer: gpd.GeoDataFrame, look: Quicklook, ground: Ground) -> str:
    shapes = footprints_on(layer, look.geobox)
    drawn = []
    # From the last to the first, so that the most probable change lies on top.
    for row, shape in zip(reversed(list(layer.itertuples())), shapes[::-1], strict=True):
        path = path_data(shape, aspect=ground.aspect)
        drawn.append(element("path", **_look(row), data_tile=row.Index, d=path))
    return element("g", "".join(drawn), class_="dense" if len(layer) > _DENSE else None)


def _map(look: Quicklook, ground: Ground, *, tiles: str, date: int) -> str:
    width, height = look.geobox.shape.x, look.geobox.shape.y * ground.aspect
    picture = element(
        "image",
        href=data_uri(look.image[date], look.valid),
        width=width,
        height=f"{height:g}",
        preserveAspectRatio="none",
    )
    name = "Earlier date with tiles" if date == 0 else "Later date with tiles"
    return element(
        "svg", picture + tiles, data_map=date, viewBox=f"0 0 {width} {height:g}", role="img", aria_label=name
    )


def _legend(summary: Summary, ground: Ground) -> str:
    stops = "".join(
        element("stop", offset=f"{index / (len(RAMP) - 1):.2f}", stop_color=color) for index, color in enumerate(RAMP)
    )
    bar = element(
        "svg",
        element("defs", element("linearGradient", stops, id="ramp"))
        + element("rect", width=120, height=10, fill="url(#ramp)"),
        width=120,
        height=10,
        aria_hidden="true",
    )
    keys = element("span", f"Change probability 0 {bar} 1")
    for kind, name, number in (
        (TileKind.NODATA, "too little data", summary.nodata),
        (TileKind.FAILED, "failed", summary.failed),
    ):
        if number:
            swatch = element(
                "svg", element("path", class_=kind.value, d="M1 1H19V11H1Z"), width=20, height=12, aria_hidden="true"
            )
            keys += element("span", swatch + name)
    return keys + _north(ground)


def _north(ground: Ground) -> str:
    turn = math.degrees(math.atan2(ground.north[0], -ground.north[1]))
    arrow = element("polygon", points="8,1 12,15 8,12 4,15", fill=INK, transform=f"rotate({turn:.0f} 8 8)")
    return element("span", element("svg", arrow, width=16, height=16, aria_hidden="true") + "north")


def _captions(layer: gpd.GeoDataFrame, summary: Summary) -> str:
    names = {
        TileKind.CHANGED: "Changed",
        TileKind.FAILED: "Failed",
        TileKind.UNCHANGED: "Unchanged",
        TileKind.NODATA: "Too little data",
    }
    groups: dict[TileKind, list[str]] = {kind: [] for kind in names}
    for row in layer.itertuples():
        groups[kind_of(row)].append(_item(row))
    listed = "".join(
        _group(names[kind], items, is_open=kind is TileKind.CHANGED) for kind, items in groups.items() if items
    )
    return listed if summary.changed else element("p", text="No tile changed.", class_="none") + listed


def _group(name: str, items: list[str], *, is_open: bool) -> str:
    heading = element("summary", f"{name} {element('small', text=f'{len(items):,}')}")
    return element("details", heading + element("ol", "".join(items)), open="" if is_open else None)


def _item(row: Any) -> str:
    square = element("path", **_look(row), d="M1 1H12V12H1Z")
    swatch = element("svg", square, width=13, height=13, aria_hidden="true")
    text = element("p", text=text_of(row), dir="auto")
    facts = element("p", text=_DOT.join(facts_of(row)), class_="facts")
    return element("li", swatch + text + facts, data_tile=row.Index, tabindex=0)


def _look(row: Any) -> dict[str, Any]:
    kind = kind_of(row)
    color = probability_color(row.change_probability) if kind is TileKind.CHANGED else None
    return {"class_": kind.value, "fill": color, "stroke": color}


def _metadata(layer: gpd.GeoDataFrame) -> str:
    return "".join(
        element("tr", element("th", text=name, scope="row") + element("td", text=value))
        for name, value in flattened(layer_metadata(layer))
    )
