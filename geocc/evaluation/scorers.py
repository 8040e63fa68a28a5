"""The caption metrics of the published tables, by the scorers that made them, kept per caption so that they can be summed.

BLEU (Papineni et al., ACL 2002; effective reference length "closest"), ROUGE-L (Lin, 2004; beta 1.2), CIDEr in the form
that the field calls CIDEr-D (Vedantam et al., CVPR 2015; clipped, with a length penalty, sigma 6) and METEOR 1.5 (Denkowski
and Lavie, WMT 2014) come from pycocoevalcap, whose scorers are those of CCExpert's reference code.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from geocc.errors import InputError
from geocc.evaluation.meteor import shared_meteor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

__all__ = ["ALL_METRICS", "CaptionScores", "Metric", "check_metrics", "cider_is_undefined", "score_captions"]

Metric = Literal["bleu", "meteor", "rouge", "cider"]

ALL_METRICS: tuple[Metric, ...] = get_args(Metric)
"""The metrics that S*m is the mean of (of BLEU, BLEU-4)."""

_ORDERS = 4


@dataclass(frozen=True, slots=True)
class CaptionScores:
    """Caption metrics of N pairs, as fractions: a table prints them times 100.

    Attributes:
        hypotheses: N prepared captions.
        references: N sequences of prepared references.
        bleu_counts: `(N, 10)`: words, closest reference length, then for orders 1 to 4 n-grams matched and n-grams made; or
            None where BLEU was not asked for.
        meteor_counts: `(N, 23)`, or None.
        segments: `(N,)` scores of single captions, by the metric's printed name.
    """

    hypotheses: Sequence[str]
    references: Sequence[Sequence[str]]
    bleu_counts: NDArray[np.float64] | None
    meteor_counts: NDArray[np.float64] | None
    segments: dict[str, NDArray[np.float64]]

    def part(self, rows: NDArray[np.intp]) -> CaptionScores:
        """Return the scores of some of the pairs as if there were no others: CIDEr's word weights are theirs alone.

        Args:
            rows: Indices of the pairs.
        """
        hypotheses = [self.hypotheses[row] for row in rows]
        references = [self.references[row] for row in rows]
        segments = {name: values[rows] for name, values in self.segments.items()}
        if "CIDEr" in segments:
            segments["CIDEr"] = _cider(hypotheses, references)
        bleu = None if self.bleu_counts is None else self.bleu_counts[rows]
        meteor = None if self.meteor_counts is None else self.meteor_counts[rows]
        return CaptionScores(hypotheses, references, bleu, meteor, segments)

    def corpus(self) -> dict[str, float]:
        """Score the pairs together. BLEU and METEOR pool counts, ROUGE-L and CIDEr are means.

        Returns:
            Scores as fractions, by printed name; "S*m" when all four metrics are there. NaN where there is no pair.
        """
        scores = {name: float(values.mean()) if len(values) else float("nan") for name, values in self.segments.items()}
        if self.bleu_counts is not None and len(self.bleu_counts):
            scores |= {f"BLEU-{k + 1}": float(v) for k, v in enumerate(bleu_from_counts(self.bleu_counts.sum(0)))}
        if self.meteor_counts is not None and len(self.meteor_counts):
            scores["METEOR"] = shared_meteor().score(self.meteor_counts)[0]
        if {"BLEU-4", "METEOR", "ROUGE-L", "CIDEr"} <= scores.keys():
            scores["S*m"] = (scores["BLEU-4"] + scores["METEOR"] + scores["ROUGE-L"] + scores["CIDEr"]) / 4
        return scores


def check_metrics(metrics: Iterable[str]) -> tuple[Metric, ...]:
    """Bring a choice of metrics into their order.

    Raises:
        InputError: There is no such metric, or none was asked for.
    """
    asked = {metrics} if isinstance(metrics, str) else set(metrics)
    if not asked or not asked <= set(ALL_METRICS):
        raise InputError(f"metrics are {sorted(asked)}; expected one or more of {', '.join(ALL_METRICS)}.")
    return tuple(metric for metric in ALL_METRICS if metric in asked)


def score_captions(
    hypotheses: Sequence[str],
    references: Sequence[Sequence[str]],
    *,
    metrics: Sequence[Metric] = ALL_METRICS,
    on_done: Callable[[int], object] | None = None,
) -> CaptionScores:
    """Score captions that `normalise` or `ptb_tokenize` prepared.

    Args:
        hypotheses: N captions, N at least 1.
        references: N sequences of at least one reference.
        metrics: Which metrics; METEOR needs Java.
        on_done: Called with the number of captions that METEOR has done since, for a progress bar.

    Returns:
        Their scores.

    Raises:
        EvaluationError: METEOR was asked for and there is no Java, or its process failed.
    """
    segments: dict[str, NDArray[np.float64]] = {}
    bleu_counts = meteor_counts = None
    if "bleu" in metrics:
        bleu_counts, per_caption = _bleu(hypotheses, references)
        segments |= {f"BLEU-{k + 1}": np.array(scores) for k, scores in enumerate(per_caption)}
    if "meteor" in metrics:
        meteor_counts = shared_meteor().statistics(hypotheses, references, on_done=on_done)
        segments["METEOR"] = shared_meteor().score(meteor_counts)[1]
    if "rouge" in metrics:
        segments["ROUGE-L"] = _rouge(hypotheses, references)
    if "cider" in metrics:
        segments["CIDEr"] = _cider(hypotheses, references)
    return CaptionScores(hypotheses, references, bleu_counts, meteor_counts, segments)


def bleu_from_counts(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute BLEU-1 to BLEU-4 from pooled counts, with the guards of pycocoevalcap against division by nothing.

    Args:
        counts: `(..., 10)`, sums of rows of `CaptionScores.bleu_counts`.

    Returns:
        `(..., 4)`.
    """
    words, reference_words = counts[..., 0], counts[..., 1]
    matched, made = counts[..., 2::2], counts[..., 3::2]
    precisions = np.cumprod((matched + 1e-15) / (made + 1e-9), axis=-1)
    ratio = (words + 1e-15) / (reference_words + 1e-9)
    penalty = np.where(ratio < 1, np.exp(1 - 1 / np.minimum(ratio, 1)), 1.0)
    scores: NDArray[np.float64] = precisions ** (1 / np.arange(1, _ORDERS + 1)) * penalty[..., None]
    return scores


