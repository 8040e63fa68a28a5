"""Value types of the pixel plane: a window on the grid, and the two-date tile read from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["PixelWindow", "Tile"]


@dataclass(frozen=True, slots=True, order=True)
class PixelWindow:
    """A rectangle of pixels on a scene's grid.

    Attributes:
        row: Row of the upper-left pixel, counted from 0 at the top of the grid.
        col: Column of the upper-left pixel, counted from 0 at the left of the grid.
        height: Number of rows.
        width: Number of columns.
    """

    row: int
    col: int
    height: int
    width: int

    @property
    def rows(self) -> slice:
        """The rows as a slice."""
        return slice(self.row, self.row + self.height)

    @property
    def cols(self) -> slice:
        """The columns as a slice."""
        return slice(self.col, self.col + self.width)

    @property
    def is_empty(self) -> bool:
        """Whether the window holds no pixel."""
        return self.height <= 0 or self.width <= 0

    def shifted(self, *, rows: int, cols: int) -> PixelWindow:
        """The window moved by whole pixels."""
        return PixelWindow(self.row + rows, self.col + cols, self.height, self.width)

    def clipped(self, *, height: int, width: int) -> PixelWindow:
        """The part of the window inside a grid of `height` rows and `width` columns; empty where there is none."""
        if 0 <= self.row <= height - self.height and 0 <= self.col <= width - self.width:
            return self
        top, left = max(self.row, 0), max(self.col, 0)
        bottom, right = min(self.row + self.height, height), min(self.col + self.width, width)
        return PixelWindow(top, left, max(bottom - top, 0), max(right - left, 0))

    def __str__(self) -> str:
        return f"rows {self.row} to {self.row + self.height}, columns {self.col} to {self.col + self.width}"


@dataclass(frozen=True, slots=True, eq=False)
class Tile:
    """The pixels of both dates under one window.

    Attributes:
        image: `(T=2, C=3, h, w)` uint8, red, green, blue, the earlier date first. Invalid pixels are 0 in both dates.
        valid: `(h, w)` bool, True where both dates hold data.
    """

    image: NDArray[np.uint8]
    valid: NDArray[np.bool_]

    @property
    def valid_fraction(self) -> float:
        """Share of the pixels, in [0, 1], that are valid in both dates."""
        return np.count_nonzero(self.valid) / self.valid.size if self.valid.size else 0.0

    def padded(self, size: int) -> Tile:
        """The tile grown to at least `size` pixels a side by invalid zeros at the bottom and the right.

        Take `valid_fraction` before padding: afterwards the padding counts as ground without data.
        """
        height, width = self.valid.shape
        bottom, right = max(size - height, 0), max(size - width, 0)
        if not bottom and not right:
            return self
        return Tile(
            np.pad(self.image, ((0, 0), (0, 0), (0, bottom), (0, right))),
            np.pad(self.valid, ((0, bottom), (0, right))),
        )
