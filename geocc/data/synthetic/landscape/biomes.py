"""Kinds of country."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["BIOMES", "Biome"]

Range = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Biome:
    """A kind of country; ranges are drawn from evenly.

    Attributes:
        forest: Share of the land under trees.
        fields: Share of the parcels that are tilled.
        bare: Share of them that are bare.
        parcel_m: Sides of the parcels in metres.
        water: Share of the land under lakes.
        river: Probability of a river.
        towns: Mean number of towns.
        green: How lush the vegetation is in its worst and its best season, from 0 to 1.
        evergreen: How much of their green trees keep in the worst season, from 0 to 1.
        pivots: Share of scenes with fields watered in circles.
        soil: Reflectance of bare soil in blue, green, red, near and shortwave infrared.
    """

    forest: Range
    fields: Range
    bare: Range
    parcel_m: Range
    water: Range
    river: float
    towns: float
    green: Range
    evergreen: float
    pivots: float
    soil: tuple[float, float, float, float, float]


BIOMES = {
    "farmland": Biome(
        forest=(0.05, 0.28),
        fields=(0.6, 0.92),
        bare=(0.0, 0.03),
        parcel_m=(90, 480),
        water=(0.0, 0.03),
        river=0.35,
        towns=1.6,
        green=(0.15, 1.0),
        evergreen=0.35,
        pivots=0.0,
        soil=(0.09, 0.13, 0.18, 0.26, 0.33),
    ),
    "prairie": Biome(
        forest=(0.0, 0.03),
        fields=(0.55, 0.9),
        bare=(0.0, 0.02),
        parcel_m=(250, 850),
        water=(0.03, 0.2),
        river=0.1,
        towns=0.3,
        green=(0.2, 0.95),
        evergreen=0.2,
        pivots=0.1,
        soil=(0.08, 0.11, 0.15, 0.22, 0.28),
    ),
    "dryland": Biome(
        forest=(0.0, 0.04),
        fields=(0.02, 0.15),
        bare=(0.0, 0.15),
        parcel_m=(300, 900),
        water=(0.0, 0.02),
        river=0.2,
        towns=0.8,
        green=(0.0, 0.35),
        evergreen=0.6,
        pivots=0.7,
        soil=(0.15, 0.21, 0.29, 0.36, 0.43),
    ),
    "rainforest": Biome(
        forest=(0.55, 0.93),
        fields=(0.1, 0.5),
        bare=(0.0, 0.05),
        parcel_m=(120, 500),
        water=(0.0, 0.02),
        river=0.65,
        towns=0.8,
        green=(0.7, 1.0),
        evergreen=1.0,
        pivots=0.0,
        soil=(0.09, 0.14, 0.24, 0.33, 0.38),
    ),
    "savanna": Biome(
        forest=(0.12, 0.45),
        fields=(0.1, 0.4),
        bare=(0.0, 0.08),
        parcel_m=(120, 600),
        water=(0.0, 0.03),
        river=0.4,
        towns=0.8,
        green=(0.05, 0.9),
        evergreen=0.55,
        pivots=0.1,
        soil=(0.09, 0.13, 0.21, 0.30, 0.37),
    ),
    "boreal": Biome(
        forest=(0.5, 0.85),
        fields=(0.0, 0.12),
        bare=(0.0, 0.04),
        parcel_m=(150, 600),
        water=(0.02, 0.18),
        river=0.3,
        towns=0.3,
        green=(0.35, 0.95),
        evergreen=0.85,
        pivots=0.0,
        soil=(0.10, 0.13, 0.16, 0.22, 0.27),
    ),
}
