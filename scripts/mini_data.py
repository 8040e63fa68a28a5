"""Synthetic training data for geocc-mini: pairs of every domain, at the size that the model takes.

    python scripts/mini_data.py /tmp/geocc-mini/data --workers 2

Writes shards by `geocc.data.synthetic.write_pairs`, and the records of all of them. Shards that are
there already are not rendered again.
"""

from __future__ import annotations

import argparse
import shutil
import time
from multiprocessing import Pool
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from geocc.data.records import Record, read_records, write_records
from geocc.data.synthetic.write import write_pairs

if TYPE_CHECKING:
    from collections.abc import Iterator

INPUT_PX = 192
"""What the scout inside looks at; the tower is given the same, shrunk."""
PAIRS_PER_SHARD = 500
SHARDS = (
    ("all", 256, 24),
    ("all", 128, 12),
    ("medium", 256, 12),
    ("landsat", 256, 12),
    ("medium", 128, 6),
    ("landsat", 128, 6),
)
"""Domain, side of the tiles as rendered, and shards of them. Two thirds are seen through a resize, as most users' tiles are;
fields and rivers above 3 m are twice as many as elsewhere, as they are what is hardest to learn."""
EDITIONS = (
    ("synthetic.jsonl", 0),
    ("synthetic-1.jsonl", 50),
    ("synthetic-2.jsonl", 75),
    ("synthetic-3.jsonl", 25),
    ("synthetic-4.jsonl", 62),
    ("synthetic-5.jsonl", 39),
    ("synthetic-6.jsonl", 43),
)
"""Records of the scenes that three stages are trained on and of those for the legs after them, which the scout of each leg had not learned by heart,
each with the number of its first shard."""
IDENTICAL_SHARE = 0.08
"""Of the unchanged pairs: both dates one and the same picture."""


def main() -> None:
    """Render what is missing and write the records of all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--edition", type=int, choices=range(len(EDITIONS)), default=0, help="from 1 on: other scenes")
    parser.add_argument(
        "--views", type=int, default=1, help="how often each pair is written, turned and the other way round"
    )
    parser.add_argument("--share", type=float, default=1.0, help="share of the shards to make, for a trial")
    arguments = parser.parse_args()
    folder = arguments.folder.absolute()
    records_name, first = EDITIONS[arguments.edition]
    jobs = [
        (
            folder / f"synthetic/{_name(domain, tile_px)}-{number:03d}",
            domain,
            tile_px,
            100 * at + number,
            arguments.views,
        )
        for at, (domain, tile_px, shards) in enumerate(SHARDS)
        for number in range(first, first + max(1, round(shards * arguments.share)))
    ]
    began = time.perf_counter()
    with Pool(arguments.workers) as pool:
        for done, shard in enumerate(pool.imap(render, jobs), start=1):
            print(f"{done}/{len(jobs)} {shard.name} {time.perf_counter() - began:.0f} s", flush=True)
    records = (record for shard, *_ in jobs for record in read_records(shard / "small.json"))
    path = folder / records_name
    print(f"{write_records(path, records)} pairs in {path}")


def _name(domain: str, tile_px: int) -> str:
    return str(tile_px) if domain == "all" else f"{domain}-{tile_px}"


def render(job: tuple[Path, str, int, int, int]) -> Path:
    """Render a shard, unless it is there, and shrink its pictures to the model's input; return its folder."""
    shard, domain, tile_px, seed, views = job
    if (shard / "small.json").exists():
        return shard
    shutil.rmtree(shard, ignore_errors=True)  # cut short
    records = write_pairs(shard, PAIRS_PER_SHARD, seed=seed, domain=domain, tile_px=tile_px, views=views)
    write_records(shard / "small.json", _shrunk(records, scale=tile_px / INPUT_PX, seed=seed))
    return shard


def _shrunk(records: Path, *, scale: float, seed: int) -> Iterator[Record]:
    rng = np.random.default_rng([seed, 11])
    for record in read_records(records):
        for path in (record.img1_path, record.img2_path):
            with Image.open(path) as image:
                small = image.resize((INPUT_PX, INPUT_PX), Image.Resampling.BICUBIC)
            small.save(path, compress_level=1)
        changes: dict[str, object] = {"change_polygons": None, "gsd_m": round((record.gsd_m or 1) * scale, 4)}
        if not record.change_flag and rng.random() < IDENTICAL_SHARE:
            changes["img2_path"] = record.img1_path
        yield record.model_copy(update=changes)


if __name__ == "__main__":
    main()
