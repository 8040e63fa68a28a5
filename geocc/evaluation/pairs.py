"""Joining predictions with references: each pair once, and nothing dropped in silence."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from geocc.errors import InputError
from geocc.evaluation.readers import read_predictions, read_references
from geocc.evaluation.records import Pair, Prediction, Reference, parse_prediction, parse_reference

__all__ = ["Joined", "Predictions", "References", "join"]

Predictions = str | os.PathLike[str] | Iterable[Prediction | Mapping[str, Any]]
"""A file, or records: `Prediction` objects, or mappings with `uid`, `pred` and, perhaps, `change_caption`."""

References = str | os.PathLike[str] | Iterable[Reference | Mapping[str, Any]] | Mapping[str, Iterable[str]]
"""A file, records with `uid` and `change_caption`, or a mapping from uid to sentences."""

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Joined:
    """Predictions with their references.

    Attributes:
        pairs: In the order of the predictions.
        duplicates: Uids that came more than once, with how often; only the first prediction is among `pairs`.
        notes: What a reader of the scores must know, in sentences.
    """

    pairs: tuple[Pair, ...]
    duplicates: dict[str, int]
    notes: tuple[str, ...]


def join(
    predictions: Predictions, references: References | None, *, duplicates: Literal["first", "keep"] = "first"
) -> Joined:
    """Join predictions with references.

    Args:
        predictions: See `Predictions`.
        references: See `References`; when left out, those in the predictions' own records.
        duplicates: `"first"` counts a uid once, as the reference's evaluation during training does; `"keep"` counts all,
            as its evaluation script does, from which the README's figures come.

    Returns:
        The pairs, and what was noticed on the way.

    Raises:
        ReadError: A file cannot be read.
        InputError: A record cannot be used, a prediction has no references, or there is no prediction.
    """
    if duplicates not in {"first", "keep"}:
        raise InputError(f"duplicates is {duplicates!r}; expected 'first' or 'keep'.")
    predicted = _predictions(predictions)
    known = None if references is None else {reference.uid: reference for reference in _references(references)}
    repeated, notes = _repeated(predicted, duplicates)
    if duplicates == "first":
        first: dict[str, Prediction] = {}
        for prediction in predicted:
            first.setdefault(prediction.uid, prediction)
        predicted = list(first.values())
    pairs = tuple(_pair(prediction, known) for prediction in predicted)
    if known is not None and (unused := len(known.keys() - {pair.uid for pair in pairs})):
        notes.append(f"{unused} of {len(known)} references have no prediction; the scores are of the others.")
    if empty := sum(not pair.caption.strip() for pair in pairs):
        notes.append(f"{empty} predictions are empty.")
    return Joined(pairs, repeated, tuple(notes))


def _predictions(predictions: Predictions) -> list[Prediction]:
    if isinstance(predictions, str | os.PathLike):
        return read_predictions(predictions)
    parsed = [
        record if isinstance(record, Prediction) else parse_prediction(record, at=f"prediction {number}")
        for number, record in enumerate(predictions)
    ]
    if not parsed:
        raise InputError("there is no prediction to evaluate.")
    return parsed


def _references(references: References) -> list[Reference]:
    if isinstance(references, str | os.PathLike):
        return read_references(references)
    if isinstance(references, Mapping):
        references = [{"uid": uid, "change_caption": _listed(captions)} for uid, captions in references.items()]
    return [
        record if isinstance(record, Reference) else parse_reference(record, at=f"reference {number}")
        for number, record in enumerate(references)
    ]


def _listed(captions: Any) -> Any:
    return captions if isinstance(captions, str) or not isinstance(captions, Iterable) else list(captions)


def _pair(prediction: Prediction, known: Mapping[str, Reference] | None) -> Pair:
    reference = prediction.reference if known is None else known.get(prediction.uid)
    if reference is None:
        raise InputError(
            f"the prediction for {prediction.uid!r} has no references; "
            + ("give them: evaluate(..., references=...), " if known is None else "add them to the references, ")
            + "or add change_caption to its record."
        )
    return Pair(
        prediction.uid, prediction.caption, reference.captions, reference.says_changed(), prediction.change_probability
    )


def _repeated(predictions: list[Prediction], duplicates: str) -> tuple[dict[str, int], list[str]]:
    captions: dict[str, list[str]] = {}
    for prediction in predictions:
        captions.setdefault(prediction.uid, []).append(prediction.caption)
    repeated = {uid: len(own) for uid, own in captions.items() if len(own) > 1}
    if not repeated:
        return {}, []
    extra = sum(repeated.values()) - len(repeated)
    differing = sum(len(set(captions[uid])) > 1 for uid in repeated)
    shown = ", ".join(list(repeated)[:_SHOWN]) + (", ..." if len(repeated) > _SHOWN else "")
    done = "counted once" if duplicates == "first" else "counted as often as they came"
    said = f", {differing} of them with different captions" if differing else ""
    return repeated, [f"{len(repeated)} pairs came more than once ({extra} extra lines{said}), {done}: {shown}."]
