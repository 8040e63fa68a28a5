"""Reading against a bare loop of windowed rasterio reads of the same tiles, in the same process, turn by turn.

    python benchmarks/scene_reading.py [--side 12800] [--rounds 3]

Prints, for tiles side by side and for tiles that overlap by half: tiles per second of the bare loop, and of geocc's whole way
(reading, validity, one stretch, batches, a stub for the model) with 0 and 4 threads, and with a journal on disk; how often
each block of the files was read; time per tile of a small and a large scene; and what a plan of a million tiles costs.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import rasterio
from affine import Affine
from rasterio.windows import Window

from geocc.inference import Caption, RunSettings, caption_batches
from geocc.journal import open_journal
from geocc.scene import ScenePair, TilePlan, open_pair, plan_tiles
from geocc.scene.files import FileSource

if TYPE_CHECKING:
    from collections.abc import Callable

    from geocc.inference import TileBatch
    from geocc.scene.source import Planes
    from geocc.scene.window import PixelWindow

BLOCK, TILE = 512, 256


class Stub:
    """Says something without looking."""

    name, fingerprint, input_size, bytes_per_pair = "stub", "0", TILE, 1

    def caption(self, batch: TileBatch) -> list[Caption]:
        """Caption a batch."""
        return [Caption("A new building stands in the field.", changed=True) for _ in batch.tile_ids]


def write_scene(path: Path, side: int, seed: int) -> None:
    """Write a tiled RGB raster with deflate; a few different blocks, each in many places."""
    blocks = np.random.default_rng(seed).integers(100, 140, (4, 3, BLOCK, BLOCK), np.uint8)
    with rasterio.open(
        path, "w", driver="GTiff", height=side, width=side, count=3, dtype="uint8", crs="EPSG:32632", tiled=True,
        transform=Affine(0.5, 0, 500_000, 0, -0.5, 5_000_000), blockxsize=BLOCK, blockysize=BLOCK, compress="deflate",
        zlevel=1, interleave="pixel", photometric="rgb", num_threads="all_cpus",
    ) as file:  # fmt: skip
        for number, (_, window) in enumerate(file.block_windows(1)):
            file.write(blocks[number % 4][:, : window.height, : window.width], window=window)


def bare(paths: list[Path], plan: TilePlan) -> None:
    """What one would write by hand."""
    with ExitStack() as stack:
        files = [stack.enter_context(rasterio.open(path)) for path in paths]
        for tile in plan:
            for file in files:
                file.read((1, 2, 3), window=Window(tile.col, tile.row, tile.width, tile.height))


def whole_way(pair: ScenePair, plan: TilePlan, folder: Path | None, *, threads: int) -> None:
    """Everything but the model; with a folder also the journal that a run with an output file keeps there."""
    settings = RunSettings(batch_size=32, read_threads=threads)
    if folder is None:
        for _ in caption_batches(pair, plan, Stub(), settings):
            pass
        return
    with open_journal(folder / "changes.gpkg", plan=plan, fingerprint={}, resume=False) as journal:
        for results in caption_batches(pair, plan, Stub(), settings):
            journal.append(results)
        journal.discard()


def timed(work: Callable[[], None]) -> tuple[float, float]:
    """Seconds, and seconds of CPU."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def compare(paths: list[Path], folder: Path, *, stride: int, rounds: int) -> float:
    """Print one block of lines; returns the CPU seconds per tile with threads."""
    pair = open_pair(*paths)
    plan = plan_tiles(pair, tile_size=TILE, stride=stride)
    ways: dict[str, Callable[[], None]] = {
        "bare loop": lambda: bare(paths, plan),
        "geocc, no threads": lambda: whole_way(pair, plan, None, threads=0),
        "geocc, 4 threads": lambda: whole_way(pair, plan, None, threads=4),
        "geocc, 4 threads, journal": lambda: whole_way(pair, plan, folder, threads=4),
    }
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, work in ways.items():
            taken[name].append(timed(work))
    base = min(wall for wall, _ in taken["bare loop"])
    base_median = statistics.median(wall for wall, _ in taken["bare loop"])
    base_cpu = min(cpu for _, cpu in taken["bare loop"])
    print(f"\n{len(plan):,} tiles of {TILE}, stride {stride}\n")
    print("| | tiles/s, best | median | of bare, best | median | tiles per CPU second | of bare |")
    print("|---|---|---|---|---|---|---|")
    for name, times in taken.items():
        walls = [wall for wall, _ in times]
        best, median = min(walls), statistics.median(walls)
        cpu = min(cpu for _, cpu in times)
        print(
            f"| {name} | {len(plan) / best:,.0f} | {len(plan) / median:,.0f} | {base / best:.0%} | "
            f"{base_median / median:.0%} | {len(plan) / cpu:,.0f} | {base_cpu / cpu:.0%} |"
        )
    print(f"\nreads per block: {reads_per_block(pair, plan):.2f}")
    return min(cpu for _, cpu in taken["geocc, 4 threads"]) / len(plan)


