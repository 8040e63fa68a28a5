"""The caption metrics of a set of pairs, as measures."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from geocc.evaluation.measures import Measure, pooled, ratio
from geocc.evaluation.meteor import meteor_from_counts, poolable
from geocc.evaluation.scorers import CaptionScores, bleu_from_counts, cider_is_undefined

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["caption_measures"]


def caption_measures(scores: CaptionScores, rows: NDArray[np.intp] | None = None) -> list[Measure]:
    """Make measures of caption metrics, in points (times 100).

    Intervals of CIDEr take the word weights of the pairs as they are, not of each draw. S*m of a part of the pairs in
    which CIDEr cannot tell anything is NaN; of all pairs it is the reference's mean, whatever CIDEr is.

    Args:
        scores: Scores of all pairs.
        rows: Indices of the pairs asked for, all of them when left out.

    Returns:
        The metrics that were scored, S*m last.
    """
    part = scores if rows is None else scores.part(rows)
    values = part.corpus()
    if rows is not None and "S*m" in values and cider_is_undefined(part.references):
        values["S*m"] = np.nan
    parts: dict[str, Measure] = {}
    for name, value in values.items():
        points = 100 * value
        if name.startswith("BLEU") and part.bleu_counts is not None:
            parts[name] = pooled(name, part.bleu_counts, partial(_bleu, order=int(name[-1])), value=points)
        elif name == "METEOR" and part.meteor_counts is not None:
            parts[name] = pooled(name, poolable(part.meteor_counts), meteor_from_counts, value=points)
        elif name in part.segments:
            ones = np.ones(len(part.segments[name]))
            parts[name] = ratio("caption", name, part.segments[name], ones, unit="points", value=points)
        else:
            parts[name] = _mean(name, [parts[key] for key in ("BLEU-4", "METEOR", "ROUGE-L", "CIDEr")], points)
    return list(parts.values())


def _bleu(counts: NDArray[np.float64], *, order: int) -> NDArray[np.float64]:
    return bleu_from_counts(counts)[:, order - 1]


def _mean(name: str, parts: list[Measure], value: float) -> Measure:
    def estimate(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        drawn = [part.estimate(weights) for part in parts if part.estimate is not None]
        return np.mean(drawn, axis=0) if not np.isnan(value) else np.full(len(weights), np.nan)

    return Measure("caption", name, "points", parts[0].n, parts[0].size, value, estimate)
