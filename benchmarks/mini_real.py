"""Is what geocc-mini says of real scenes true? Judged by water and vegetation indices, on ground and dates held out of training.

    .venv/bin/python benchmarks/mini_real.py --data ../shared/data --json mini_real.json

Tiles lie side by side over pairs of NAIP and Landsat dates, in both orders of time. `both dates` and `eastern third` were
never seen in training; of `later date only` the ground was, at other dates. The second part shows each of 500 tiles beside
itself: as it is, brighter, shifted by a pixel, and compressed. Intervals are Wilson's, of 95 percent; tiles that are neighbours,
or the same ground at other dates, are not independent, so that the true ones are wider. Nothing is written unless `--json`
names a file.
"""

from __future__ import annotations

import argparse
import io
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from mini_real_tiles import JudgedTile, held_out_crops, judged_tiles, read
from mini_real_validation import UNCHANGED
from PIL import Image
from scipy.stats import binomtest

from geocc.inference.captioner import TileBatch
from geocc.inference.loading import load_captioner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from geocc.inference import Captioner

GAINED = 0.1
"""Share of a tile that water gained or lost, net, from which a caption should say so."""
CALM = 0.1
"""Share of an unchanged tile in which its indices may differ all the same; beyond, they do not tell."""
BRIGHTER = 20
MAIN = ("held out", "held out, naip", "held out, landsat", "both dates", "eastern third", "all")
"""Groups of tiles that are printed without `--detail`."""


@dataclass(frozen=True)
class Question:
    """One thing that is asked of tiles.

    Attributes:
        name: What is asked.
        bar: What is wanted.
        asked: Of which tiles.
        counted: What is counted among them.
    """

    name: str
    bar: str
    asked: Callable[[JudgedTile], bool]
    counted: Callable[[JudgedTile], bool]


def _unchanged(tile: JudgedTile) -> bool:
    return tile.changed_share < UNCHANGED


def _unchanged_water_too(tile: JudgedTile) -> bool:
    # Ground of no sure class that became water did not change by the masks, and the water there did.
    return _unchanged(tile) and abs(tile.water_gain) < UNCHANGED


def _surely_unchanged(tile: JudgedTile) -> bool:
    return _unchanged_water_too(tile) and tile.doubtful < CALM


QUESTIONS = (
    Question("water gained: said so", "80 % at least", lambda t: t.water_gain >= GAINED, lambda t: t.said_gained),
    Question(
        "surely gained (classes sure at both dates): said so",
        "",
        lambda t: t.sure_water_gain >= GAINED,
        lambda t: t.said_gained,
    ),
    Question("water lost: said so", "", lambda t: t.water_gain <= -GAINED, lambda t: t.said_lost),
    Question("surely lost: said so", "", lambda t: t.sure_water_gain <= -GAINED, lambda t: t.said_lost),
    Question("water gained: said that it was lost", "", lambda t: t.water_gain >= GAINED, lambda t: t.said_lost),
    Question("unchanged by the masks: called changed", "10 % at most", _unchanged, lambda t: t.said_changed),
    Question("unchanged by the masks: changed by the words", "", _unchanged, lambda t: t.text_changed),
    Question(
        "unchanged, and water moved by as little: called changed", "", _unchanged_water_too, lambda t: t.said_changed
    ),
    Question("surely unchanged: called changed", "", _surely_unchanged, lambda t: t.said_changed),
    Question("changed by the masks: called changed", "", lambda t: not _unchanged(t), lambda t: t.said_changed),
)