def cider_is_undefined(references: Sequence[Sequence[str]]) -> bool:
    """Tell whether all pairs have the same references, so that no word has weight and CIDEr is 0 whatever is said.

    So it is for the unchanged pairs of LEVIR-CC, and for a single pair.

    Args:
        references: N sequences of prepared references.
    """
    return len({frozenset(" ".join(text.split()) for text in own) for own in references}) <= 1


def _bleu(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> tuple[NDArray[np.float64], Any]:
    from pycocoevalcap.bleu.bleu_scorer import BleuScorer

    scorer = BleuScorer(n=_ORDERS)
    for hypothesis, own in zip(hypotheses, references, strict=True):
        scorer += (hypothesis, list(own))
    _, per_caption = scorer.compute_score(option="closest", verbose=0)
    rows = [
        [
            cooked["testlen"],
            min((abs(length - cooked["testlen"]), length) for length in cooked["reflen"])[1],
            *(count for pair in zip(cooked["correct"], cooked["guess"], strict=True) for count in pair),
        ]
        for cooked in scorer.ctest
    ]
    return np.array(rows, dtype=np.float64), per_caption


def _rouge(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> NDArray[np.float64]:
    from pycocoevalcap.rouge.rouge import Rouge

    scorer = Rouge()
    known: dict[tuple[str, tuple[str, ...]], float] = {}
    for hypothesis, own in zip(hypotheses, references, strict=True):
        key = (hypothesis, tuple(own))
        if key not in known:
            known[key] = float(scorer.calc_score([hypothesis], list(own)))
    return np.array([known[text, tuple(own)] for text, own in zip(hypotheses, references, strict=True)])


def _cider(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> NDArray[np.float64]:
    from pycocoevalcap.cider.cider_scorer import CiderScorer

    if cider_is_undefined(references):
        return np.zeros(len(hypotheses))
    scorer = CiderScorer()
    for hypothesis, own in zip(hypotheses, references, strict=True):
        scorer += (hypothesis, list(own))
    _, per_caption = scorer.compute_score()
    return np.asarray(per_caption, dtype=np.float64)
