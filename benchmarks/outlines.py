"""How well do a scout's outlines fit what changed? Judged on held-out synthetic tiles, whose changes are known pixel by pixel.

    .venv/bin/python benchmarks/outlines.py --scenes 250

Only changed tiles are shown, as only those are outlined, at every threshold asked for. Intersection over union, precision and recall are of all pixels
of a domain together; "found" is the share of single changes of at least 0.4 percent of a tile that an outline covers by half.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from geocc.data.synthetic import training_pairs
from geocc.inference import ScoutCaptioner, TileBatch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geocc.data.synthetic import TilePair

FIRST_SCENE = 1_000_200_000
"""Beyond the scenes that anything else is trained, set or measured on."""
VISIBLE = 0.004
_AT_ONCE = 32


def main() -> None:
    """Print a row for every domain and threshold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scout", default="geocc-scout", help="a name or a folder")
    parser.add_argument("--scenes", type=int, default=250)
    parser.add_argument("--thresholds", type=float, nargs="+", default=[0.3, 0.5, 0.7, 0.8, 0.9])
    parser.add_argument("--dtype", default="bfloat16")
    arguments = parser.parse_args()
    scout = ScoutCaptioner.from_pretrained(arguments.scout, dtype=arguments.dtype)
    seeds = range(FIRST_SCENE, FIRST_SCENE + arguments.scenes)
    pairs = [pair for pair in training_pairs(seeds, domain="all") if pair.changed]
    print("| domain | tiles | threshold | intersection over union | precision | recall | changes | found |")
    print("|---|---|---|---|---|---|---|---|")
    for domain, counts in judge(pairs, scout, arguments.thresholds).items():
        for threshold, (both, drawn, true, changes, found, tiles) in counts.items():
            print(
                f"| {domain} | {tiles:.0f} | {threshold} | {both / (drawn + true - both):.3f} | {both / drawn:.3f} | "
                f"{both / true:.3f} | {changes:.0f} | {100 * found / changes:.1f} % |"
            )


def judge(
    pairs: Sequence[TilePair], scout: ScoutCaptioner, thresholds: Sequence[float]
) -> dict[str, dict[float, np.ndarray]]:
    """Return by domain and threshold: pixels in both, drawn, true; changes, those found; tiles."""
    counts: dict[str, dict[float, np.ndarray]] = defaultdict(lambda: defaultdict(lambda: np.zeros(6)))
    for start in range(0, len(pairs), _AT_ONCE):
        part = pairs[start : start + _AT_ONCE]
        images = np.stack([np.stack([pair.t1, pair.t2]) for pair in part])
        for pair, cells in zip(part, scout.maps(TileBatch(images, tuple(map(str, range(len(part)))))), strict=True):
            truth = pair.description.mask
            chances = np.asarray(Image.fromarray(cells).resize(truth.shape[::-1], Image.Resampling.BILINEAR))
            for threshold in thresholds:
                drawn = chances >= threshold
                covered = [drawn[change].mean() >= 0.5 for change in _changes(pair)]
                row = np.array([(drawn & truth).sum(), drawn.sum(), truth.sum(), len(covered), sum(covered), 1])
                for domain in (pair.scene.domain, "all"):
                    counts[domain][threshold] += row
    return counts


def _changes(pair: TilePair) -> list[np.ndarray]:
    """Return the masks of the changes that are large enough to be seen."""
    masks = []
    for change in pair.scene.changes:
        whole = np.zeros_like(pair.scene.change_mask)
        whole[change.window.rows, change.window.cols] = change.mask
        inside = whole[pair.window.rows, pair.window.cols]
        if inside.mean() >= VISIBLE:
            masks.append(inside)
    return masks


if __name__ == "__main__":
    main()
