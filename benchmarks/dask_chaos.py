"""Kills workers of a Dask cluster while it captions, and compares each layer with that of one process.

    python benchmarks/dask_chaos.py [--runs 20] [--workers 2 4]

In every run one worker is ended at a random moment, in turn with SIGKILL, with a segmentation fault and with a clean exit.
The captioner is a stub that says the mean grey of both dates and takes 20 ms for a batch of 16 tiles.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import random
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import psutil
import rasterio
from affine import Affine
from distributed import Client, LocalCluster

import geocc
from geocc.inference import Caption, DaskExecutor

if TYPE_CHECKING:
    from geocc.inference import TileBatch

BATCH, SIZE, COLS, HANG_S = 16, 32, 50, 60.0
MODES = ("SIGKILL", "segfault", "exit")
DEATHS: list[bool] = []


class Stub:
    """Says the means of both dates, slowly."""

    name, fingerprint, input_size, bytes_per_pair = "stub", "0", SIZE, 1

    def caption(self, batch: TileBatch) -> list[Caption]:
        """Caption a batch."""
        time.sleep(0.02)
        means = batch.images.reshape(len(batch), 2, -1).mean(axis=2)
        return [Caption(f"{a:.3f} became {b:.3f}", changed=bool(b > a), change_probability=0.5) for a, b in means]


def write_scene(folder: Path, tiles: int) -> list[str]:
    """Two dates of noise, `COLS` tiles wide."""
    height, width = -(-tiles // COLS) * SIZE, COLS * SIZE
    paths = []
    for seed in (1, 2):
        values = np.random.default_rng(seed).integers(1, 255, (3, height, width), np.uint8)
        paths.append(str(folder / f"{seed}.tif"))
        with rasterio.open(
            paths[-1], "w", driver="GTiff", height=height, width=width, count=3, dtype="uint8", crs="EPSG:32632",
            transform=Affine(10, 0, 500_000, 0, -10, 5_000_000), tiled=True, blockxsize=256, blockysize=256,
        ) as file:  # fmt: skip
            file.write(values)
    return paths


def strike(client: Client, mode: str, clock: random.Random) -> None:
    """End one worker."""
    pids = client.run(os.getpid)
    victim = clock.choice(sorted(pids))
    process = psutil.Process(pids[victim])
    if mode == "SIGKILL":
        os.kill(pids[victim], signal.SIGKILL)
    elif mode == "segfault":
        client.run(ctypes.string_at, 0, workers=[victim], on_error="ignore")
    else:
        client.run(os._exit, 0, workers=[victim], on_error="ignore")
    DEATHS.append(not psutil.wait_procs([process], timeout=10)[1])


def one_run(client: Client, dates: list[str], mode: str, clock: random.Random, seconds: float) -> tuple[object, float]:
    """A layer captioned while a worker dies, and the longest wait for a tile in seconds."""
    landed = [time.perf_counter()]
    timer = threading.Timer(clock.uniform(0, seconds), strike, (client, mode, clock))
    timer.start()
    layer = geocc.caption_changes(
        *dates, model=Stub(), tile_size=SIZE, batch_size=BATCH, executor=DaskExecutor(client, tiles_per_task=32),
        progress=lambda *_: landed.append(time.perf_counter()),
    )  # fmt: skip
    timer.join()
    return layer, float(np.diff(landed).max())


def main() -> None:
    """Strike, compare, count."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--workers", type=int, nargs="+", default=[2, 4])
    parser.add_argument("--tiles", type=int, default=1000)
    given = parser.parse_args()
    clock = random.Random(1)
    with tempfile.TemporaryDirectory() as folder:
        dates = write_scene(Path(folder), given.tiles)
        options = {"model": Stub(), "tile_size": SIZE, "batch_size": BATCH, "progress": False}
        started = time.perf_counter()
        expected = geocc.caption_changes(*dates, **options)
        seconds = time.perf_counter() - started
        for workers in given.workers:
            equal, longest = 0, 0.0
            DEATHS.clear()
            with (
                LocalCluster(
                    n_workers=workers, threads_per_worker=1, dashboard_address=None, memory_limit=0,
                    silence_logs="CRITICAL", scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
                ) as cluster,
                Client(cluster, set_as_default=False) as client,
            ):  # fmt: skip
                for number in range(given.runs):
                    layer, wait = one_run(client, dates, MODES[number % 3], clock, seconds)
                    equal += layer.equals(expected)
                    longest = max(longest, wait)
                    try:
                        client.wait_for_workers(workers, timeout=15)
                    except TimeoutError:  # Dask's nanny gives up on a worker that dies while it starts
                        client.restart()
                    print(
                        f"{workers} workers, run {number + 1}: {equal} equal, longest wait {longest:.1f} s", flush=True
                    )
            # multiprocessing's own tracker of resources lives as long as this process.
            orphans = [
                p for p in psutil.Process().children(recursive=True) if "resource_tracker" not in str(p.cmdline())
            ]
            print(
                f"{workers} workers: {sum(DEATHS)} deaths, {equal} of {given.runs} equal, longest wait {longest:.1f} s, {len(orphans)} orphans"
            )
            if equal < given.runs or sum(DEATHS) < given.runs or longest > HANG_S or orphans:
                sys.exit(1)


if __name__ == "__main__":
    main()
