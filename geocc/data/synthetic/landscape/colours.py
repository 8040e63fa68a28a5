"""Reflectances of the land, and how three of its bands become a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from geocc.data.synthetic.cover import Cover

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geocc.data.synthetic.landscape.biomes import Biome

    Field = NDArray[np.float32]
    Image = NDArray[np.float32]

__all__ = ["BANDS", "CROPS_LUSH", "CROPS_RIPE", "WATERS", "develop", "draw_composite", "spectra"]

BANDS = {"rgb": (2, 1, 0), "nir": (3, 2, 1), "swir": (4, 3, 2)}
"""Which of blue, green, red, near and shortwave infrared the three channels show."""

_COMPOSITES = {"medium": {"rgb": 0.75, "nir": 0.25, "swir": 0.0}, "landsat": {"rgb": 0.4, "nir": 0.3, "swir": 0.3}}

# Blue, green, red, near infrared, shortwave infrared; in the order of Cover, at the driest and at the lushest.
_DRY = np.array(
    [
        [0.070, 0.110, 0.145, 0.250, 0.290],
        [0.070, 0.105, 0.140, 0.240, 0.270],
        [0.0, 0.0, 0.0, 0.0, 0.0],
        [0.045, 0.066, 0.075, 0.190, 0.170],
        [0.058, 0.052, 0.032, 0.015, 0.008],
        [0.100, 0.115, 0.125, 0.155, 0.170],
        [0.135, 0.150, 0.160, 0.190, 0.195],
        [0.044, 0.048, 0.056, 0.085, 0.165],
        [0.080, 0.115, 0.130, 0.085, 0.030],
        [0.125, 0.145, 0.165, 0.215, 0.220],
        [0.300, 0.320, 0.330, 0.370, 0.330],
    ],
    np.float32,
)
_LUSH = _DRY.copy()
_LUSH[Cover.GRASS] = (0.038, 0.078, 0.055, 0.360, 0.190)
_LUSH[Cover.CROPS] = (0.034, 0.078, 0.042, 0.430, 0.190)
_LUSH[Cover.TREES] = (0.023, 0.049, 0.027, 0.310, 0.125)

CROPS_RIPE = np.array(
    [
        [0.080, 0.125, 0.165, 0.270, 0.290],
        [0.060, 0.082, 0.110, 0.170, 0.230],
        [0.085, 0.140, 0.170, 0.320, 0.270],
        [0.065, 0.095, 0.120, 0.210, 0.250],
    ],
    np.float32,
)
CROPS_LUSH = np.array(
    [
        [0.030, 0.075, 0.036, 0.470, 0.180],
        [0.040, 0.070, 0.048, 0.370, 0.200],
        [0.045, 0.095, 0.055, 0.420, 0.210],
        [0.034, 0.066, 0.040, 0.400, 0.170],
    ],
    np.float32,
)
"""Four crops, ripe or harvested and at their greenest."""

WATERS = np.array([[0.085, 0.125, 0.140, 0.055, 0.012], [0.036, 0.085, 0.055, 0.060, 0.010]], np.float32)
"""Silty water, and water green with algae."""


def spectra(rng: np.random.Generator, biome: Biome) -> tuple[Field, Field]:
    """Return `(covers, 5)` reflectances of a place at the driest and at the lushest."""
    jitter = 1 + rng.normal(0, 0.06, size=(len(Cover), 1)) + rng.normal(0, 0.03, size=(len(Cover), 5))
    dry, lush = _DRY * jitter.astype(np.float32), _LUSH * jitter.astype(np.float32)
    soil = np.asarray(biome.soil, np.float32) * np.float32(rng.uniform(0.85, 1.25))
    for colours in (dry, lush):
        colours[Cover.BARE] = soil * jitter[Cover.BARE]
        # Dust and dry grass take the colour of the soil.
        colours[Cover.ROAD] = 0.6 * colours[Cover.ROAD] + 0.4 * soil
    dry[Cover.GRASS] = 0.6 * dry[Cover.GRASS] + 0.4 * soil
    return dry, lush


def draw_composite(rng: np.random.Generator, domain: str) -> str:
    """Draw which bands the picture shows."""
    shares = _COMPOSITES[domain]
    return list(shares)[int(rng.choice(len(shares), p=list(shares.values())))]


def develop(rng: np.random.Generator, images: tuple[Image, Image]) -> tuple[Image, Image]:
    """Turn the reflectances of both dates into pictures in [0, 1] by one tone curve.

    It is one of three that are in use: a fixed gain, which leaves forests dark in visible light; a tone curve like a
    display's; or a stretch of every band between two percentiles of both dates.
    """
    way = rng.random()
    if way < 0.35:
        gain = np.float32(rng.uniform(2.0, 3.3))
        return gain * images[0], gain * images[1]
    if way < 0.7:
        white, power = np.float32(rng.uniform(0.25, 0.42)), np.float32(1 / rng.uniform(1.4, 1.9))
        first, second = (np.maximum(image / white, 0) ** power for image in images)
        return first, second
    sample = np.concatenate([image[:, ::5, ::5].reshape(3, -1) for image in images], axis=1)
    low, high = np.percentile(sample, [rng.uniform(0.5, 2), rng.uniform(97, 99.5)], axis=1).astype(np.float32)[
        :, :, None, None
    ]
    first, second = ((image - low) / np.maximum(high - low, np.float32(0.01)) for image in images)
    return first, second
