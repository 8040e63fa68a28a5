"""A cache in front of a raster that reads each of its blocks once.

Tiles that overlap, or that lie across blocks, want the same blocks again. A block is read whole, cut into cells, and each
cell kept until the last tile that needs it has been read; the plan is known, so that moment is too:

    blocks (as stored)        cells (as kept)
    +---------------+         +---+---+---+---+
    |               |         |   |   |   |   |   after the tiles of this block only the cells
    |               |   ──▶   |   |   |   | x |   marked x wait for tiles that reach into the next
    |               |         | x | x | x | x |
    +---------------+         +---+---+---+---+
"""

from __future__ import annotations

import threading
from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING, Any

import numpy as np

from geocc.errors import ReadError
from geocc.scene.source import Planes, all_valid, known_valid
from geocc.scene.window import PixelWindow

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from odc.geo.geobox import GeoBox

    from geocc.scene.blocks import BlockGrid, Cells, Windows
    from geocc.scene.source import Source

__all__ = ["CachedSource"]


class CachedSource:
    """A source whose blocks are read once for all the windows that are going to be wanted. Safe in several threads.

    Args:
        source: The source.
        cells: Its cells.
        windows: `(N,)` windows that will be read, in this order, and released by their position.
        budget: Bytes to keep at the most; beyond it, cells wanted last are dropped and read again.
    """

    def __init__(self, source: Source, cells: Cells, windows: Windows, *, budget: int) -> None:
        self.source = source
        self._cells = cells
        self._rows: list[int] = cells.rows.tolist()
        self._cols: list[int] = cells.cols.tolist()
        self._uses = cells.uses(windows)
        self._under = cells.under(windows)
        self._kept: dict[tuple[int, int], Planes] = {}
        self._bytes = 0
        self._budget = budget
        self._lock = threading.Lock()
        self._loading: dict[tuple[int, int], threading.Event] = {}
        self._damaged: set[tuple[int, int]] = set()

    @property
    def date(self) -> str:
        """``"t1"`` or ``"t2"``."""
        return self.source.date

    @property
    def name(self) -> str:
        """What the raster is called, without secrets."""
        return self.source.name

    @property
    def geobox(self) -> GeoBox:
        """Its grid."""
        return self.source.geobox

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of its values."""
        return self.source.dtype

    @property
    def bands(self) -> tuple[str, ...]:
        """Names of red, green and blue."""
        return self.source.bands

    @property
    def nodata(self) -> tuple[float | None, ...]:
        """Nodata values of red, green and blue."""
        return self.source.nodata

    @property
    def label(self) -> Any:
        """When it was taken."""
        return self.source.label

    @property
    def blocks(self) -> BlockGrid | None:
        """How it is stored."""
        return self.source.blocks

    def read(self, window: PixelWindow) -> Planes:
        """Read a window out of the cells under it; raises ReadError as the source does."""
        wanted = self._touched(window)
        with self._lock:
            cells = {cell: self._kept[cell] for cell in wanted if cell in self._kept}
        if len(cells) < len(wanted):
            for unit in sorted({self._unit(cell) for cell in wanted}):
                found = self._get(unit, [cell for cell in wanted if self._unit(cell) == unit])
                if found is None:
                    # Some block of the unit is damaged, and perhaps not one that this window needs.
                    return self.source.read(window)
                cells.update(found)
        return self._assemble(window, cells)

    def release(self, position: int) -> None:
        """Say that one of the windows has been read; what none of the others needs is dropped."""
        top, bottom = int(self._under.top[position]), int(self._under.bottom[position])
        left, right = int(self._under.left[position]), int(self._under.right[position])
        with self._lock:
            for cell in ((r, c) for r in range(top, bottom) for c in range(left, right)):
                self._uses[cell] -= 1
                if self._uses[cell] <= 0:
                    self._drop(cell)

    def _touched(self, window: PixelWindow) -> list[tuple[int, int]]:
        top, bottom = bisect_right(self._rows, window.row) - 1, bisect_left(self._rows, window.row + window.height)
        left, right = bisect_right(self._cols, window.col) - 1, bisect_left(self._cols, window.col + window.width)
        return [(row, col) for row in range(top, bottom) for col in range(left, right)]

    def _unit(self, cell: tuple[int, int]) -> tuple[int, int]:
        return int(self._cells.unit_of_row[cell[0]]), int(self._cells.unit_of_col[cell[1]])

    def _get(self, unit: tuple[int, int], wanted: list[tuple[int, int]]) -> dict[tuple[int, int], Planes] | None:
        """The cells of one unit, from the cache or the source; None where the source cannot give all of them."""
        while True:
            with self._lock:
                if unit in self._damaged:
                    return None
                found = {cell: self._kept[cell] for cell in wanted if cell in self._kept}
                if len(found) == len(wanted):
                    return found
                loaded = self._loading.get(unit)
                if loaded is None:
                    self._loading[unit] = threading.Event()
                    missing = self._worth_reading(unit, wanted)
            if loaded is None:
                return self._load(unit, missing, wanted)
            loaded.wait()

    def _worth_reading(self, unit: tuple[int, int], wanted: list[tuple[int, int]]) -> list[tuple[int, int]]:
        """What is wanted now or later of a unit: the block is read whole in any case, so all of that is taken."""
        rows, cols = (
            np.flatnonzero(of == index)
            for of, index in ((self._cells.unit_of_row, unit[0]), (self._cells.unit_of_col, unit[1]))
        )
        later = [(r, c) for r in rows.tolist() for c in cols.tolist() if self._uses[r, c] > 0]
        return sorted({*later, *wanted})

    def _load(
        self, unit: tuple[int, int], missing: list[tuple[int, int]], wanted: list[tuple[int, int]]
    ) -> dict[tuple[int, int], Planes] | None:
        try:
            fresh = self._read_cells(missing)
        except ReadError:
            fresh = None
        except BaseException:
            self._settle(unit, {})
            raise
        self._settle(unit, fresh)
        return None if fresh is None else {cell: fresh[cell] for cell in wanted}

    def _settle(self, unit: tuple[int, int], fresh: dict[tuple[int, int], Planes] | None) -> None:
        """Keep what was read, let others have it, and stay within the budget."""
        with self._lock:
            if fresh is None:
                self._damaged.add(unit)
            for cell, planes in (fresh or {}).items():
                if self._uses[cell] > 0 and cell not in self._kept:
                    self._kept[cell] = planes
                    self._bytes += _size(planes)
            self._loading.pop(unit).set()
            while self._bytes > self._budget and self._kept:
                self._drop(max(self._kept, key=_wanted_last))

    def _read_cells(self, cells: list[tuple[int, int]]) -> dict[tuple[int, int], Planes]:
        rows, cols = [r for r, _ in cells], [c for _, c in cells]
        top, left = self._rows[min(rows)], self._cols[min(cols)]
        bottom, right = self._rows[max(rows) + 1], self._cols[max(cols) + 1]
        planes = self.source.read(PixelWindow(top, left, bottom - top, right - left))
        if len(cells) == 1:
            return {cells[0]: Planes(planes.values, _compact(planes.valid))}
        found = {}
        for row, col in cells:
            place = (
                slice(self._rows[row] - top, self._rows[row + 1] - top),
                slice(self._cols[col] - left, self._cols[col + 1] - left),
            )
            # Copies: a view would keep the whole unit in memory.
            found[row, col] = Planes(planes.values[:, *place].copy(), _compact(planes.valid[place]))
        return found

    def _assemble(self, window: PixelWindow, cells: dict[tuple[int, int], Planes]) -> Planes:
        if len(cells) == 1:
            ((row, col), planes), *_ = cells.items()
            inside = window.shifted(rows=-self._rows[row], cols=-self._cols[col])
            return Planes(planes.values[:, inside.rows, inside.cols], planes.valid[inside.rows, inside.cols])
        whole = all(known_valid(planes.valid) for planes in cells.values())
        shape = (window.height, window.width)
        values = np.empty((3, *shape), self.source.dtype)
        valid = all_valid(shape) if whole else np.empty(shape, bool)
        for (row, col), planes in cells.items():
            top, left = self._rows[row], self._cols[col]
            r0, r1 = max(top, window.rows.start), min(self._rows[row + 1], window.rows.stop)
            c0, c1 = max(left, window.cols.start), min(self._cols[col + 1], window.cols.stop)
            there = slice(r0 - window.row, r1 - window.row), slice(c0 - window.col, c1 - window.col)
            here = slice(r0 - top, r1 - top), slice(c0 - left, c1 - left)
            values[:, *there] = planes.values[:, *here]
            if not whole:
                valid[there] = planes.valid[here]
        return Planes(values, valid)

    def _drop(self, cell: tuple[int, int]) -> None:
        planes = self._kept.pop(cell, None)
        if planes is not None:
            self._bytes -= _size(planes)


def _wanted_last(cell: tuple[int, int]) -> tuple[int, int]:
    # Tiles are read in bands, from left to right: the lowest cells wait for the next band, the left ones longest.
    return cell[0], -cell[1]


def _compact(valid: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The mask, in no memory where all of it is valid."""
    return all_valid(valid.shape) if known_valid(valid) or valid.all() else valid.copy()


def _size(planes: Planes) -> int:
    return int(planes.values.nbytes + (0 if known_valid(planes.valid) else planes.valid.nbytes))
