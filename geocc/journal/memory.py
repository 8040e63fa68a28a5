"""The journal of a run that writes no file: nothing outlives the process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from geocc.scene import TilePlan
    from geocc.table import TileResult

__all__ = ["MemoryJournal"]


class MemoryJournal:
    """Results of a run in memory; the methods are those of `Journal`."""

    done = 0

    def __init__(self, plan: TilePlan) -> None:
        self._tiles = len(plan)
        self._results: list[TileResult] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._results.clear()

    def pending(self) -> NDArray[np.int64]:
        """Positions of all tiles."""
        return np.arange(self._tiles)

    def append(self, results: Sequence[TileResult]) -> None:
        """Keep a batch of results."""
        self._results.extend(results)

    def results(self) -> Iterator[TileResult]:
        """All results."""
        return iter(self._results)

    def discard(self) -> None:
        """Forget the results."""
        self._results.clear()
