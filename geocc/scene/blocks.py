"""How a raster is stored: the blocks in which it is read, and the cells in which they are kept."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["BlockGrid", "Cells", "Windows"]

_UNIT = 256  # pixels a side below which blocks are read several at a time
_CELL = 512  # pixels a side above which a block is cut into cells


@dataclass(frozen=True, slots=True, eq=False)
class BlockGrid:
    """Where the blocks of a raster, or the chunks of an array, begin and end.

    Attributes:
        rows: `(R + 1,)` int64, from 0 to the height of the raster.
        cols: `(C + 1,)` int64, from 0 to its width.
    """

    rows: NDArray[np.int64]
    cols: NDArray[np.int64]

    @classmethod
    def regular(cls, *, height: int, width: int, block_height: int, block_width: int) -> BlockGrid:
        """Blocks of one size, the last ones cut off at the edge."""
        return cls(
            np.append(np.arange(0, height, block_height), height), np.append(np.arange(0, width, block_width), width)
        )

    def flipped(self, *, rows: bool, cols: bool) -> BlockGrid:
        """The grid with the order of its rows or columns turned round."""
        return BlockGrid(
            (self.rows[-1] - self.rows)[::-1] if rows else self.rows,
            (self.cols[-1] - self.cols)[::-1] if cols else self.cols,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """Many windows at once, as arrays `(N,)` of their first and last-plus-one rows and columns."""

    top: NDArray[np.int64]
    bottom: NDArray[np.int64]
    left: NDArray[np.int64]
    right: NDArray[np.int64]

    def clipped(self, *, height: int, width: int) -> Windows:
        """The parts inside a grid; some may be empty."""
        return Windows(
            *(np.clip(edge, 0, height) for edge in (self.top, self.bottom)),
            *(np.clip(edge, 0, width) for edge in (self.left, self.right)),
        )


class Cells:
    """The cells of a raster: which unit of reading each belongs to, and which of them a window touches."""

    def __init__(self, grid: BlockGrid) -> None:
        self.unit_rows, self.unit_cols = _units(grid.rows), _units(grid.cols)
        self.rows, self.cols = _cut(self.unit_rows), _cut(self.unit_cols)
        self.unit_of_row = np.searchsorted(self.unit_rows, self.rows[:-1], side="right") - 1
        self.unit_of_col = np.searchsorted(self.unit_cols, self.cols[:-1], side="right") - 1

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of cells."""
        return len(self.rows) - 1, len(self.cols) - 1

    def last_unit(self, windows: Windows) -> NDArray[np.int64]:
        """A number for the lowest and rightmost unit that each window reaches into."""
        cells = self.under(windows)
        rows, cols = (
            self.unit_of_row[np.maximum(cells.bottom - 1, 0)],
            self.unit_of_col[np.maximum(cells.right - 1, 0)],
        )
        return np.asarray(rows * len(self.unit_cols) + cols, np.int64)

    def under(self, windows: Windows) -> Windows:
        """The cells that each window touches; none where the window is empty."""
        empty = (windows.bottom <= windows.top) | (windows.right <= windows.left)
        top, left = (
            np.searchsorted(edges, edge, side="right") - 1
            for edges, edge in ((self.rows, windows.top), (self.cols, windows.left))
        )
        bottom, right = (
            np.searchsorted(edges, edge, side="left")
            for edges, edge in ((self.rows, windows.bottom), (self.cols, windows.right))
        )
        return Windows(top, np.where(empty, top, bottom), left, np.where(empty, left, right))

    def uses(self, windows: Windows) -> NDArray[np.int32]:
        """How many of the windows touch each cell, `(rows, columns)` of cells."""
        cells = self.under(windows)
        steps = np.zeros((self.shape[0] + 1, self.shape[1] + 1), np.int32)
        for row, col, step in (
            (cells.top, cells.left, 1),
            (cells.bottom, cells.right, 1),
            (cells.top, cells.right, -1),
            (cells.bottom, cells.left, -1),
        ):
            np.add.at(steps, (np.minimum(row, self.shape[0]), np.minimum(col, self.shape[1])), step)
        counts: NDArray[np.int32] = steps.cumsum(axis=0).cumsum(axis=1)[:-1, :-1]
        return counts


def _units(edges: NDArray[np.int64]) -> NDArray[np.int64]:
    """Edges of blocks taken together until they are `_UNIT` long."""
    wanted = np.arange(0, edges[-1] + _UNIT, _UNIT)
    return np.unique(edges[np.minimum(np.searchsorted(edges, wanted), len(edges) - 1)])


def _cut(edges: NDArray[np.int64]) -> NDArray[np.int64]:
    """Edges with further ones between those that lie more than `_CELL` apart."""
    parts = [
        np.linspace(start, stop, -(-(stop - start) // _CELL), endpoint=False).astype(np.int64)
        for start, stop in itertools.pairwise(edges.tolist())
    ]
    return np.append(np.concatenate(parts), edges[-1])
