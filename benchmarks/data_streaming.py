"""Streaming a mixture of 1.2 million records: memory, time to the first batch, records a second, without images.

    python benchmarks/data_streaming.py [--records N]

The rate is set against `json.loads` over the same lines in order, in the same process: nothing that reads JSON record by
record in Python can beat that. CPU seconds stand beside wall-clock seconds, for the machine may be shared.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from pathlib import Path

_BATCH = 64
_TIMED = 200_000


def _write(path: Path, records: int) -> None:
    with path.open("w", encoding="utf-8") as file:
        for number in range(records):
            record = {
                "uid": f"train_{number:07d}",
                "change_flag": number % 2,
                "img1_path": f"A/train_{number:07d}.png",
                "img2_path": f"B/train_{number:07d}.png",
                "change_caption": ["several houses have been built on the bareland along the road"],
                "source": "levir-cc",
                "split": "train",
            }
            file.write(json.dumps(record) + "\n")


def _memory_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _stream(path: Path) -> None:
    wall, cpu = time.perf_counter(), time.process_time()
    from geocc.data import Entry, Mixture

    samples = Mixture([Entry(json_path=path)]).samples(seed=1)
    batch = [samples[at] for at in range(_BATCH)]
    print(
        f"first batch of {len(batch)} of {len(samples):,}: {time.perf_counter() - wall:.1f} s, "
        f"{time.process_time() - cpu:.1f} s of CPU, imports included"
    )
    for name, count, step in (
        ("shuffled samples", _TIMED, lambda: [samples[at].caption for at in range(_TIMED)]),
        ("json.loads in order", _TIMED, lambda: _loads(path, _TIMED)),
    ):
        wall, cpu = time.perf_counter(), time.process_time()
        step()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        print(f"{name}: {count / wall:,.0f} a second, {count / cpu:,.0f} a second of CPU")


def _loads(path: Path, count: int) -> None:
    with path.open(encoding="utf-8") as file:
        for _, line in zip(range(count), file, strict=False):
            json.loads(line)


def main() -> None:
    """Make the file, stream it, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=1_200_000)
    records = parser.parse_args().records
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "records.jsonl"
        _write(path, records)
        print(f"{records:,} records, {path.stat().st_size / 1e6:.0f} MB")
        _stream(path)
    print(f"peak memory {_memory_mb():.0f} MB")


if __name__ == "__main__":
    main()
