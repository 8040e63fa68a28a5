"""How much does it save to encode each date of a series once?

    .venv/bin/python benchmarks/series.py --dates 2009-08-18 ... -- 2009.tif ...

The same tiles and pairs, turn by turn: `caption_series`, and `caption_changes` for each pair on the same grid. Processor
time, so that other jobs on the machine count little.
"""

from __future__ import annotations

import argparse
import time

import pandas as pd

import geocc
from geocc.inference import CCExpertCaptioner
from geocc.scene import open_series


class Counting(CCExpertCaptioner):
    """Counts the images that its vision tower is shown."""

    encoded = 0

    def encode_dates(self, images):  # noqa: ANN001, ANN201  # as the class it stands for
        """Count, and encode."""
        self.encoded += len(images)
        return super().encode_dates(images)


def main() -> None:
    """Measure, and print the figures."""
    args = _arguments()
    captioner = Counting.from_pretrained(args.model, dtype=args.dtype)
    grid = open_series(args.files, dates=args.dates, align="t1").geobox
    options = {"model": captioner, "batch_size": 16, "tile_size": args.tile_size, "progress": False}
    once, alone = [], []
    for _ in range(args.rounds):
        captioner.encoded, start = 0, time.process_time()
        layer = geocc.caption_series(args.files, dates=args.dates, align="t1", **options)
        encoded, middle = captioner.encoded, time.process_time()
        parts = [
            geocc.caption_changes(*args.files[i : i + 2], align=grid, **options) for i in range(len(args.files) - 1)
        ]
        once.append(middle - start)
        alone.append(time.process_time() - middle)
    pairwise = pd.concat(parts, ignore_index=True)
    if layer["tile_id"].str.replace(r"_d\d+_d\d+$", "", regex=True).tolist() != pairwise["tile_id"].tolist():
        raise SystemExit("the rows of the two ways do not belong together")
    apart = (pairwise["change_probability"] - layer["change_probability"]).abs().max()
    same = (pairwise["caption"] == layer["caption"]).mean()
    print(f"{len(layer)} captions; {encoded} images encoded, {2 * len(layer)} by pairwise calls")
    print(f"processor seconds, series: {sorted(once)}; pairwise: {sorted(alone)}")
    print(f"saved: {1 - min(once) / min(alone):.1%}; same captions: {same:.1%}; largest difference in p: {apart:.1e}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+")
    parser.add_argument("--dates", nargs="+", required=True)
    parser.add_argument("--model", default="geocc-mini")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--tile-size", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args()


if __name__ == "__main__":
    main()
