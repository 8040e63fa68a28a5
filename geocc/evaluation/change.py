"""Whether the ground changed: what the captions say of it, and what the model's probability is worth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from geocc.evaluation.measures import Measure, ratio

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from geocc.evaluation.records import Pair

__all__ = ["average_precision", "calibration_error", "change_measures", "probability_measures", "roc_area"]

BINS = 15
"""Bins of equal width for the expected calibration error, as in Guo et al., ICML 2017."""


def change_measures(pairs: Sequence[Pair]) -> list[Measure]:
    """Score the captions as answers to "did anything change?", by `geocc.inference.says_no_change`.

    Precision and recall are those of "changed". The hallucination rate is the share of unchanged pairs whose caption,
    not being empty, speaks of a change.

    Args:
        pairs: The pairs.

    Returns:
        Accuracy, precision, recall, F1 and hallucination rate.
    """
    truth = np.array([pair.changed for pair in pairs])
    said = np.array([pair.says_changed for pair in pairs])
    spoken = np.array([bool(pair.caption.strip()) for pair in pairs])
    hit = truth & said
    return [
        ratio("change", "accuracy", truth == said, np.ones(len(pairs))),
        ratio("change", "precision", hit, said),
        ratio("change", "recall", hit, truth),
        ratio("change", "F1", 2 * hit, truth.astype(int) + said),
        ratio("change", "hallucination rate", ~truth & said & spoken, ~truth),
    ]


def probability_measures(pairs: Sequence[Pair]) -> list[Measure]:
    """Score `change_probability`: as a ranking (AUROC, average precision) and as a probability (calibration error, Brier).

    Args:
        pairs: The pairs, with or without a probability.

    Returns:
        The measures of the pairs that have one; none where no pair has.
    """
    given = np.array([pair.change_probability for pair in pairs])
    known = ~np.isnan(given)
    if not known.any():
        return []
    truth = np.array([pair.changed for pair in pairs])[known]
    probability = given[known]

    def measure(name: str, function: Callable[..., NDArray[np.float64]]) -> Measure:
        def estimate(weights: NDArray[np.float64]) -> NDArray[np.float64]:
            return function(truth, probability, weights[:, known])

        value = float(estimate(np.ones((1, len(pairs))))[0])
        return Measure("probability", name, "0-1", int(known.sum()), len(pairs), value, estimate)

    squares = np.zeros(len(pairs))
    squares[known] = (probability - truth) ** 2
    return [
        measure("AUROC", roc_area),
        measure("average precision", average_precision),
        measure("calibration error", calibration_error),
        ratio("probability", "Brier score", squares, known, unit="0-1"),
    ]


def roc_area(
    truth: NDArray[np.bool_], scores: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Compute the area under the ROC curve: the chance that a changed pair scores above an unchanged one, ties half.

    Args:
        truth: `(N,)`.
        scores: `(N,)`.
        weights: `(R, N)`.

    Returns:
        `(R,)`, NaN where one of the classes has no weight.
    """
    changed, unchanged = _by_score(truth, scores, weights)
    below = np.cumsum(unchanged, axis=1) - unchanged / 2
    total = changed.sum(axis=1) * unchanged.sum(axis=1)
    return _divide((changed * below).sum(axis=1), total)


def average_precision(
    truth: NDArray[np.bool_], scores: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Compute the average precision: precision at each threshold, weighted by the recall it adds; ties are one threshold.

    Args:
        truth: `(N,)`.
        scores: `(N,)`.
        weights: `(R, N)`.

    Returns:
        `(R,)`, NaN where no changed pair has weight.
    """
    changed, unchanged = (part[:, ::-1] for part in _by_score(truth, scores, weights))
    hits, alarms = np.cumsum(changed, axis=1), np.cumsum(unchanged, axis=1)
    precision = np.divide(hits, hits + alarms, out=np.zeros_like(hits), where=hits + alarms > 0)
    return _divide((changed * precision).sum(axis=1), changed.sum(axis=1))


def calibration_error(
    truth: NDArray[np.bool_], scores: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Compute the expected calibration error of the probability of change, in `BINS` bins of equal width.

    Args:
        truth: `(N,)`.
        scores: `(N,)` in [0, 1].
        weights: `(R, N)`.

    Returns:
        `(R,)`: the mean over pairs of |mean probability - share of changed pairs| of their bin.
    """
    bins = np.minimum((scores * BINS).astype(int), BINS - 1)
    member = np.eye(BINS)[bins]
    gaps = np.abs(weights @ (member * (scores - truth)[:, None]))
    return _divide(gaps.sum(axis=1), weights.sum(axis=1))


def _by_score(
    truth: NDArray[np.bool_], scores: NDArray[np.float64], weights: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sum the weights of changed and of unchanged pairs at each distinct score, lowest first."""
    order = np.argsort(scores, kind="stable")
    _, starts = np.unique(scores[order], return_index=True)
    changed = np.add.reduceat((weights * truth)[:, order], starts, axis=1)
    unchanged = np.add.reduceat((weights * ~truth)[:, order], starts, axis=1)
    return changed, unchanged


def _divide(above: NDArray[np.float64], below: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.divide(above, below, out=np.full_like(below, np.nan), where=below > 0)
