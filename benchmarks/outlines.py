"""How well do a scout's outlines fit what changed? Judged on held-out synthetic tiles, whose changes are known pixel by pixel.

    .venv/bin/python benchmarks/outlines.py --scenes 250

Only changed tiles are shown, as only those are outlined, at every threshold asked for. Intersection over union, precision and recall are of all pixels
of a domain together; "found" is the share of single changes of at least 0.4 percent of a tile that an outline covers by half. "Before", "after" and "both":
the share of those found of which the covers are told rightly, from the cells that were drawn of them.
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
    titles = ["domain", "tiles", "threshold", "intersection over union", "precision", "recall", "changes", "found"]
    titles += ["before", "after", "both"]
    print(f"| {' | '.join(titles)} |\n{'|---' * len(titles)}|")
    for domain, counts in judge(pairs, scout, arguments.thresholds).items():
        for threshold, (both, drawn, true, changes, found, before, after, pair, tiles) in counts.items():
            told = " | ".join(f"{100 * right / max(found, 1):.1f} %" for right in (before, after, pair))
            print(
                f"| {domain} | {tiles:.0f} | {threshold} | {both / (drawn + true - both):.3f} | {both / drawn:.3f} | "
                f"{both / true:.3f} | {changes:.0f} | {100 * found / changes:.1f} % | {told} |"
            )


def judge(
    pairs: Sequence[TilePair], scout: ScoutCaptioner, thresholds: Sequence[float]
) -> dict[str, dict[float, np.ndarray]]:
    """Return by domain and threshold: pixels in both, drawn, true; changes, those found, told rightly before, after and both; tiles."""
    counts: dict[str, dict[float, np.ndarray]] = defaultdict(lambda: defaultdict(lambda: np.zeros(9)))
    for start in range(0, len(pairs), _AT_ONCE):
        part = pairs[start : start + _AT_ONCE]
        images = np.stack([np.stack([pair.t1, pair.t2]) for pair in part])
        maps = scout.maps(TileBatch(images, tuple(map(str, range(len(part))))))
        for number, pair in enumerate(part):
            truth = pair.description.mask
            cells = Image.fromarray(maps.change[number])
            chances = np.asarray(cells.resize(truth.shape[::-1], Image.Resampling.BILINEAR))
            for threshold in thresholds:
                drawn, told = chances >= threshold, np.zeros(5)
                for change, covers in _changes(pair):
                    found = drawn[change].mean() >= 0.5
                    right = [False] * 2
                    if found and maps.covers is not None:
                        named = _told(maps.covers[number], drawn & change)
                        right = [scout.covers[one] == other for one, other in zip(named, covers, strict=True)]
                    told += [1, found, *right, all(right)]
                row = np.array([(drawn & truth).sum(), drawn.sum(), truth.sum(), *told, 1])
                for domain in (pair.scene.domain, "all"):
                    counts[domain][threshold] += row
    return counts


def _told(covers: np.ndarray, patch: np.ndarray) -> tuple[int, int]:
    """Return the likeliest pair of two covers of a patch."""
    side = covers.shape[-1]
    weights = np.asarray(Image.fromarray(patch.astype(np.float32)).resize((side, side), Image.Resampling.BOX))
    both = np.outer(*(covers * weights).sum(axis=(2, 3)))
    np.fill_diagonal(both, 0)
    before, after = np.unravel_index(both.argmax(), both.shape)
    return int(before), int(after)


def _changes(pair: TilePair) -> list[tuple[np.ndarray, tuple[str, str]]]:
    """Return the masks of the changes that are large enough to be seen, each with what stood there at either date."""
    masks = []
    for change in pair.scene.changes:
        whole = np.zeros_like(pair.scene.change_mask)
        whole[change.window.rows, change.window.cols] = change.mask
        inside = whole[pair.window.rows, pair.window.cols]
        if inside.mean() >= VISIBLE:
            masks.append((inside, (change.category_from, change.category_to)))
    return masks


if __name__ == "__main__":
    main()
