"""A figure for papers and pages: before, after, and what changed where."""

from __future__ import annotations

import io
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse, Rectangle

from geocc.errors import InputError, WriteError
from geocc.table.atomic import replacing

from .ground import ground_of
from .lettering import drawable, plain_text, text_width, wrapped
from .palette import FAILED, INK, MUTED, NODATA, OUTLINE, RAMP, probability_color
from .panels import Scene, draw_date, draw_furniture, draw_markers, draw_outlines, draw_tiles
from .quicklook import quicklook
from .summary import Summary, by_change, drawn_outlines, plural, summarize

if TYPE_CHECKING:
    import geopandas as gpd
    from matplotlib.axes import Axes

    from .quicklook import PairLike

__all__ = ["figure"]

_WIDTH = 12.6
_MARGIN = 0.4
_GAP = 0.18
_TITLE = 0.72
_PANEL_TITLE = 0.3
_LEGEND = 0.52
_TALLEST_PANEL = 7.5
_NARROWEST_SLOT = 2.6
_NOTEBOOK_DPI = 90
_WIDE = 0.42  # below this height per width, panels are stacked
_LINE = 0.185
_ENTRY_GAP = 0.16
_NUMBER = 0.34
_TEXT_SIZE = 9.5
_LIST_TITLE = 0.34
_COLUMN_GAP = 0.5
_COLUMN = (_WIDTH - 2 * _MARGIN - _COLUMN_GAP) / 2


class _ShownFigure(Figure):
    """A figure that a notebook shows without pyplot, whose state is the user's."""

    def _repr_png_(self) -> bytes:
        picture = io.BytesIO()
        self.savefig(picture, format="png", dpi=_NOTEBOOK_DPI)
        return picture.getvalue()


def figure(
    gdf: gpd.GeoDataFrame,
    pair: PairLike,
    *,
    outlines: gpd.GeoDataFrame | None = None,
    path: str | os.PathLike[str] | None = None,
    top: int = 6,
    title: str = "What changed",
    max_size_px: int = 1024,
    dpi: int = 160,
) -> Figure:
    """Draw both dates, the tiles in the colour of their change probability, and the captions of the most probable changes.

    The maps are drawn in the scene's own grid, turned so that north is as far up as right angles allow; an arrow shows
    true north. Characters that the figure's font lacks appear as squares: the report shows all.

    Args:
        gdf: The layer of change captions.
        pair: The two dates.
        outlines: What `geocc.outline_changes` returned, to draw over the later date.
        path: Where to write the figure too, as .png, .pdf, .svg or whatever else matplotlib writes.
        top: How many captions to list, at least 0.
        title: The heading.
        max_size_px: The most pixels of the scene's longer side; more is sharper and larger.
        dpi: Dots per inch of pictures with dots.

    Returns:
        The figure, not known to pyplot.

    Raises:
        InputError: `gdf` is not a layer of change captions, `outlines` are none of changes, or an argument is out of range.
        ReadError: The pair cannot be read.
        WriteError: The file cannot be written; what was there is as it was.
    """
    if top < 0:
        raise InputError(f"top is {top}: expected the number of captions to list, 0 or more")
    layer = by_change(gdf)
    look = quicklook(pair, max_size_px=max_size_px).upright()
    patches = None if outlines is None else drawn_outlines(outlines)
    scene = Scene.of(layer, look, ground_of(look.geobox), outlines=patches)
    summary = summarize(layer, pair)
    entries = _entries(layer, top=top)
    page = _Page.for_scene(scene, list_height=_list_height(entries))
    drawn = _ShownFigure(figsize=(_WIDTH, page.height), facecolor="white", dpi=dpi)
    _draw_title(drawn, page, summary=summary, scene=scene, title=title)
    _draw_maps(drawn, page, scene=scene, summary=summary, count=len(entries))
    _draw_legend(drawn, page, summary=summary, outlined=bool(len(scene.outlines)))
    _draw_list(drawn, page, entries=entries, summary=summary)
    if path is not None:
        _save(drawn, Path(path))
    return drawn


@dataclass(frozen=True, slots=True)
class _Entry:
    lines: list[str]
    details: str
    color: str

    @property
    def height(self) -> float:
        return _LINE * (len(self.lines) + 1) + _ENTRY_GAP


