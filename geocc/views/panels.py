"""The maps of a figure: a date, or the tiles over it, with scale bar and north arrow."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_rgba
from matplotlib.patches import Ellipse, FancyArrowPatch, Rectangle

from geocc.table import TileStatus

from .ground import Ground, footprints_on
from .lettering import plain_text
from .palette import FAILED, INK, NODATA, OUTLINE, UNCHANGED, probability_color

if TYPE_CHECKING:
    import geopandas as gpd
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from .quicklook import Quicklook

__all__ = ["Scene", "draw_date", "draw_furniture", "draw_markers", "draw_outlines", "draw_tiles"]

_MARKER_RADIUS_IN = 0.105


@dataclass(frozen=True, slots=True)
class Scene:
    """What the maps of a figure share.

    Attributes:
        look: Both dates, upright.
        ground: How they lie on the Earth.
        shapes: `(N,)` footprints in pixels of `look`, in the order of `layer`.
        layer: The layer in the order of its change.
        outlines: `(M,)` outlines of changes in pixels of `look`.
    """

    look: Quicklook
    ground: Ground
    shapes: NDArray[Any]
    layer: gpd.GeoDataFrame
    outlines: NDArray[Any]

    @classmethod
    def of(
        cls, layer: gpd.GeoDataFrame, look: Quicklook, ground: Ground, *, outlines: gpd.GeoDataFrame | None = None
    ) -> Scene:
        """Bring the footprints of a layer, and outlines where there are some, onto a picture."""
        patches = np.empty(0, dtype=object) if outlines is None else footprints_on(outlines, look.geobox)
        return cls(look, ground, footprints_on(layer, look.geobox), layer, patches)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the picture in pixels."""
        return self.look.geobox.shape.y, self.look.geobox.shape.x


def draw_date(axes: Axes, scene: Scene, *, date: int, muted: bool = False) -> None:
    """Draw one date, 0 or 1, invalid pixels left blank; muted to pale grey as ground for the tiles."""
    height, width = scene.shape
    colors = np.moveaxis(scene.look.image[date], 0, -1) / 255
    if muted:
        luma = colors @ (0.299, 0.587, 0.114)
        colors = np.repeat(0.3 + 0.65 * luma[..., np.newaxis], 3, axis=-1)
    picture = np.dstack([colors, scene.look.valid.astype(float)])
    axes.imshow(picture, extent=(0, width, height, 0), aspect=scene.ground.aspect, interpolation="antialiased")
    axes.set(xlim=(0, width), ylim=(height, 0), xticks=[], yticks=[], facecolor="#eceff2")
    for spine in axes.spines.values():
        spine.set(edgecolor="#c5cbd3", linewidth=0.8)


def draw_tiles(axes: Axes, scene: Scene) -> None:
    """Draw the footprints, in the colour of their change probability where the model says that they changed."""
    layer = scene.layer
    changed = layer["changed"].fillna(value=False).to_numpy(dtype=bool)
    # Thousands of tiles would otherwise hide the ground under their outlines.
    line = min(1.0, max(0.15, 30 / max(1.0, math.sqrt(len(layer)))))
    groups: tuple[tuple[Any, dict[str, Any]], ...] = (
        (
            layer["changed"].eq(other=False).fillna(value=False),
            {"edgecolors": to_rgba(UNCHANGED, 0.75), "linewidths": 0.6},
        ),
        (
            layer["status"].eq(TileStatus.SKIPPED_NODATA.value),
            {"edgecolors": to_rgba(NODATA, 0.8), "linewidths": 0.5, "hatch": "////"},
        ),
        (
            layer["status"].eq(TileStatus.FAILED.value),
            {"facecolors": to_rgba(FAILED, 0.25), "edgecolors": FAILED, "linewidths": 1.0, "linestyles": "dashed"},
        ),
    )
    for chosen, style in groups:
        _add(axes, scene.shapes[chosen.to_numpy(dtype=bool)], scale=line, **style)
    # The most probable last, so that its outline lies on top.
    colors = [probability_color(value) for value in layer["change_probability"][changed]][::-1]
    fills = [to_rgba(color, 0.55) for color in colors]
    _add(
        axes,
        scene.shapes[changed][::-1],
        facecolors=fills,
        edgecolors=[_darker(c) for c in colors],
        linewidths=1.2,
        scale=line,
    )


def draw_outlines(axes: Axes, scene: Scene) -> None:
    """Draw the outlines of changes, holes among them."""
    rings = np.array([shapely.Polygon(ring) for ring in shapely.get_rings(scene.outlines)], dtype=object)
    _add(axes, rings, scale=1.0, edgecolors=OUTLINE, linewidths=1.1)


