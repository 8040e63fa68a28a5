"""From a cold start to `geocc --help` and to the first caption of geocc-mini, each in processes of their own.

    .venv/bin/python benchmarks/startup.py [--runs 3]

The pair is one tile of a generated scene, written to GeoTIFF beforehand; the disk is warm after the first run. The first
caption is there when the captioner has returned it, the end is when the layer is written and the process gone. CPU seconds
stand beside wall-clock seconds, for the machine may be shared. The slowest imports come from `python -X importtime`.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import geocc

#: `geocc`, which says on its last line how many seconds of wall clock and CPU had gone when the first caption was there.
_TO_FIRST_CAPTION = """
import sys, time
def first(self, batch, start=float(sys.argv.pop(1))):
    captions = plain(self, batch)
    seen.append((time.time() - start, time.process_time()))
    return captions
from geocc.cli import main
from geocc.inference.ccexpert import CCExpertCaptioner
seen, plain, CCExpertCaptioner.caption = [], CCExpertCaptioner.caption, first
try:
    main()
finally:
    print(*seen[0])
"""


def main() -> None:
    """Start, measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        dates = _write_pair(folder)
        output = folder / "changes.gpkg"
        commands = {
            "geocc --help": ["-m", "geocc", "--help"],
            "geocc caption, one tile": ["-m", "geocc", "caption", *dates, "--output", str(output)],
        }
        print("| command | best of wall s | worst | CPU s of the best |\n|---|---|---|---|")
        for label, command in commands.items():
            timed = sorted([_timed(command, output) for _ in range(runs + 1)][1:])
            print(f"| {label} | {timed[0][0]:.2f} | {timed[-1][0]:.2f} | {timed[0][1]:.2f} |", flush=True)
        timed = sorted([_first_caption(commands["geocc caption, one tile"][2:], output) for _ in range(runs)])
        print(f"| its first caption | {timed[0][0]:.2f} | {timed[-1][0]:.2f} | {timed[0][1]:.2f} |", flush=True)
        print("\nslowest imports of `geocc caption`, seconds with what they import in turn:")
        for seconds, module in _imports(commands["geocc caption, one tile"])[:12]:
            print(f"  {seconds:6.2f}  {module}")


def _write_pair(folder: Path) -> list[str]:
    scene = geocc.data.synthetic.make_scene(7, size_px=256)
    paths = []
    for date, values in zip(("t1", "t2"), scene.to_xarray(), strict=True):
        paths.append(str(folder / f"{date}.tif"))
        values.rio.to_raster(paths[-1])
    return paths


def _timed(command: list[str], output: Path) -> tuple[float, float]:
    output.unlink(missing_ok=True)
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, *command], check=True, capture_output=True)  # noqa: S603  # our own command line
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _first_caption(command: list[str], output: Path) -> tuple[float, float]:
    output.unlink(missing_ok=True)
    done = subprocess.run(  # noqa: S603  # our own command line
        [sys.executable, "-c", _TO_FIRST_CAPTION, str(time.time()), *command],
        check=True,
        capture_output=True,
        text=True,
    )
    wall, cpu = map(float, done.stdout.splitlines()[-1].split())
    return wall, cpu


def _imports(command: list[str]) -> list[tuple[float, str]]:
    done = subprocess.run(  # noqa: S603  # our own command line
        [sys.executable, *command],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPROFILEIMPORTTIME": "1"},
    )
    rows = [line.split("|") for line in done.stderr.splitlines() if line.startswith("import time:")]
    timed = [(int(row[1]) / 1e6, row[2].strip()) for row in rows if row[1].strip().isdigit()]
    return sorted(timed, reverse=True)


if __name__ == "__main__":
    main()
