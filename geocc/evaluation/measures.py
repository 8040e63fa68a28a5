"""Figures that can be computed on any weighting of the pairs, and so have a bootstrap interval."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import ArrayLike, NDArray

__all__ = ["Measure", "intervals", "pooled", "ratio"]

# Weights held in memory at once: 32 MB.
_BLOCK = 4_000_000


@dataclass(frozen=True, slots=True)
class Measure:
    """A figure and how it follows from the pairs.

    Attributes:
        group: What it belongs to: "caption", "change", "probability", "content" or "language".
        name: Its printed name.
        unit: "points" (times 100), "%", "0-1", "words" or "count".
        n: How many pairs it rests on.
        size: How many pairs there are to draw from.
        value: The figure.
        estimate: From weights `(R, size)` to the figures `(R,)`; None for one without an interval.
    """

    group: str
    name: str
    unit: str
    n: int
    size: int
    value: float
    estimate: Callable[[NDArray[np.float64]], NDArray[np.float64]] | None = None


def ratio(
    group: str, name: str, numerator: ArrayLike, denominator: ArrayLike, *, unit: str = "%", value: float | None = None
) -> Measure:
    """Make a measure that is a sum over a sum, such as a rate or a mean.

    Args:
        group: Its group.
        name: Its printed name.
        numerator: One number per pair.
        denominator: One number per pair; a pair with 0 does not count towards `n`.
        unit: Its unit; "%" and "points" multiply by 100.
        value: The figure, where another hand computed it.

    Returns:
        The measure; NaN where the denominators are all 0.
    """
    above, below = (np.asarray(numbers, dtype=np.float64) for numbers in (numerator, denominator))
    factor = 100.0 if unit in {"%", "points"} else 1.0

    def estimate(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        total = weights @ below
        values: NDArray[np.float64] = np.full(len(weights), np.nan)
        return np.divide(factor * (weights @ above), total, out=values, where=total > 0)

    known = float(estimate(np.ones((1, len(below))))[0]) if value is None else value
    return Measure(group, name, unit, int(np.count_nonzero(below)), len(below), known, estimate)


def pooled(
    name: str,
    counts: NDArray[np.float64],
    function: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    *,
    value: float,
) -> Measure:
    """Make a caption measure that follows from counts summed over the pairs.

    Args:
        name: Its printed name.
        counts: `(N, K)`.
        function: From summed counts `(R, K)` to fractions `(R,)`.
        value: The figure in points, as its own scorer computed it.

    Returns:
        The measure.
    """

    def estimate(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        return 100.0 * function(weights @ counts)

    return Measure("caption", name, "points", len(counts), len(counts), value, estimate)


def intervals(measures: list[Measure], *, replicates: int, seed: int, level: float = 0.95) -> list[tuple[float, float]]:
    """Compute percentile bootstrap intervals: pairs drawn with replacement (Efron, 1979), the same draws for all measures.

    Args:
        measures: Measures of the same pairs.
        replicates: Number of draws; 0 for no intervals.
        seed: Of the draws.
        level: Share of the draws inside the interval.

    Returns:
        (low, high) of each measure, NaN where it has none.
    """
    sizes = {measure.size for measure in measures}
    if replicates < 1 or not sizes or max(sizes) < 2:
        return [(np.nan, np.nan)] * len(measures)
    (size,) = sizes
    drawn: list[list[NDArray[np.float64]]] = [[] for _ in measures]
    for weights in _draws(size, replicates, seed):
        for values, measure in zip(drawn, measures, strict=True):
            if measure.estimate is not None:
                values.append(measure.estimate(weights))
    return [_interval(values, level) for values in drawn]


def _draws(size: int, replicates: int, seed: int) -> Iterator[NDArray[np.float64]]:
    random = np.random.default_rng(seed)
    block = max(1, min(replicates, _BLOCK // size))
    for start in range(0, replicates, block):
        rows = min(block, replicates - start)
        yield random.multinomial(size, np.full(size, 1 / size), size=rows).astype(np.float64)


def _interval(values: list[NDArray[np.float64]], level: float) -> tuple[float, float]:
    drawn = np.concatenate(values) if values else np.zeros(0)
    # A draw without a single changed pair has no recall: such draws say nothing.
    drawn = drawn[~np.isnan(drawn)]
    if not len(drawn):
        return np.nan, np.nan
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
