"""The colours of a place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from geocc.data.synthetic.cover import Cover

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geocc.data.synthetic.conditions import Conditions
    from geocc.data.synthetic.parcels import Parcels

__all__ = ["Palette", "draw_palette"]

# Red, green, blue: at the driest and at the lushest, in the order of Cover.
_DRY = np.array(
    [
        [0.56, 0.51, 0.36],
        [0.60, 0.53, 0.37],
        [0.70, 0.62, 0.50],
        [0.33, 0.31, 0.23],
        [0.16, 0.24, 0.27],
        [0.50, 0.50, 0.51],
        [0.40, 0.40, 0.42],
        [0.17, 0.15, 0.14],
        [0.44, 0.40, 0.31],
        [0.52, 0.50, 0.48],
        [0.66, 0.66, 0.66],
    ],
    dtype=np.float32,
)
_LUSH = np.array(
    [
        [0.33, 0.45, 0.22],
        [0.35, 0.46, 0.21],
        [0.64, 0.56, 0.45],
        [0.17, 0.29, 0.13],
        [0.16, 0.24, 0.27],
        [0.48, 0.48, 0.49],
        [0.38, 0.38, 0.40],
        [0.15, 0.14, 0.13],
        [0.40, 0.37, 0.28],
        [0.50, 0.48, 0.46],
        [0.66, 0.66, 0.66],
    ],
    dtype=np.float32,
)
_JITTERED = 7
_MUD = np.array([0.36, 0.37, 0.29], dtype=np.float32)
# Four crops, each dry and lush.
_CROPS_DRY = np.array([[0.68, 0.60, 0.40], [0.55, 0.45, 0.32], [0.60, 0.55, 0.36], [0.50, 0.43, 0.33]], np.float32)
_CROPS_LUSH = np.array([[0.44, 0.50, 0.22], [0.27, 0.43, 0.17], [0.36, 0.48, 0.24], [0.52, 0.54, 0.27]], np.float32)


@dataclass(frozen=True, slots=True)
class Palette:
    """Colours that both dates share: `(covers, 3)` by cover, at the driest and at the lushest, in [0, 1]."""

    dry: NDArray[np.float32]
    lush: NDArray[np.float32]

    def endpoints(self, conditions: Conditions) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the dry and the lush colours as the date has them, with its water."""
        dry, lush = self.dry.copy(), self.lush.copy()
        muddy = np.float32(conditions.turbidity)
        for colours in (dry, lush):
            colours[Cover.WATER] = (1 - muddy) * colours[Cover.WATER] + muddy * _MUD
        return dry, lush

    def crop_colours(self, parcels: Parcels, conditions: Conditions) -> NDArray[np.float32]:
        """Return the `(parcels, 3)` colour of every field: what is sown on it, and how far it has grown."""
        rng = np.random.default_rng([conditions.crop_seed, 1])
        growth = np.clip(conditions.green + rng.normal(0, 0.25, size=len(parcels.crop)), 0, 1).astype(np.float32)
        crop = np.where(rng.random(len(parcels.crop)) < 0.5, parcels.crop, rng.integers(0, 4, len(parcels.crop)))
        colours = _CROPS_DRY[crop] + (_CROPS_LUSH - _CROPS_DRY)[crop] * growth[:, None]
        return colours * parcels.tone[:, None]


def draw_palette(rng: np.random.Generator) -> Palette:
    """Draw the colours of a place: its soil, its asphalt, its greens."""
    # Covers that came later have no jitter of their own: scenes without them stay what they were.
    jitter = np.ones((len(Cover), 3))
    jitter[:_JITTERED] = 1 + rng.normal(0, 0.05, size=(_JITTERED, 1)) + rng.normal(0, 0.025, size=(_JITTERED, 3))
    dry, lush = _DRY * jitter.astype(np.float32), _LUSH * jitter.astype(np.float32)
    asphalt = np.float32(rng.uniform(0.72, 1.18))
    for colours in (dry, lush):
        colours[Cover.ROAD] *= asphalt
    return Palette(dry=dry, lush=lush)
