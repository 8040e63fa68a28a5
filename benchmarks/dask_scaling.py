"""Tiles per second of a Dask cluster on this machine, with a stub and with a model.

    python benchmarks/dask_scaling.py [--workers 1 2 4] [--tiles 400] [--model geocc-mini]

The stub waits 100 ms for a batch of 8 tiles, as for a GPU, so that its rate shows what the cluster itself costs. The model
computes, and cannot be faster than the cores.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from dask_chaos import SIZE, Stub, write_scene

import geocc
from geocc.inference import DaskExecutor

if TYPE_CHECKING:
    from geocc.inference import Caption, TileBatch


class SlowStub(Stub):
    """The stub at the pace of a GPU."""

    def caption(self, batch: TileBatch) -> list[Caption]:
        """Caption a batch."""
        time.sleep(0.08)
        return super().caption(batch)


def main() -> None:
    """Time the same scene on clusters of several sizes; the first run loads the model and is not counted."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--tiles", type=int, default=400)
    parser.add_argument("--model", default="")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        dates = write_scene(Path(folder), given.tiles)
        for workers in given.workers:
            options = {"model": given.model or SlowStub(), "tile_size": SIZE, "batch_size": 8, "progress": False}
            with DaskExecutor("local", workers=workers) as executor:
                for measured in (False, True):
                    started = time.perf_counter()
                    layer = geocc.caption_changes(*dates, executor=executor, **options)
                    seconds = time.perf_counter() - started
                    if measured:
                        load = os.getloadavg()[0]
                        print(f"{workers} workers: {len(layer) / seconds:.1f} tiles/s (load {load:.1f})", flush=True)


if __name__ == "__main__":
    main()
