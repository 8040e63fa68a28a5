"""In which order tiles are read, so that each block of the rasters is wanted by tiles that follow each other.

The order of the plan, row by row over the whole width, would need every block of a row again for the next row of tiles.
Instead tiles are taken in bands a few blocks high, and in a band block column by block column. A tile belongs to the last
block that it reaches into, so that when it comes up, all its blocks have been read:

    +-------+-------+-------+
    | 1 3 5 | 7  9  | 11 .. |   band 1
    | 2 4 6 | 8 10  |       |
    +-------+-------+-------+
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from geocc.scene.blocks import Cells, Windows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from geocc.scene.plan import TilePlan
    from geocc.scene.views import View

__all__ = ["Dates", "plan_windows", "reading_order"]

_BAND = 2048  # pixels of a band at the least: where the cache cannot hold a band's lower edge, little is read twice


class Dates(Protocol):
    """A pair or a series: dates on one grid."""

    @property
    def views(self) -> Sequence[View]:
        """Every date on the common grid."""
        ...


def plan_windows(plan: TilePlan) -> Windows:
    """The windows of all tiles."""
    return Windows(plan.row, plan.row + plan.height, plan.col, plan.col + plan.width)


def reading_order(scene: Dates, plan: TilePlan) -> NDArray[np.int64]:
    """Positions of the plan's tiles in the order in which they are best read.

    Neighbours in this order share blocks, so a run of it is a good share of work for one process.

    Args:
        scene: The pair or series.
        plan: The tiles.

    Returns:
        `(N,)` a permutation; the plan's own order where no date is stored in blocks.
    """
    stored = [view for view in scene.views if view.source.blocks is not None]
    if not stored or not len(plan):
        return np.arange(len(plan))
    cells = {id(view): _cells(view) for view in stored}
    # The date with the larger blocks: to read those twice costs most.
    view = max(stored, key=lambda one: _largest_unit(cells[id(one)]))
    windows, found = view.source_windows(plan_windows(plan)), cells[id(view)]
    last_row = np.searchsorted(found.unit_rows, windows.bottom, side="left")
    last_col = np.searchsorted(found.unit_cols, windows.right, side="left")
    band_edges = found.unit_rows[np.minimum(last_row, len(found.unit_rows) - 1)] - 1
    band = np.maximum(band_edges, 0) // max(_BAND, int(np.diff(found.unit_rows).max()))
    order: NDArray[np.int64] = np.lexsort((plan.col, plan.row, last_col, band)).astype(np.int64)
    return order


def _cells(view: View) -> Cells:
    blocks: Any = view.source.blocks
    return Cells(blocks)


def _largest_unit(cells: Cells) -> int:
    return int(np.diff(cells.unit_rows).max()) * int(np.diff(cells.unit_cols).max())