def reads_per_block(pair: ScenePair, plan: TilePlan) -> float:
    """How often each block under the tiles was read, on average over both dates."""
    read, pixels = FileSource.read, []

    def count(self: FileSource, window: PixelWindow) -> Planes:
        pixels.append(window.height * window.width)
        return read(self, window)

    FileSource.read = count  # type: ignore[method-assign]
    try:
        for _ in caption_batches(pair, plan, Stub(), RunSettings(batch_size=32)):
            pass
    finally:
        FileSource.read = read  # type: ignore[method-assign]
    height, width = pair.geobox.shape
    return sum(pixels) / (2 * height * width)


def plan_a_million() -> None:
    """Plan, name, outline, save and load a million tiles; print seconds and the peak of this process."""
    from odc.geo.geobox import GeoBox

    geobox = GeoBox((128_000, 128_000), Affine(0.5, 0, 500_000, 0, -0.5, 5_000_000), "EPSG:32632")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    steps = {}
    started = time.perf_counter()
    plan = plan_tiles(geobox, tile_size=128)
    steps["plan"] = time.perf_counter() - started
    plan.tile_ids  # noqa: B018 - made when first asked for
    steps["names"] = time.perf_counter() - started - sum(steps.values())
    with tempfile.TemporaryDirectory() as folder:
        path = plan.save(Path(folder) / "plan.npz")
        steps["save"] = time.perf_counter() - started - sum(steps.values())
        if TilePlan.load(path) != plan:
            raise SystemExit("the loaded plan differs")
    steps["load"] = time.perf_counter() - started - sum(steps.values())
    steps["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    started = time.perf_counter()
    plan.footprints()
    steps["footprints"] = time.perf_counter() - started
    steps["peak with footprints"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"tiles": len(plan), "MB before": before} | steps))


def main() -> None:
    """Print all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=12_800)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--plan", action="store_true", help="only the plan of a million tiles")
    given = parser.parse_args()
    if given.plan:
        plan_a_million()
        return
    answer = subprocess.run([sys.executable, __file__, "--plan"], check=True, capture_output=True, text=True)  # noqa: S603 - itself
    print("plan of a million tiles, seconds and MB:", answer.stdout.strip())
    per_tile = []
    for side, strides in ((4096, (128,)), (given.side, (256, 128))):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            paths = [folder / "t1.tif", folder / "t2.tif"]
            for seed, path in enumerate(paths):
                write_scene(path, side, seed)
            print(f"\n## {side:,} x {side:,}, blocks of {BLOCK}, deflate")
            per_tile += [compare(paths, folder, stride=stride, rounds=given.rounds) for stride in strides]
    print(f"\nCPU time per tile, large scene over small: {per_tile[-1] / per_tile[0]:.2f}")


if __name__ == "__main__":
    main()
