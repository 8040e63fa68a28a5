"""The colours of all views: told apart by people with any colour vision, and in print."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["FAILED", "INK", "MUTED", "NODATA", "OUTLINE", "RAMP", "UNCHANGED", "probability_color"]

# ColorBrewer's YlOrRd: one direction from light to dark, marked by ColorBrewer as safe for the colour-blind.
RAMP = ("#ffffb2", "#fed976", "#feb24c", "#fd8d3c", "#f03b20", "#bd0026")
"""Colours of a change probability from 0 to 1, evenly spaced."""

UNCHANGED = "#ffffff"
NODATA = "#6b7280"
FAILED = "#0072b2"
OUTLINE = "#00e5ff"  # as no ground is, and no tile
INK = "#1b1f24"
MUTED = "#5b6470"


def probability_color(probability: float, *, ramp: Sequence[str] = RAMP) -> str:
    """Return the colour of a change probability in [0, 1]; the end of the ramp where there is none (NaN)."""
    if math.isnan(probability):
        return ramp[-1]
    position = min(max(probability, 0.0), 1.0) * (len(ramp) - 1)
    low = min(int(position), len(ramp) - 2)
    share = position - low
    channels = (
        round((1 - share) * int(ramp[low][at : at + 2], 16) + share * int(ramp[low + 1][at : at + 2], 16))
        for at in (1, 3, 5)
    )
    return "#" + "".join(f"{channel:02x}" for channel in channels)
