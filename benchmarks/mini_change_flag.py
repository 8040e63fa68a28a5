"""How often is a captioner right about synthetic tiles that it has never seen?

    .venv/bin/python benchmarks/mini_change_flag.py

Half of the pairs are unchanged; all differ in season, sun, air and sensor, and half of them are out of register by up
to a pixel and a half. Every pair comes from a scene of its own that training never saw. Nothing is written unless
`--json` names a file.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from geocc.data.synthetic import read_caption, training_pairs
from geocc.inference.captioner import Caption, TileBatch
from geocc.inference.ccexpert import CCExpertCaptioner

if TYPE_CHECKING:
    from collections.abc import Iterator

    from geocc.data.synthetic import TilePair

FIRST_SEED = 1_000_000_000


@dataclass(frozen=True)
class Scores:
    """How the captions of changed tiles compare with what is known of them, as shares in [0, 1]."""

    kind: float
    number: float
    place: float
    all_kinds: float
    invented: float


def main() -> None:
    """Measure, and print a table."""
    args = _arguments()
    captioner = CCExpertCaptioner.from_pretrained(args.model, dtype=args.dtype, local_files_only=True)
    pairs = list(islice(held_out_pairs(), args.pairs))
    captions, seconds = _caption(captioner, pairs, batch_size=args.batch_size)
    report = measure(pairs, captions)
    report["pairs_per_second"] = len(pairs) / seconds
    report["threads"] = torch.get_num_threads()
    _print(report, args.model)
    if args.samples:
        for pair, caption in islice(zip(pairs, captions, strict=True), args.samples):
            print(f"\n  {caption.change_probability:.2f} said: {caption.text}\n       true: {pair.caption}")
    if args.json:
        args.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def held_out_pairs() -> Iterator[TilePair]:
    """Yield pairs without end, a changed one and an unchanged one from every scene."""
    seed = FIRST_SEED
    while True:
        shift = 1.5 if seed % 2 else 0.5
        yield from training_pairs([seed], per_scene=2, change_density=0.45, max_shift_px=shift)
        seed += 1


def measure(pairs: list[TilePair], captions: list[Caption]) -> dict[str, object]:
    """Return all figures."""
    truth = np.array([pair.changed for pair in pairs])
    said = np.array([caption.changed for caption in captions])
    probability = np.array([caption.change_probability for caption in captions])
    right = said == truth
    scores = _scores(pairs, captions)
    quiet = np.array([not read_caption(caption.text) for caption in captions])
    return {
        "pairs": len(pairs),
        "unchanged": int((~truth).sum()),
        "accuracy": float(right.mean()),
        "precision": float(truth[said].mean()),
        "recall": float(said[truth].mean()),
        "auroc": _auroc(probability, truth),
        "expected_calibration_error": _calibration_error(probability, truth),
        "text_agrees_with_truth": float((quiet != truth).mean()),
        "main_kind_named": scores.kind,
        "main_kind_number_right": scores.number,
        "main_kind_place_right": scores.place,
        "exactly_the_kinds": scores.all_kinds,
        "invented_kind": scores.invented,
        "recall_by_main_kind": _shares([_main_kind(pair) for pair in pairs], said, only=truth),
        "recall_by_changed_share": _shares([_size(pair) for pair in pairs], said, only=truth),
        "accuracy_by_shift": _shares([_shift(pair) for pair in pairs], right),
        "accuracy_by_season_gap": _shares([_season(pair) for pair in pairs], right),
    }


def _scores(pairs: list[TilePair], captions: list[Caption]) -> Scores:
    """Compare captions of changed tiles with the facts."""
    marks: dict[str, list[bool]] = {name: [] for name in Scores.__dataclass_fields__}
    for pair, caption in zip(pairs, captions, strict=True):
        if not pair.changed:
            continue
        facts = pair.description.facts
        stated = read_caption(caption.text)
        main = facts[0]
        same = next((s for s in stated if (s.category, s.direction) == (main.category, main.direction)), None)
        marks["kind"].append(same is not None)
        if same is not None:
            marks["place"].append(same.place == main.place)
            if main.category == "building":
                marks["number"].append(same.number == ("one", "two", "several")[min(main.count, 3) - 1])
        known = {(fact.category, fact.direction) for fact in facts}
        named = {(statement.category, statement.direction) for statement in stated}
        marks["all_kinds"].append(named == known)
        marks["invented"].append(bool(named - known))
    return Scores(**{name: float(np.mean(values)) if values else float("nan") for name, values in marks.items()})


def _caption(captioner: CCExpertCaptioner, pairs: list[TilePair], *, batch_size: int) -> tuple[list[Caption], float]:
    """Caption all pairs; the first batch is done once before the clock starts."""
    batches = [pairs[start : start + batch_size] for start in range(0, len(pairs), batch_size)]
    tiles = [
        TileBatch(
            images=np.stack([np.stack([pair.t1, pair.t2]) for pair in batch]),
            tile_ids=tuple(str(pair.scene.seed) for pair in batch),
        )
        for batch in batches
    ]
    captioner.caption(tiles[0])
    started = time.perf_counter()
    captions = [caption for batch in tiles for caption in captioner.caption(batch)]
    return captions, time.perf_counter() - started


def _auroc(score: np.ndarray, truth: np.ndarray) -> float:
    """Return the share of pairs of tiles, one changed and one not, that the score puts in order."""
    above = score[truth][:, None] > score[~truth][None]
    level = score[truth][:, None] == score[~truth][None]
    return float((above + 0.5 * level).mean())


def _calibration_error(probability: np.ndarray, truth: np.ndarray, *, bins: int = 10) -> float:
    """Return the mean distance between what was promised and what came true, over bins of equal width."""
    index = np.minimum((probability * bins).astype(int), bins - 1)
    gaps = [
        (index == i).mean() * abs(probability[index == i].mean() - truth[index == i].mean())
        for i in range(bins)
        if (index == i).any()
    ]
    return float(sum(gaps))


def _shares(groups: list[str], marks: np.ndarray, *, only: np.ndarray | None = None) -> dict[str, tuple[float, int]]:
    """Return, by group, the share of marks and the number of tiles."""
    wanted = np.ones(len(groups), dtype=bool) if only is None else only
    counts = Counter(group for group, use in zip(groups, wanted, strict=True) if use)
    rights = Counter(group for group, use, mark in zip(groups, wanted, marks, strict=True) if use and mark)
    return {group: (rights[group] / counts[group], counts[group]) for group in sorted(counts)}


def _main_kind(pair: TilePair) -> str:
    facts = pair.description.facts
    return f"{facts[0].category} {facts[0].direction}" if facts else "none"


def _size(pair: TilePair) -> str:
    share = pair.description.change_fraction
    return "a: under 1 %" if share < 0.01 else "b: 1 to 3 %" if share < 0.03 else "c: over 3 %"


def _shift(pair: TilePair) -> str:
    seen = pair.scene.conditions[1]
    length = float(np.hypot(seen.shift_x, seen.shift_y))
    return "a: under 0.5 px" if length < 0.5 else "b: 0.5 to 1 px" if length < 1 else "c: over 1 px"


def _season(pair: TilePair) -> str:
    first, second = pair.scene.conditions
    gap = abs(first.green - second.green)
    return "a: alike" if gap < 0.2 else "b: apart" if gap < 0.5 else "c: far apart"


def _print(report: dict[str, object], name: str) -> None:
    print(f"{name}: {report['pairs']} held-out pairs, {report['unchanged']} of them unchanged\n")
    for key, value in report.items():
        if isinstance(value, dict):
            print(f"\n{key.replace('_', ' ')}")
            for group, (share, count) in value.items():
                print(f"  {group:<22} {share:6.3f}  of {count}")
        elif isinstance(value, float):
            print(f"{key.replace('_', ' '):<28} {value:8.3f}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="geocc-mini", help="a name, a folder or a hub id")
    parser.add_argument("--pairs", type=int, default=500)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--dtype", default="bfloat16")
    parser.add_argument("--samples", type=int, default=0, help="captions to print")
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    return parser.parse_args()


if __name__ == "__main__":
    main()
