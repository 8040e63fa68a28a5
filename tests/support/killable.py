"""A run in a process of its own, to be killed: captions a generated pair with a stub and keeps count of its batches."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from support import rasters
from support.captioners import StubCaptioner

import geocc

if TYPE_CHECKING:
    from geocc.inference import TileBatch

BATCH = 16


class SlowStub(StubCaptioner):
    """The stub, which writes down the tiles that it is given before it captions them, and takes its time."""

    def __init__(self, log: Path, seconds: float) -> None:
        super().__init__()
        self._log, self._seconds = log, seconds

    def caption(self, batch: TileBatch):
        with self._log.open("a", encoding="utf-8") as file:
            file.write(" ".join(batch.tile_ids) + "\n")
        time.sleep(self._seconds)
        return super().caption(batch)


def pair(*, tiles: int, size: int):
    """Two dates of `tiles` tiles a side, each tile of its own grey, which differ in every third."""
    greys = np.arange(tiles * tiles).reshape(tiles, tiles) % 251
    before = np.kron(greys, np.ones((size, size), int)).astype(np.uint8)
    after = np.where(before % 3 == 0, 255 - before, before).astype(np.uint8)
    grid = rasters.grid(tiles * size, tiles * size)
    return tuple(rasters.scene(grid, np.stack([values] * 3)) for values in (before, after))


def run(output: Path, log: Path, *, tiles: int, size: int = 16, seconds: float = 0.0, resume: bool = True):
    """Caption the pair, or go on with it."""
    t1, t2 = pair(tiles=tiles, size=size)
    return geocc.caption_changes(
        t1,
        t2,
        model=SlowStub(log, seconds),
        tile_size=size,
        batch_size=BATCH,
        output=output,
        resume=resume,
        progress=False,
    )


if __name__ == "__main__":
    run(Path(sys.argv[1]), Path(sys.argv[2]), tiles=int(sys.argv[3]), seconds=float(sys.argv[4]))
