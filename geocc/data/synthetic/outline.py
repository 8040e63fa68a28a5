"""The outline of a mask, exactly along the edges of its pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import shapely

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geocc.data.synthetic.frame import Window

__all__ = ["outline"]


def outline(mask: NDArray[np.bool_], window: Window) -> shapely.MultiPolygon:
    """Return the union of the pixels of a mask, as polygons in the pixel coordinates of the scene.

    Args:
        mask: `(height, width)`, the size of `window`.
        window: Where the mask lies in the scene.
    """
    padded = np.pad(mask, ((0, 0), (1, 1))).astype(np.int8)
    steps = np.diff(padded, axis=1)
    rows, starts = np.nonzero(steps == 1)
    ends = np.nonzero(steps == -1)[1]
    runs = shapely.box(starts + window.left, rows + window.top, ends + window.left, rows + window.top + 1)
    merged = shapely.union_all(runs)
    parts = [part for part in shapely.get_parts(merged) if isinstance(part, shapely.Polygon)]
    return shapely.MultiPolygon(parts)