@dataclass(frozen=True, slots=True)
class _Page:
    """Where things go, in inches from the upper left corner."""

    height: float
    panel_width: float
    panel_height: float
    slot_width: float
    panels: tuple[tuple[float, float], ...]
    legend_top: float

    @classmethod
    def for_scene(cls, scene: Scene, *, list_height: float) -> _Page:
        height_px, width_px = scene.shape
        proportion = height_px * scene.ground.aspect / width_px
        across = 3 if proportion >= _WIDE else 1
        room = (_WIDTH - 2 * _MARGIN - (across - 1) * _GAP) / across
        panel_width = min(room, _TALLEST_PANEL / proportion)
        panel_height = max(panel_width * proportion, 0.02)
        slot = max(panel_width, _NARROWEST_SLOT)
        pitch = panel_height + _PANEL_TITLE + (_GAP if across == 1 else 0)
        panels = tuple(
            (_MARGIN + (index % across) * (slot + _GAP), _TITLE + _PANEL_TITLE + (index // across) * pitch)
            for index in range(3)
        )
        legend_top = panels[-1][1] + panel_height + 0.12
        height = legend_top + _LEGEND + list_height + _MARGIN / 2
        return cls(height, panel_width, panel_height, slot, panels, legend_top)

    def box(self, x: float, y: float, width: float, height: float) -> tuple[float, float, float, float]:
        """Bring a box from inches to matplotlib's shares of the figure, counted from below."""
        return x / _WIDTH, 1 - (y + height) / self.height, width / _WIDTH, height / self.height

    def text(self, drawn: Figure, x: float, y: float, text: str, **style: Any) -> None:
        """Write, the baseline `y` inches below the upper edge."""
        defaults = plain_text(size=_TEXT_SIZE, color=INK, va="baseline")
        drawn.text(x / _WIDTH, 1 - y / self.height, drawable(text), **defaults | style)


def _draw_title(drawn: Figure, page: _Page, *, summary: Summary, scene: Scene, title: str) -> None:
    page.text(drawn, _MARGIN, 0.36, title, size=17, weight="bold")
    height_px, width_px = scene.shape
    ground = scene.ground
    facts = [
        f"{summary.changed:,} of {plural(summary.tiles, 'tile')} changed",
        f"captions by {summary.model}" if summary.model else "",
        f"{_kilometres(width_px * ground.pixel_width_m)} \N{MULTIPLICATION SIGN} {_kilometres(height_px * ground.pixel_height_m)}",
        ground.place,
    ]
    line = "   \N{MIDDLE DOT}   ".join(fact for fact in facts if fact)
    page.text(drawn, _MARGIN, 0.62, line, size=9.5, color=MUTED)


def _draw_maps(drawn: Figure, page: _Page, *, scene: Scene, summary: Summary, count: int) -> None:
    pixels_per_inch = scene.shape[1] / page.panel_width
    titles = (("Before", summary.t1), ("After", summary.t2), ("Change", "tiles over the later date"))
    for index, ((x, y), (name, date)) in enumerate(zip(page.panels, titles, strict=True)):
        page.text(drawn, x, y - 0.09, name, size=11, weight="bold")
        page.text(drawn, x + page.slot_width, y - 0.09, date, size=9, color=MUTED, ha="right")
        axes: Axes = drawn.add_axes(page.box(x, y, page.panel_width, page.panel_height))
        draw_date(axes, scene, date=min(index, 1), muted=index == 2)
        if index == 1:
            draw_outlines(axes, scene)
        if index == 2:
            draw_tiles(axes, scene)
            draw_markers(axes, scene, count=count, pixels_per_inch=pixels_per_inch)
        if index == 0:
            draw_furniture(axes, scene, pixels_per_inch=pixels_per_inch)


def _draw_legend(drawn: Figure, page: _Page, *, summary: Summary, outlined: bool) -> None:
    axes: Axes = drawn.add_axes(page.box(0, page.legend_top, _WIDTH, _LEGEND))
    axes.set(xlim=(0, _WIDTH), ylim=(_LEGEND, 0))
    axes.axis("off")
    style = plain_text(size=8.5, color=MUTED, va="center")
    x, middle = _MARGIN, 0.2
    axes.text(x, middle, "Change probability", **style)
    x += 1.3
    axes.text(x, middle, "0", ha="right", **style)
    axes.imshow(
        [[index / 100 for index in range(101)]],
        cmap=_colormap(),
        extent=(x + 0.08, x + 1.88, 0.27, 0.13),
        aspect="auto",
    )
    axes.set(xlim=(0, _WIDTH), ylim=(_LEGEND, 0))
    axes.text(x + 1.96, middle, "1", **style)
    x += 2.45
    keys: list[tuple[str, int, dict[str, Any]]] = [
        ("changed", summary.changed, {"facecolor": RAMP[-2], "edgecolor": RAMP[-1]}),
        ("unchanged", summary.unchanged, {"facecolor": "#d3d8de", "edgecolor": "white"}),
        ("too little data", summary.nodata, {"facecolor": "none", "edgecolor": NODATA, "hatch": "//////"}),
        ("failed", summary.failed, {"facecolor": "#bfdcec", "edgecolor": FAILED, "linestyle": "dashed"}),
    ]
    for name, number, key in keys:
        if number or name in {"changed", "unchanged"}:
            axes.add_patch(_patch(x, 0.12, **key))
            label = f"{number:,} {name}"
            axes.text(x + 0.32, middle, label, **style)
            x += 0.68 + text_width(label, 8.5) / 72
    if outlined:
        # On the dark ground of an image, as there, for the bright line is hardly seen on paper.
        axes.add_patch(_patch(x, 0.12, facecolor=INK, edgecolor=OUTLINE))
        axes.text(x + 0.32, middle, "outline of a change", **style)


def _draw_list(drawn: Figure, page: _Page, *, entries: list[_Entry], summary: Summary) -> None:
    top = page.legend_top + _LEGEND
    if not entries:
        page.text(drawn, _MARGIN, top + 0.1, "No tile changed." if summary.changed == 0 else "", color=MUTED)
        return
    page.text(drawn, _MARGIN, top + 0.1, "Captions", size=11, weight="bold")
    shown = plural(summary.changed, "changed tile")
    if len(entries) < summary.changed:
        shown = f"{len(entries)} of {shown}, the most probable first"
    page.text(drawn, _MARGIN + 0.95, top + 0.1, shown, size=9, color=MUTED)
    split = _split(entries)
    for column, chosen in enumerate((entries[:split], entries[split:])):
        x, y = _MARGIN + column * (_COLUMN + _COLUMN_GAP), top + _LIST_TITLE
        for number, entry in enumerate(chosen, start=1 + column * split):
            _draw_entry(drawn, page, entry=entry, number=number, x=x, y=y)
            y += entry.height


def _draw_entry(drawn: Figure, page: _Page, *, entry: _Entry, number: int, x: float, y: float) -> None:
    radius = 0.115
    center = (x + radius) / _WIDTH, 1 - (y + 0.09) / page.height
    drawn.add_artist(
        Ellipse(
            center,
            2 * radius / _WIDTH,
            2 * radius / page.height,
            facecolor="white",
            edgecolor=INK,
            linewidth=0.9,
            transform=drawn.transSubfigure,
        )
    )
    page.text(drawn, x + radius, y + 0.09, str(number), size=8, weight="bold", ha="center", va="center_baseline")
    for index, line in enumerate(entry.lines):
        page.text(drawn, x + _NUMBER, y + 0.135 + index * _LINE, line)
    base = y + 0.135 + len(entry.lines) * _LINE
    swatch = page.box(x + _NUMBER, base - 0.085, 0.2, 0.09)
    drawn.add_artist(_patch_at(swatch, facecolor=entry.color, transform=drawn.transSubfigure))
    page.text(drawn, x + _NUMBER + 0.28, base, entry.details, size=8, color=MUTED)


def _entries(layer: gpd.GeoDataFrame, *, top: int) -> list[_Entry]:
    changed = layer[layer["changed"].fillna(value=False)].head(top)
    # Hinting widens small letters: a little room is kept for it.
    width = (_COLUMN - _NUMBER) * 72 * 0.96
    return [
        _Entry(
            lines=wrapped(drawable(row.caption), size=_TEXT_SIZE, width=width, max_lines=3),
            details=_details(row),
            color=probability_color(row.change_probability),
        )
        for row in changed.itertuples()
    ]


def _details(row: Any) -> str:
    parts = [f"tile {row.tile_id}"]
    if not math.isnan(row.change_probability):
        parts.append(f"change probability {row.change_probability:.2f}")
    if not math.isnan(row.confidence):
        parts.append(f"confidence {row.confidence:.2f}")
    return "   \N{MIDDLE DOT}   ".join(parts)


def _split(entries: list[_Entry]) -> int:
    """Return how many entries go into the first column, so that both are about as high."""
    halves = (
        (max(sum(e.height for e in entries[:at]), sum(e.height for e in entries[at:])), -at)
        for at in range(len(entries) + 1)
    )
    return -min(halves)[1]


def _list_height(entries: list[_Entry]) -> float:
    if not entries:
        return 0.3
    split = _split(entries)
    return _LIST_TITLE + max(sum(e.height for e in entries[:split]), sum(e.height for e in entries[split:]))


def _kilometres(metres: float) -> str:
    return f"{metres / 1000:.3g} km" if metres >= 1000 else f"{metres:.0f} m"


def _colormap() -> Any:
    return LinearSegmentedColormap.from_list("change probability", list(RAMP))


def _patch(x: float, y: float, **style: Any) -> Any:
    return _patch_at((x, y, 0.24, 0.16), linewidth=1.0, **style)


def _patch_at(box: tuple[float, float, float, float], **style: Any) -> Any:
    return Rectangle(box[:2], *box[2:], **style)


def _save(drawn: Figure, path: Path) -> None:
    target = Path(os.path.realpath(path))
    if not target.parent.is_dir():
        raise WriteError(f"there is no folder {path.parent}: Path({str(path.parent)!r}).mkdir(parents=True)")
    try:
        with replacing(target) as draft:
            drawn.savefig(draft)
    except (OSError, ValueError, RuntimeError) as error:
        raise WriteError(f"cannot write the figure {path}; what was there is as it was: {error}") from error
