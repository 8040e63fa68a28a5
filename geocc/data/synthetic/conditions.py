"""Under what sun, in which season and by which sensor a date is seen: everything that is not change."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

__all__ = ["Conditions", "draw_conditions"]


@dataclass(frozen=True, slots=True)
class Conditions:
    """How one date is seen.

    Attributes:
        green: How lush the vegetation is, from 0 (dry, bare) to 1.
        sun_azimuth: Direction in radians, clockwise from north, from which the sun shines.
        sun_elevation: Its height above the horizon in radians.
        turbidity: Colour of the water, from 0 (dark) to 1 (muddy).
        exposure: Brightness against the ordinary.
        gamma: Exponent of the tone curve.
        tint: Factor of every channel.
        haze: Share of the light that the air scatters, in [0, 1].
        blur: Weight of each neighbour in the sensor's 3-tap kernel, in [0, 0.33].
        noise: Standard deviation of the sensor noise, on the scale of [0, 1].
        shift_x: Misregistration to the right in pixels.
        shift_y: Misregistration downwards in pixels.
        crop_seed: Which crops stand on which parcel.
        traffic: Whether there are cars.
    """

    green: float = 0.7
    sun_azimuth: float = np.radians(150.0)
    sun_elevation: float = np.radians(48.0)
    turbidity: float = 0.3
    exposure: float = 1.0
    gamma: float = 1.0
    tint: tuple[float, float, float] = (1.0, 1.0, 1.0)
    haze: float = 0.0
    blur: float = 0.08
    noise: float = 0.0
    shift_x: float = 0.0
    shift_y: float = 0.0
    crop_seed: int = 0
    traffic: bool = False

    def shadow(self, height_m: float, gsd_m: float) -> tuple[float, float]:
        """Return how far, in pixels to the right and downwards, something of this height throws its shadow."""
        length = height_m / np.tan(self.sun_elevation) / gsd_m
        return float(-np.sin(self.sun_azimuth) * length), float(np.cos(self.sun_azimuth) * length)


def draw_conditions(rng: np.random.Generator, *, nuisance: float, max_shift_px: float) -> tuple[Conditions, Conditions]:
    """Draw how the two dates are seen.

    Args:
        rng: Source of randomness.
        nuisance: From 0, where both dates are seen alike and without noise, to 1, where season, sun, air and sensor
            differ as much as between any two aerial campaigns.
        max_shift_px: Largest misregistration of the later date against the earlier, in pixels in each direction.
    """
    first = _draw(rng, nuisance)
    if nuisance == 0:
        return first, first
    second = _draw(rng, nuisance)
    shift_x, shift_y = rng.uniform(-max_shift_px, max_shift_px, size=2)
    return first, replace(second, shift_x=float(shift_x), shift_y=float(shift_y))


def _draw(rng: np.random.Generator, nuisance: float) -> Conditions:
    """Draw one date."""
    spread = nuisance
    tint = 1 + spread * rng.normal(0, 0.035, size=3)
    return Conditions(
        green=float(np.clip(0.65 + spread * rng.uniform(-0.65, 0.35), 0, 1)),
        sun_azimuth=float(np.radians(165 + spread * rng.uniform(-65, 65))),
        sun_elevation=float(np.radians(46 + spread * rng.uniform(-17, 16))),
        turbidity=float(np.clip(0.3 + spread * rng.uniform(-0.3, 0.6), 0, 1)),
        exposure=float(1 + spread * rng.uniform(-0.2, 0.22)),
        gamma=float(np.exp(spread * rng.normal(0, 0.1))),
        tint=(float(tint[0]), float(tint[1]), float(tint[2])),
        haze=float(spread * rng.choice([0.0, 1.0]) * rng.uniform(0, 0.22)),
        blur=float(0.08 + spread * rng.uniform(0, 0.2)),
        noise=float(spread * rng.uniform(0.004, 0.022)),
        crop_seed=int(rng.integers(2**31)) if nuisance else 0,
        traffic=bool(nuisance),
    )
