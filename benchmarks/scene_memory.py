"""Peak memory of whole runs over scenes of growing size, up to 60,000 x 60,000 pixels, with a stub for the model.

    python benchmarks/scene_memory.py [--sides 15000 30000 60000]

Each run is a process of its own: opening, planning, reading both dates, journal, final GeoPackage. The rasters are tiled
GeoTIFFs of uint8 RGB; a block of noise is compressed once and stands in every place, so that they are decoded in full and made
quickly. Prints the peak and the slope per 1,000 tiles, within the largest run and between runs.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
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

import geocc
from geocc.inference import Caption

if TYPE_CHECKING:
    from geocc.inference import TileBatch

BLOCK, TILE = 512, 256


class Stub:
    """Says something without looking."""

    name, fingerprint, input_size, bytes_per_pair = "stub", "0", TILE, 1

    def caption(self, batch: TileBatch) -> list[Caption]:
        """Caption a batch."""
        text = "A new building stands where there was a field, in the middle of the scene."
        return [Caption(text, changed=True, change_probability=0.9, confidence=0.8) for _ in batch.tile_ids]


def write_scene(path: Path, side: int, seed: int) -> None:
    """Write a tiled, compressed RGB raster; only a few different blocks, each written many times."""
    blocks = np.random.default_rng(seed).integers(100, 140, (4, 3, BLOCK, BLOCK), np.uint8)
    with (
        rasterio.Env(GDAL_CACHEMAX=64 * 2**20),
        rasterio.open(
            path, "w", driver="GTiff", height=side, width=side, count=3, dtype="uint8", crs="EPSG:32632", tiled=True,
            transform=Affine(0.5, 0, 500_000, 0, -0.5, 5_000_000), blockxsize=BLOCK, blockysize=BLOCK, compress="lzw",
            interleave="pixel", photometric="rgb", BIGTIFF="IF_SAFER", SPARSE_OK="TRUE",
        ) as file,
    ):  # fmt: skip
        # Every eighth block holds pixels, the others are holes that read as 0: quick to write, and all are tiles to do.
        for number, (_, window) in enumerate(file.block_windows(1)):
            if number % 8 == 0:
                file.write(blocks[number // 8 % 4][:, : window.height, : window.width], window=window)


def child(t1: str, t2: str, output: str) -> None:
    """Run once and print what it took."""
    process, samples, done = psutil.Process(), [], [0]
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(0.2):
            samples.append((done[0], process.memory_info().rss))

    def count(tiles: int, _: int) -> None:
        done[0] = tiles

    watcher = threading.Thread(target=watch)
    watcher.start()
    started = time.perf_counter()
    layer = geocc.caption_changes(
        t1, t2, model=Stub(), tile_size=TILE, batch_size=32, output=output, progress=count, min_valid_fraction=0.0
    )
    seconds = time.perf_counter() - started
    stop.set()
    watcher.join()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    running = np.array([sample for sample in samples if 0.2 * len(layer) < sample[0] < len(layer)], float)
    slope = float(np.polyfit(running[:, 0], running[:, 1], 1)[0]) if len(running) > 3 else float("nan")
    print(json.dumps({"tiles": len(layer), "peak": peak, "slope": slope, "seconds": seconds}))


def main() -> None:
    """Print one line per scene, and the slopes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sides", type=int, nargs="+", default=[15_000, 30_000, 60_000])
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        child(*given.child)
        return
    found = []
    print("| side | tiles | peak, MB | tiles/s | growth while it runs, MB per 1,000 tiles |\n|---|---|---|---|---|")
    for side in given.sides:
        with tempfile.TemporaryDirectory() as folder:
            paths = [Path(folder) / name for name in ("t1.tif", "t2.tif")]
            for seed, path in enumerate(paths):
                write_scene(path, side, seed)
            command = [sys.executable, __file__, "--child", *map(str, paths), str(Path(folder) / "changes.gpkg")]
            answer = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - itself
            row = json.loads(answer.stdout.splitlines()[-1])
        found.append(row)
        print(
            f"| {side:,} | {row['tiles']:,} | {row['peak'] / 1e6:,.0f} | {row['tiles'] / row['seconds']:,.0f} | "
            f"{row['slope'] * 1e3 / 1e6:.2f} |",
            flush=True,
        )
    if len(found) > 1:
        slope = np.polyfit([row["tiles"] for row in found], [row["peak"] for row in found], 1)[0]
        print(f"\nPeak against size of the run: {slope * 1e3 / 1e6:.2f} MB per 1,000 tiles")


if __name__ == "__main__":
    main()
