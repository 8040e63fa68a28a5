"""Rivers that wander, and lakes whose shores follow the lie of the land."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geocc.data.synthetic.frame import Frame

    Mask = NDArray[np.bool_]
    Line = NDArray[np.float64]

__all__ = ["River", "draw_river", "river_masks"]


@dataclass(frozen=True, slots=True)
class River:
    """The bed of a river.

    Attributes:
        line: `(points, 2)` x and y of its middle in pixels.
        curvature: `(points,)` how sharply it turns there, positive to the right.
        width_px: Its width in pixels.
    """

    line: Line
    curvature: NDArray[np.float64]
    width_px: float

    def wandered(self, *, at: int, reach: int, by_px: float) -> River:
        """Return it with a bend, `reach` points to either side of point `at`, moved outwards."""
        step = np.gradient(self.line, axis=0)
        normal = np.stack([-step[:, 1], step[:, 0]], axis=1) / np.maximum(np.hypot(*step.T), 1e-9)[:, None]
        near = np.exp(-(((np.arange(len(self.line)) - at) / reach) ** 2))
        outwards = -np.sign(self.curvature[at])
        return River(self.line + outwards * by_px * near[:, None] * normal, self.curvature, self.width_px)


def draw_river(rng: np.random.Generator, frame: Frame) -> River:
    """Draw a river right across the scene: a curve whose direction swings to and fro (Langbein and Leopold 1966)."""
    width_px = max(float(np.exp(rng.uniform(np.log(25), np.log(700)))) / frame.gsd_m, 2.5)
    width_px = min(width_px, 0.09 * frame.width)
    swing = rng.uniform(0.3, 1.75)
    wave = rng.uniform(9, 15) * width_px
    diagonal = float(np.hypot(frame.height, frame.width))
    length = 2.4 * diagonal / max(np.cos(0.62 * swing), 0.3)
    s = np.arange(0, length, max(width_px / 4, 1.0))
    bends = max(int(length / wave), 3)
    uneven = np.exp(0.45 * np.interp(s, np.linspace(0, length, bends), rng.normal(size=bends)))
    strength = np.interp(s, np.linspace(0, length, bends), rng.uniform(0.35, 1.15, size=bends))
    turn = strength * swing * np.sin(2 * np.pi * np.cumsum(uneven) * (s[1] - s[0]) / wave + rng.uniform(0, 6.3))
    heading = turn + np.interp(s, np.linspace(0, length, 7), rng.normal(0, 0.25, size=7)) + rng.uniform(0, 2 * np.pi)
    line = np.stack([np.cumsum(np.cos(heading)), np.cumsum(np.sin(heading))], axis=1) * (s[1] - s[0])
    line += rng.uniform(0.25, 0.75, size=2) * (frame.width, frame.height) - line[len(line) // 2]
    return River(line, np.gradient(heading), width_px)


def river_masks(frame: Frame, river: River, *, bars: float) -> tuple[Mask, Mask]:
    """Return where the water of a river is, and where the sand of its inner banks.

    Args:
        frame: Size of the scene.
        river: The river.
        bars: Width of the sand, as a share of the river's.
    """
    water = _stroke(frame, river.line, river.width_px)
    sharp = np.abs(river.curvature) > np.quantile(np.abs(river.curvature), 0.55)
    step = np.gradient(river.line, axis=0)
    normal = np.stack([-step[:, 1], step[:, 0]], axis=1) / np.maximum(np.hypot(*step.T), 1e-9)[:, None]
    inner = river.line + bars * river.width_px * np.sign(river.curvature)[:, None] * normal
    sand = np.zeros_like(water)
    for part in np.split(np.arange(len(sharp)), np.flatnonzero(np.diff(sharp.astype(int))) + 1):
        if len(part) > 2 and sharp[part[0]]:
            sand |= _stroke(frame, inner[part], river.width_px * 0.8)
    return water, sand & ~water


def _stroke(frame: Frame, line: Line, width_px: float) -> Mask:
    """Draw a thick line with round joints."""
    canvas = Image.new("1", (frame.width, frame.height))
    pen = ImageDraw.Draw(canvas)
    width = max(round(width_px), 1)
    pen.line([(float(x), float(y)) for x, y in line], fill=1, width=width, joint="curve")
    return np.asarray(canvas, dtype=bool).copy()
