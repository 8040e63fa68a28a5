"""Outlines in pixels: rotated rectangles, discs, and the irregular blobs of ponds and clearings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from geocc.data.synthetic.frame import Window

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geocc.data.synthetic.frame import Frame
    from geocc.data.synthetic.terrain import Terrain

__all__ = ["Rectangle", "Stamp", "blob", "disc_stamp", "grid_rectangle", "rectangle_stamp"]


@dataclass(frozen=True, slots=True)
class Stamp:
    """A small shape in a scene.

    Attributes:
        window: Where it lies, inside the frame.
        alpha: `(height, width)` share of every pixel that it covers, in [0, 1].
        side: `(height, width)` signed distance, in pixels, from its long axis.
    """

    window: Window
    alpha: NDArray[np.float32]
    side: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Rectangle:
    """A rotated rectangle in pixels: centre, half sides, and the direction of its long side in radians."""

    x: float
    y: float
    angle: float
    half_length: float
    half_width: float

    @property
    def reach(self) -> float:
        """Distance from the centre to a corner."""
        return float(np.hypot(self.half_length, self.half_width))

    def moved(self, *, dx: float, dy: float) -> Rectangle:
        """Return it elsewhere."""
        return Rectangle(self.x + dx, self.y + dy, self.angle, self.half_length, self.half_width)

    def grown(self, by: float) -> Rectangle:
        """Return it with every side pushed outwards."""
        return Rectangle(self.x, self.y, self.angle, self.half_length + by, self.half_width + by)


def _window_around(frame: Frame, *, x: float, y: float, reach: float) -> Window | None:
    """Return the pixels within `reach` of a point, or None where none is inside the frame."""
    top, left = max(int(np.floor(y - reach)), 0), max(int(np.floor(x - reach)), 0)
    bottom, right = min(int(np.ceil(y + reach)) + 1, frame.height), min(int(np.ceil(x + reach)) + 1, frame.width)
    if bottom <= top or right <= left:
        return None
    return Window(top=top, left=left, height=bottom - top, width=right - left)


def rectangle_stamp(frame: Frame, rectangle: Rectangle) -> Stamp | None:
    """Draw a rotated rectangle with soft edges, or return None where it lies outside the frame."""
    window = _window_around(frame, x=rectangle.x, y=rectangle.y, reach=rectangle.reach + 1)
    if window is None:
        return None
    dy = (np.arange(window.height, dtype=np.float32) + np.float32(window.top - rectangle.y))[:, None]
    dx = (np.arange(window.width, dtype=np.float32) + np.float32(window.left - rectangle.x))[None, :]
    cos, sin = np.float32(np.cos(rectangle.angle)), np.float32(np.sin(rectangle.angle))
    along, across = dx * cos + dy * sin, dy * cos - dx * sin
    alpha = np.clip(np.float32(rectangle.half_length + 0.5) - np.abs(along), 0, 1) * np.clip(
        np.float32(rectangle.half_width + 0.5) - np.abs(across), 0, 1
    )
    return Stamp(window=window, alpha=alpha, side=across)


def disc_stamp(frame: Frame, *, x: float, y: float, radius: float) -> Stamp | None:
    """Draw a disc with soft edges, or return None where it lies outside the frame."""
    window = _window_around(frame, x=x, y=y, reach=radius + 1)
    if window is None:
        return None
    dy = (np.arange(window.height, dtype=np.float32) + np.float32(window.top - y))[:, None]
    dx = (np.arange(window.width, dtype=np.float32) + np.float32(window.left - x))[None, :]
    distance = np.sqrt(dx * dx + dy * dy)
    return Stamp(window=window, alpha=np.clip(np.float32(radius + 0.5) - distance, 0, 1), side=distance)


def blob(
    rng: np.random.Generator, frame: Frame, *, x: float, y: float, radius: float, ruggedness: float = 0.16
) -> NDArray[np.bool_]:
    """Return a `(height, width)` mask of an irregular, somewhat elongated shape around a point."""
    mask = np.zeros((frame.height, frame.width), dtype=bool)
    window = _window_around(frame, x=x, y=y, reach=radius * 2.2)
    if window is None:
        return mask
    dy = (np.arange(window.height, dtype=np.float32) + np.float32(window.top - y))[:, None]
    dx = (np.arange(window.width, dtype=np.float32) + np.float32(window.left - x))[None, :]
    tilt, stretch = rng.uniform(0, np.pi), rng.uniform(1.0, 1.45)
    along = (dx * np.float32(np.cos(tilt)) + dy * np.float32(np.sin(tilt))) / np.float32(stretch)
    across = (dy * np.float32(np.cos(tilt)) - dx * np.float32(np.sin(tilt))) * np.float32(stretch)
    bearing = np.arctan2(across, along)
    outline = np.ones_like(bearing)
    for wave in range(2, 9):
        strength = rng.normal() * ruggedness * 2 / wave
        outline += np.float32(strength) * np.cos(np.float32(wave) * bearing + np.float32(rng.uniform(0, 2 * np.pi)))
    inside = along * along + across * across < (np.float32(radius) * np.clip(outline, 0.3, 1.5)) ** 2
    mask[window.rows, window.cols] = inside
    return mask


def grid_rectangle(terrain: Terrain, *, u: float, v: float, half_u: float, half_v: float) -> NDArray[np.bool_]:
    """Return a `(height, width)` mask of a rectangle along the field grid; centre and half sides in metres."""
    near_u = np.abs(terrain.u - np.float32(u)) < np.float32(half_u)
    near_v = np.abs(terrain.v - np.float32(v)) < np.float32(half_v)
    inside: NDArray[np.bool_] = near_u & near_v
    return inside
