"""The ground under windows of pixels, as polygons: the affine times the pixel corners, and nothing else.

`rio.bounds()` is wrong for rotated grids, and a box around a rotated tile covers its neighbours too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import shapely

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from odc.geo.geobox import GeoBox

__all__ = ["window_polygons"]

_AT_ONCE = 2**16  # windows: the corners of a million at once would take more memory than the polygons


def window_polygons(
    geobox: GeoBox,
    *,
    row: NDArray[np.integer[Any]],
    col: NDArray[np.integer[Any]],
    height: NDArray[np.integer[Any]],
    width: NDArray[np.integer[Any]],
) -> NDArray[np.object_]:
    """One polygon per window, in the CRS of the grid; north-up, south-up, rotated and sheared grids alike.

    Args:
        geobox: The grid.
        row: `(N,)` row of each upper-left pixel.
        col: `(N,)` column of each upper-left pixel.
        height: `(N,)` rows of each window.
        width: `(N,)` columns of each window.

    Returns:
        `(N,)` shapely polygons, each from the upper-left pixel's outer corner over the upper right, lower right and lower
        left back to it.
    """
    polygons = np.empty(len(row), dtype=object)
    for start in range(0, len(row), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        edges = (col[part], row[part], col[part] + width[part], row[part] + height[part])
        left, top, right, bottom = (np.asarray(edge, float) for edge in edges)
        x, y = geobox.pix2wld(
            np.stack([left, right, right, left, left], axis=1),
            np.stack([top, top, bottom, bottom, top], axis=1),
        )
        polygons[part] = shapely.polygons(np.stack([x, y], axis=2))
    return polygons
