"""Synthetic pairs by what is known of them: kind of change, size of a pixel, misregistration."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from geocc.data.synthetic.reading import read_caption

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from geocc.data.synthetic.reading import Statement

__all__ = ["breakdown", "to_records"]

_COLUMNS = ("by", "group", "pairs", "changed", "accuracy", "auroc", "ece", "category_f1", "kind", "place")
_GSD_M = ((0.75, "under 0.75 m"), (2.5, "0.75 to 2.5 m"), (12.0, "2.5 to 12 m"), (math.inf, "over 12 m"))
_SHIFT_PX = ((0.5, "under 0.5 px"), (1.0, "0.5 to 1 px"), (1.5, "1 to 1.5 px"), (math.inf, "over 1.5 px"))
_BINS = 10


def breakdown(records: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Tell how captions of synthetic pairs did, all together and in groups.

    Args:
        records: Lines of `predictions.jsonl` as `run_benchmark` writes them; those without `truth` are passed over. Truth is
            `domain`, `gsd_m`, `shift_px` and `facts`, the largest first, each with `category`, `direction` and `place`.

    Returns:
        A row per group: `by` ("all", "domain", "kind", "gsd", "misregistration") and `group`; the number of `pairs` and of
        those `changed`; `accuracy`, `auroc` and `ece` (expected calibration error in ten bins) of the flag and the
        probability of change; of what captions state, `category_f1` over kinds of change with their direction, and on
        changed pairs how often the largest change is named (`kind`), and its `place` where it is. All in [0, 1], NaN where
        there is nothing to count. By kind, unchanged pairs are the group "none".
    """
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = defaultdict(list)
    for record in records:
        if truth := record.get("truth"):
            for key in _keys(truth):
                groups[key].append(record)
    order = ("all", "domain", "kind", "gsd", "misregistration")
    ranks = {name: rank for bounds in (_GSD_M, _SHIFT_PX) for rank, (_, name) in enumerate(bounds)}
    names = sorted(groups, key=lambda key: (order.index(key[0]), ranks.get(key[1], 0), key[1]))
    return pd.DataFrame([(*name, *_figures(groups[name])) for name in names], columns=list(_COLUMNS))


def to_records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows as JSON-safe values: NaN becomes None."""
    rows: list[dict[str, Any]] = table.to_dict("records")  # type: ignore[assignment]  # keys are texts
    return [{name: None if value != value else value for name, value in row.items()} for row in rows]  # noqa: PLR0124  # NaN alone differs from itself


def _keys(truth: Mapping[str, Any]) -> list[tuple[str, str]]:
    facts = truth["facts"]
    return [
        ("all", "all"),
        ("domain", truth["domain"]),
        ("kind", f"{facts[0]['category']} {facts[0]['direction']}" if facts else "none"),
        ("gsd", _band(truth["gsd_m"], _GSD_M)),
        ("misregistration", _band(truth["shift_px"], _SHIFT_PX)),
    ]


def _band(value: float, bounds: tuple[tuple[float, str], ...]) -> str:
    return next(name for bound, name in bounds if value < bound)


def _figures(records: list[Mapping[str, Any]]) -> tuple[int, int, float, float, float, float, float, float]:
    truth = np.array([bool(record["change_flag"]) for record in records])
    said = np.array([bool(record["changed"]) for record in records])
    known = [record["change_probability"] for record in records]
    probability = np.array([math.nan if value is None else value for value in known], dtype=float)
    stated = [read_caption(record["pred"]) for record in records]
    kind, place = _largest(records, stated)
    return (
        len(records),
        int(truth.sum()),
        float((said == truth).mean()),
        _auroc(probability, truth),
        _calibration_error(probability, truth),
        _category_f1(records, stated),
        kind,
        place,
    )


def _largest(records: list[Mapping[str, Any]], stated: list[tuple[Statement, ...]]) -> tuple[float, float]:
    """Return how often the largest change is named, and its place where it is."""
    named, placed = [], []
    for record, statements in zip(records, stated, strict=True):
        for fact in record["truth"]["facts"][:1]:
            same = [s for s in statements if (s.category, s.direction) == (fact["category"], fact["direction"])]
            named.append(bool(same))
            if same:
                placed.append(same[0].place == fact["place"])
    return _mean(named), _mean(placed)


def _mean(marks: list[bool]) -> float:
    return sum(marks) / len(marks) if marks else math.nan


def _category_f1(records: list[Mapping[str, Any]], stated: list[tuple[Statement, ...]]) -> float:
    """Return the F1 of kinds of change, counted over all pairs. Captions name three at the most, so truth is cut to three."""
    hits = said = true = 0
    for record, statements in zip(records, stated, strict=True):
        known = {(fact["category"], fact["direction"]) for fact in record["truth"]["facts"][:3]}
        named = {(str(s.category), str(s.direction)) for s in statements}
        hits, said, true = hits + len(known & named), said + len(named), true + len(known)
    return 2 * hits / (said + true) if said + true else math.nan


def _auroc(probability: np.ndarray, truth: np.ndarray) -> float:
    """Return the share of pairs of pairs, one changed and one not, that the probability puts in order; ties count half."""
    if np.isnan(probability).any() or truth.all() or not truth.any():
        return math.nan
    ranks = pd.Series(probability).rank().to_numpy()
    changed = int(truth.sum())
    above = ranks[truth].sum() - changed * (changed + 1) / 2
    return float(above / (changed * (len(truth) - changed)))


def _calibration_error(probability: np.ndarray, truth: np.ndarray) -> float:
    """Return the mean distance between what was promised and what came true, over bins of equal width."""
    if np.isnan(probability).any():
        return math.nan
    index = np.minimum((probability * _BINS).astype(int), _BINS - 1)
    gaps = [
        (index == bin_).mean() * abs(probability[index == bin_].mean() - truth[index == bin_].mean())
        for bin_ in np.unique(index)
    ]
    return float(sum(gaps))
