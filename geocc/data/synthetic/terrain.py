"""The lie of the land: warped coordinates along the field grid, and the random fields that both dates share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from geocc.data.synthetic.noise import fractal_noise, smooth_noise

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geocc.data.synthetic.frame import Frame

    Field = NDArray[np.float32]

__all__ = ["Spot", "Terrain", "make_terrain"]


@dataclass(frozen=True, slots=True)
class Spot:
    """A point of the ground: pixel coordinates and the direction, in radians, of the field grid there."""

    x: float
    y: float
    angle: float


@dataclass(frozen=True, slots=True)
class Terrain:
    """What is common to both dates of a place.

    Attributes:
        frame: Size of the scene.
        angle: Direction of the field grid in radians.
        u: Coordinate along the grid of every pixel, in metres, gently warped.
        v: Coordinate across it.
        warp_u: What the warp added to `u`.
        warp_v: What the warp added to `v`.
        fine: Grain of the size of a pixel.
        medium: Variation over about 6 m.
        coarse: Variation over about 40 m.
        crowns: Relief of a canopy, 0 between the crowns.
        crowns_dx: Its slope to the right.
        crowns_dy: Its slope downwards.
    """

    frame: Frame
    angle: float
    u: Field
    v: Field
    warp_u: Field
    warp_v: Field
    fine: Field
    medium: Field
    coarse: Field
    crowns: Field
    crowns_dx: Field
    crowns_dy: Field

    def locate(self, *, u: float, v: float) -> Spot:
        """Return the pixel at grid coordinates `u`, `v`, which may lie outside the frame."""
        x, y = self._invert(u=u, v=v)
        ahead_x, ahead_y = self._invert(u=u + 4.0, v=v)
        return Spot(x=x, y=y, angle=float(np.arctan2(ahead_y - y, ahead_x - x)))

    def _invert(self, *, u: float, v: float) -> tuple[float, float]:
        """Undo rotation and warp; the warp is smooth, so a few fixed-point steps suffice."""
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        shift_u = shift_v = 0.0
        x = y = 0.0
        for _ in range(4):
            along, across = (u - shift_u) / self.frame.gsd_m, (v - shift_v) / self.frame.gsd_m
            x, y = along * cos - across * sin, along * sin + across * cos
            row = int(np.clip(y, 0, self.frame.height - 1))
            col = int(np.clip(x, 0, self.frame.width - 1))
            shift_u, shift_v = float(self.warp_u[row, col]), float(self.warp_v[row, col])
        return float(x), float(y)


def make_terrain(rng: np.random.Generator, frame: Frame) -> Terrain:
    """Draw the warped grid and the shared random fields of a place."""
    angle = float(rng.uniform(0, np.pi / 2))
    y, x = np.mgrid[0 : frame.height, 0 : frame.width].astype(np.float32) * np.float32(frame.gsd_m)
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    strength = np.float32(rng.uniform(0, 7))
    warp_u = strength * smooth_noise(rng, frame, scale_px=frame.px(160))
    warp_v = strength * smooth_noise(rng, frame, scale_px=frame.px(160))
    # Crowns: the absolute value of a smooth field is round on top and creased in between.
    relief = np.abs(smooth_noise(rng, frame, scale_px=max(frame.px(3.2), 1.5)))
    relief = np.sqrt(relief) * (1 + np.float32(0.25) * smooth_noise(rng, frame, scale_px=max(frame.px(1.2), 1.0)))
    slope_y, slope_x = np.gradient(relief)
    return Terrain(
        frame=frame,
        angle=angle,
        u=x * cos + y * sin + warp_u,
        v=-x * sin + y * cos + warp_v,
        warp_u=warp_u,
        warp_v=warp_v,
        fine=rng.standard_normal((frame.height, frame.width), dtype=np.float32),
        medium=fractal_noise(rng, frame, scale_px=max(frame.px(6), 2.0)),
        coarse=fractal_noise(rng, frame, scale_px=frame.px(40)),
        crowns=relief,
        crowns_dx=slope_x,
        crowns_dy=slope_y,
    )