def draw_markers(axes: Axes, scene: Scene, *, count: int, pixels_per_inch: float) -> None:
    """Number the first `count` tiles, moving numbers apart where tiles lie close."""
    radius = _MARKER_RADIUS_IN * pixels_per_inch
    aspect = scene.ground.aspect
    height, width = scene.shape
    taken: list[tuple[float, float]] = []
    for number, shape in enumerate(scene.shapes[:count], start=1):
        anchor = shapely.centroid(shape)
        # A number beside a tile that it would hide.
        aside = 1.8 * radius if math.sqrt(shapely.area(shape) * aspect) < 2.6 * radius else 0.0
        wanted = anchor.x + aside, anchor.y * aspect - aside
        spot = _free_spot(wanted, taken, radius=radius, bounds=(width, height * aspect))
        taken.append(spot)
        if math.dist(spot, (anchor.x, anchor.y * aspect)) > radius:
            axes.plot([anchor.x, spot[0]], [anchor.y, spot[1] / aspect], color=INK, linewidth=0.8, zorder=5)
        _add_marker(axes, number, x=spot[0], y=spot[1] / aspect, radius=radius, aspect=aspect)


def draw_furniture(axes: Axes, scene: Scene, *, pixels_per_inch: float) -> None:
    """Draw a scale bar in the lower left corner and an arrow to true north in the upper right one."""
    height, width = scene.shape
    unit = pixels_per_inch  # pixels of a row per inch of paper; rows are `aspect` times as far apart
    tall = unit / scene.ground.aspect
    length_m = _round_length(0.28 * width * scene.ground.pixel_width_m)
    bar = length_m / scene.ground.pixel_width_m
    label = f"{length_m / 1000:g} km" if length_m >= 1000 else f"{length_m:g} m"
    box: dict[str, Any] = {"facecolor": "white", "alpha": 0.85, "edgecolor": "none", "zorder": 7}
    panel = max(bar, 0.45 * unit) + 0.2 * unit
    axes.add_patch(Rectangle((0.08 * unit, height - 0.42 * tall), panel, 0.34 * tall, **box))
    axes.add_patch(Rectangle((0.18 * unit, height - 0.18 * tall), bar, 0.045 * tall, facecolor=INK, zorder=8))
    text = plain_text(size=7.5, color=INK, zorder=8)
    axes.text(0.18 * unit, height - 0.21 * tall, label, va="bottom", ha="left", **text)
    right, down = scene.ground.north
    x, y = width - 0.3 * unit, 0.3 * tall
    axes.add_patch(_ellipse(x, y, radius=0.21 * unit, aspect=scene.ground.aspect, **box))
    tail, tip = (x - 0.15 * unit * right, y - 0.15 * tall * down), (x + 0.08 * unit * right, y + 0.08 * tall * down)
    axes.add_patch(
        FancyArrowPatch(
            tail, tip, arrowstyle="-|>", mutation_scale=7, color=INK, linewidth=1.1, shrinkA=0, shrinkB=0, zorder=8
        )
    )
    axes.text(
        x + 0.145 * unit * right,
        y + 0.145 * tall * down,
        "N",
        va="center",
        ha="center",
        **text | {"size": 6.5, "weight": "bold"},
    )


def _add(axes: Axes, shapes: NDArray[Any], *, scale: float, linewidths: float, **style: Any) -> None:
    if not len(shapes):
        return
    style.setdefault("facecolors", "none")
    parts, owners = shapely.get_parts(shapes, return_index=True)
    for key, value in style.items():
        if isinstance(value, list):
            style[key] = [value[owner] for owner in owners]
    rings = [shapely.get_coordinates(shapely.get_exterior_ring(part)) for part in parts]
    axes.add_collection(PolyCollection(rings, linewidths=linewidths * scale, **style), autolim=False)


def _add_marker(axes: Axes, number: int, *, x: float, y: float, radius: float, aspect: float) -> None:
    axes.add_patch(
        _ellipse(x, y, radius=radius, aspect=aspect, facecolor="white", edgecolor=INK, linewidth=0.9, zorder=6)
    )
    axes.text(
        x, y, str(number), va="center_baseline", ha="center", **plain_text(size=7.5, weight="bold", color=INK, zorder=6)
    )


def _ellipse(x: float, y: float, *, radius: float, aspect: float, **style: Any) -> Any:
    # A circle on paper: rows are drawn `aspect` times as far apart as columns.
    return Ellipse((x, y), 2 * radius, 2 * radius / aspect, **style)


def _free_spot(
    wanted: tuple[float, float], taken: list[tuple[float, float]], *, radius: float, bounds: tuple[float, float]
) -> tuple[float, float]:
    def inside(spot: tuple[float, float]) -> tuple[float, float]:
        return min(max(spot[0], radius), bounds[0] - radius), min(max(spot[1], radius), bounds[1] - radius)

    for step in range(200):
        turn, reach = step * 2.4, radius * 0.6 * math.sqrt(step)  # a sunflower's spiral
        spot = inside((wanted[0] + reach * math.cos(turn), wanted[1] + reach * math.sin(turn)))
        if all(math.dist(spot, other) > 2.2 * radius for other in taken):
            return spot
    return inside(wanted)


def _darker(color: str) -> tuple[float, ...]:
    red, green, blue, _ = to_rgba(color)
    return 0.72 * red, 0.72 * green, 0.72 * blue, 1.0


def _round_length(metres: float) -> float:
    power = 10 ** math.floor(math.log10(metres))
    return float(next(step * power for step in (5, 2, 1) if step * power <= metres))
