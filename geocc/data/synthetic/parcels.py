"""Parcels of land: an uneven chequer along the field grid, each parcel with its use, crop and rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from geocc.data.synthetic.cover import Cover

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geocc.data.synthetic.terrain import Terrain

__all__ = ["Parcels", "divide", "make_parcels"]


@dataclass(frozen=True, slots=True)
class Parcels:
    """The division of the land.

    Attributes:
        index: `(height, width)` parcel number of every pixel.
        cover: Cover of every parcel.
        crop: Number of the crop of every parcel.
        rows_along_u: Whether its rows run along the grid.
        row_spacing_m: Distance between them.
        tone: Its brightness against others of its kind.
        strip_edges: Grid coordinates `u`, in metres, of the borders between strips of parcels.
    """

    index: NDArray[np.int32]
    cover: NDArray[np.uint8]
    crop: NDArray[np.int8]
    rows_along_u: NDArray[np.bool_]
    row_spacing_m: NDArray[np.float32]
    tone: NDArray[np.float32]
    strip_edges: NDArray[np.float32]


def make_parcels(rng: np.random.Generator, terrain: Terrain) -> Parcels:
    """Divide the land and decide the use of every parcel."""
    edges, index = divide(rng, terrain.u, terrain.v, strips=(35, 110), along=(30, 170))
    count = int(index.max()) + 1
    farmed = rng.uniform(0.1, 0.7)
    bare = rng.uniform(0.02, 0.2)
    shares = np.array([1 - farmed - bare, farmed, bare])
    return Parcels(
        index=index,
        cover=rng.choice(np.array([Cover.GRASS, Cover.CROPS, Cover.BARE], dtype=np.uint8), size=count, p=shares),
        crop=rng.integers(0, 4, size=count, dtype=np.int8),
        rows_along_u=rng.random(count) < 0.5,
        row_spacing_m=rng.uniform(2.2, 5.0, size=count).astype(np.float32),
        tone=rng.normal(1.0, 0.07, size=count).astype(np.float32),
        strip_edges=edges,
    )


def divide(
    rng: np.random.Generator,
    u: NDArray[np.float32],
    v: NDArray[np.float32],
    *,
    strips: tuple[float, float],
    along: tuple[float, float],
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Cut a grid into strips along `v`, and every strip into parcels.

    Args:
        rng: Source of randomness.
        u: `(height, width)` coordinate along the grid in metres.
        v: Coordinate across it.
        strips: Least and greatest width of a strip in metres.
        along: Least and greatest length of a parcel in it.

    Returns:
        The borders between the strips, and the parcel number of every pixel.
    """
    low_u, high_u = float(u.min()), float(u.max())
    low_v, high_v = float(v.min()), float(v.max())
    edges = _cuts(rng, low=low_u, high=high_u, shortest=strips[0], longest=strips[1])
    strip = np.searchsorted(edges, np.arange(int(high_u - low_u) + 2) + low_u).astype(np.int32)
    table = np.zeros((len(edges) + 1, int(high_v - low_v) + 2), dtype=np.int32)
    first = 0
    for row in table:
        cuts = _cuts(rng, low=low_v, high=high_v, shortest=along[0], longest=along[1])
        row[:] = first + np.searchsorted(cuts, np.arange(len(row)) + low_v)
        first = int(row.max()) + 1
    index = strip[(u - np.float32(low_u)).astype(np.int32)]
    return edges, table[index, (v - np.float32(low_v)).astype(np.int32)]


def _cuts(rng: np.random.Generator, *, low: float, high: float, shortest: float, longest: float) -> NDArray[np.float32]:
    """Return increasing positions from about `low` to `high`, the steps between them in metres."""
    steps = rng.uniform(shortest, longest, size=int((high - low) / shortest) + 2)
    cuts = low - rng.uniform(0, longest) + np.cumsum(steps)
    return cuts[(cuts > low) & (cuts < high)].astype(np.float32)
