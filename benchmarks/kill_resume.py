"""Kills a run of 2,000 tiles with SIGKILL at random moments, goes on each time, and compares the end with a clean run.

    python benchmarks/kill_resume.py [--kills 100] [--tiles 2000]

The captioner is a stub that says the mean grey of both dates and takes 20 ms for a batch of 16 tiles.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import geopandas as gpd
import numpy as np
import rioxarray  # noqa: F401 - registers the accessor
import xarray as xr
from affine import Affine

import geocc
from geocc.inference import Caption
from geocc.journal import journal_path

if TYPE_CHECKING:
    from collections.abc import Iterator

    from geocc.inference import TileBatch

BATCH, SIZE, COLS = 16, 32, 50


class Stub:
    """Says the means of both dates, and writes down which tiles it was given."""

    name, fingerprint, input_size, bytes_per_pair = "stub", "0", SIZE, 1

    def __init__(self, log: Path, seconds: float) -> None:
        self.log, self.seconds = log, seconds

    def caption(self, batch: TileBatch) -> list[Caption]:
        """Caption a batch, slowly."""
        with self.log.open("a", encoding="utf-8") as file:
            file.write(json.dumps(batch.tile_ids) + "\n")
        time.sleep(self.seconds)
        means = batch.images.reshape(len(batch), 2, -1).mean(axis=2)
        return [Caption(f"{a:.3f} became {b:.3f}", changed=bool(b > a), change_probability=0.5) for a, b in means]


def rasters(tiles: int) -> Iterator[xr.DataArray]:
    """Two dates of noise, `COLS` tiles wide."""
    shape = -(-tiles // COLS) * SIZE, COLS * SIZE
    for seed in (1, 2):
        values = np.random.default_rng(seed).integers(1, 255, (3, *shape), np.uint8)
        array = xr.DataArray(values, dims=("band", "y", "x"))
        yield array.rio.write_transform(Affine(10, 0, 500_000, 0, -10, 5_000_000)).rio.write_crs("EPSG:32632")


def run(output: Path, log: Path, *, tiles: int, seconds: float, resume: bool) -> gpd.GeoDataFrame:
    """Caption the scene, or go on with it."""
    return geocc.caption_changes(
        *rasters(tiles), model=Stub(log, seconds), tile_size=SIZE, batch_size=BATCH, output=output, resume=resume,
        progress=False,
    )  # fmt: skip


def counts(log: Path) -> np.ndarray:
    """How often each tile was given to the captioner."""
    names = [name for line in log.read_text().splitlines() if line.endswith("]") for name in json.loads(line)]
    return np.unique(names, return_counts=True)[1]


def kill_once(command: list[str], log: Path, clock: random.Random, longest: float) -> bool:
    """Start a run and kill it after a random time; whether it was still alive.

    One kill in five may fall anywhere, the imports included; the others fall after the first batch has begun.
    """
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)  # noqa: S603 - itself
    if clock.random() < 0.8:
        size = log.stat().st_size if log.exists() else 0
        while process.poll() is None and (log.stat().st_size if log.exists() else 0) == size:
            time.sleep(0.001)
        longest = 0.5
    try:
        process.wait(clock.uniform(0, longest))
    except subprocess.TimeoutExpired:
        process.kill()
    if process.wait() > 0:
        raise SystemExit("\na run ended with an error of its own")
    return process.returncode < 0


def main() -> None:
    """Kill, resume, compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--tiles", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=0.02)
    parser.add_argument("--child", nargs=2, type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    options = {"tiles": given.tiles, "seconds": given.seconds}
    if given.child:
        run(*given.child, **options, resume=True)
        return
    clock = random.Random(1)
    with tempfile.TemporaryDirectory() as folder:
        output, log = Path(folder) / "changes.parquet", Path(folder) / "log.txt"
        command = [sys.executable, __file__, "--child", str(output), str(log)]
        command += [part for name, value in options.items() for part in (f"--{name}", str(value))]
        started = time.perf_counter()
        clean = run(Path(folder) / "clean.parquet", Path(folder) / "clean.txt", **options, resume=False)
        seconds = time.perf_counter() - started
        kills = hits = rounds = worst = redone = 0
        while kills < given.kills:
            rounds += 1
            # Each round is one run from nothing to its end, killed again and again on the way.
            log.unlink(missing_ok=True)
            output.unlink(missing_ok=True)
            while kills < given.kills:
                before = int(counts(log).sum() - len(counts(log))) if log.exists() else 0
                if not kill_once(command, log, clock, longest=8 + seconds / 4):
                    break
                kills += 1
                hits += journal_path(output).is_dir()
                extra = int(counts(log).sum() - len(counts(log))) - before if log.exists() else 0
                worst, redone = max(worst, extra), redone + extra
                print(f"\r{kills} kills, {hits} with a journal there, {redone} tiles done again", end="", flush=True)
                if output.exists() and not journal_path(output).is_dir():
                    break  # killed when all was done, on its way out: the next call would be another run
            resumed = gpd.read_parquet(output) if output.exists() else run(output, log, **options, resume=True)
            final = gpd.read_parquet(output)
            expected = gpd.read_parquet(Path(folder) / "clean.parquet")
            if not final.equals(expected) or len(resumed) != len(clean):
                raise SystemExit("\nthe resumed table differs from the clean one")
    print(
        f"\n{kills} kills over {rounds} runs of {given.tiles} tiles, {hits} while there was a journal: every journal opened, "
        f"every final table equals the clean one; done again after a kill: {redone / max(kills, 1):.1f} tiles on average, "
        f"{worst} at the most (a batch is {BATCH})"
    )


if __name__ == "__main__":
    main()