def main() -> None:
    """Caption, judge, and print two tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="geocc-mini", help="a name, a folder or a hub id")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--dtype", default="bfloat16")
    parser.add_argument("--tiles", type=int, default=500, help="tiles that are shown beside themselves")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--detail", action="store_true", help="print every group")
    parser.add_argument("--json", type=Path, help="file to write figures and captions to")
    arguments = parser.parse_args()
    captioner = load_captioner(arguments.model, dtype=arguments.dtype, local_files_only=True)
    tiles = list(judged_tiles(arguments.data, captioner))
    pairs, copies = summarise(tiles), beside_themselves(arguments, captioner)
    print_tables(arguments.model, [row for row in pairs if arguments.detail or row["group"] in MAIN], copies)
    unread = Counter(tile.caption for tile in tiles if not tile.understood)
    print(f"\n{sum(unread.values())} of {len(tiles)} captions were not understood")
    for caption, times in unread.most_common(20):
        print(f"  {times:4} {caption}")
    if arguments.json:
        report = {
            "model": str(arguments.model),
            "pairs": pairs,
            "copies": copies,
            "tiles": [t.to_json() for t in tiles],
        }
        arguments.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def summarise(tiles: Sequence[JudgedTile]) -> list[dict[str, Any]]:
    """Return a row of figures for every question and every group of tiles."""
    groups = {"held out": [tile for tile in tiles if tile.held_out != "later date only"], "all": tiles}
    for key in (
        lambda t: t.held_out,
        lambda t: f"held out, {t.series}" if t.held_out != "later date only" else "",
        lambda t: f"held out, {t.series}, {t.size_px} px" if t.held_out != "later date only" else "",
        lambda t: f"all, {t.series} {t.years[0]} to {t.years[1]}",
    ):
        names = sorted({key(tile) for tile in tiles} - {""})
        groups |= {name: [tile for tile in tiles if key(tile) == name] for name in names}
    return [
        {"question": question.name, "bar": question.bar, "group": name}
        | _share(question.counted(tile) for tile in group if question.asked(tile))
        for question in QUESTIONS
        for name, group in groups.items()
    ]


def beside_themselves(arguments: argparse.Namespace, captioner: Captioner) -> list[dict[str, Any]]:
    """Show each tile beside a copy of itself, and return how often no change was said."""
    crops = list(held_out_crops(arguments.data, number=arguments.tiles, seed=arguments.seed, margin=1))
    rows = []
    for name, copy in COPIES.items():
        captions = _caption(captioner, [np.stack([crop[:, 1:-1, 1:-1], copy(crop)]) for _, crop in crops])
        for series in ("", "naip", "landsat"):
            chosen = [caption for (of, _), caption in zip(crops, captions, strict=True) if series in {"", of}]
            flags = _share(not caption.changed for caption in chosen)
            words = _share(not read(caption.text).changed for caption in chosen)
            rows.append({"copy": name, "group": series or "all"} | flags | {"share_by_words": words["share"]})
    return rows


def _caption(captioner: Captioner, pairs: list[np.ndarray]) -> list[Any]:
    """Caption pairs of several sizes, one by size, and return the captions in the order of the pairs."""
    captions: dict[int, Any] = {}
    for size in sorted({pair.shape[-1] for pair in pairs}):
        chosen = [at for at, pair in enumerate(pairs) if pair.shape[-1] == size]
        for start in range(0, len(chosen), 32):
            part = chosen[start : start + 32]
            batch = TileBatch(images=np.stack([pairs[at] for at in part]), tile_ids=tuple(map(str, part)))
            captions |= dict(zip(part, captioner.caption(batch), strict=True))
    return [captions[at] for at in range(len(pairs))]


def _same(crop: np.ndarray) -> np.ndarray:
    return crop[:, 1:-1, 1:-1]


def _brighter(crop: np.ndarray) -> np.ndarray:
    return np.clip(_same(crop).astype(int) + BRIGHTER, 0, 255).astype(np.uint8)


def _shifted(crop: np.ndarray) -> np.ndarray:
    return crop[:, 1:-1, 2:]


def _compressed(crop: np.ndarray) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(_same(crop).transpose(1, 2, 0))).save(buffer, "JPEG", quality=85)
    return np.asarray(Image.open(buffer)).transpose(2, 0, 1)


COPIES = {
    "itself": _same,
    f"brighter by {BRIGHTER} of 255": _brighter,
    "shifted by 1 pixel": _shifted,
    "JPEG 85": _compressed,
}


def _share(marks: Iterable[bool]) -> dict[str, Any]:
    """Return how many of how many, the share, and its interval."""
    given = list(marks)
    if not given:
        return {"count": 0, "of": 0, "share": None, "low": None, "high": None}
    interval = binomtest(sum(given), len(given)).proportion_ci(method="wilson")
    share = sum(given) / len(given)
    return {"count": sum(given), "of": len(given), "share": share, "low": interval.low, "high": interval.high}


def print_tables(model: str, pairs: list[dict[str, Any]], copies: list[dict[str, Any]]) -> None:
    """Print both tables in Markdown."""
    print(f"{model}\n\n| tiles of two dates | bar | group | of | percent | interval |\n|---|---|---|---|---|---|")
    for row in pairs:
        if row["of"]:
            print(f"| {row['question']} | {row['bar']} | {row['group']} | {row['of']} | {_percent(row)} |")
    print(
        "\n| a tile beside | bar | group | of | no change, percent | interval | by words |\n|---|---|---|---|---|---|---|"
    )
    for row in copies:
        if row["of"]:
            words = f"{100 * row['share_by_words']:.1f}"
            print(f"| {row['copy']} | 97 % at least | {row['group']} | {row['of']} | {_percent(row)} | {words} |")


def _percent(row: dict[str, Any]) -> str:
    return f"{100 * row['share']:.1f} | {100 * row['low']:.1f}-{100 * row['high']:.1f}"


if __name__ == "__main__":
    main()
