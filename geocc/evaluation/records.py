"""What is evaluated: predictions, their references, and both joined."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from geocc.errors import InputError
from geocc.inference.no_change import says_no_change

__all__ = ["Pair", "Prediction", "Reference", "parse_prediction", "parse_reference"]

_IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")


@dataclass(frozen=True, slots=True)
class Reference:
    """What people said of one pair of images.

    Attributes:
        uid: The pair's name.
        captions: One or more sentences.
        changed: Whether the ground changed; None where nobody noted it.
    """

    uid: str
    captions: tuple[str, ...]
    changed: bool | None = None

    def says_changed(self) -> bool:
        """Tell whether the ground changed: by the note, else by the majority of the sentences."""
        if self.changed is not None:
            return self.changed
        return 2 * sum(says_no_change(text) for text in self.captions) <= len(self.captions)


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a model said of one pair of images.

    Attributes:
        uid: The pair's name.
        caption: The sentence, as the model wrote it.
        reference: What people said, where the same record holds it.
        change_probability: In [0, 1], or NaN where the model has none.
    """

    uid: str
    caption: str
    reference: Reference | None = None
    change_probability: float = math.nan


@dataclass(frozen=True, slots=True)
class Pair:
    """A prediction with its references: one row of an evaluation.

    Attributes:
        uid: The pair's name.
        caption: What the model said.
        references: What people said, at least one sentence.
        changed: Whether the ground changed.
        change_probability: In [0, 1], or NaN.
    """

    uid: str
    caption: str
    references: tuple[str, ...]
    changed: bool
    change_probability: float = math.nan

    @property
    def says_changed(self) -> bool:
        """Whether the caption speaks of a change; an empty one does not say that there is none."""
        return not says_no_change(self.caption)


def parse_prediction(record: object, *, at: str) -> Prediction:
    """Read a record of the reference's result layout: `uid`, `pred`, and where it is there `change_caption`.

    `change_flag` (0 or 1, the truth) and `change_probability` (of the model) may be there too; other keys are left alone.

    Args:
        record: The record.
        at: Where it stands, for messages: "predictions.jsonl, line 3".

    Returns:
        The prediction.

    Raises:
        InputError: A key is missing or holds something else.
    """
    values = _mapping(record, at)
    uid = _uid(values, at)
    if not isinstance(caption := values.get("pred"), str):
        raise InputError(f"{at}: pred of {uid!r} is {_show(caption)}; expected the caption as a text ('' for none).")
    reference = parse_reference(values, at=at) if "change_caption" in values else None
    return Prediction(uid, _text(caption), reference, _probability(values.get("change_probability"), uid, at))


def parse_reference(record: object, *, at: str) -> Reference:
    """Read a record of the universal format: `uid`, `change_caption`, and where it is there `change_flag`.

    Args:
        record: The record.
        at: Where it stands, for messages.

    Returns:
        The reference.

    Raises:
        InputError: A key is missing or holds something else.
    """
    values = _mapping(record, at)
    uid = _uid(values, at)
    captions = values.get("change_caption")
    if not isinstance(captions, list | tuple) or not captions:
        raise InputError(
            f"{at}: change_caption of {uid!r} is {_show(captions)}; expected a list of one or more sentences."
        )
    for caption in captions:
        if not isinstance(caption, str):
            raise InputError(f"{at}: change_caption of {uid!r} holds {_show(caption)}; expected texts only.")
    flag = values.get("change_flag")
    if flag is not None and (not isinstance(flag, int) or flag not in {0, 1}):
        raise InputError(f"{at}: change_flag of {uid!r} is {_show(flag)}; expected 0, 1, or no such key.")
    return Reference(uid, tuple(map(_text, captions)), None if flag is None else bool(flag))


def _mapping(record: object, at: str) -> Mapping[Any, Any]:
    if not isinstance(record, Mapping):
        raise InputError(f"{at}: found {_show(record)}; expected an object with uid, pred and change_caption.")
    return record


def _uid(values: Mapping[Any, Any], at: str) -> str:
    uid = values.get("uid")
    if isinstance(uid, bool) or not isinstance(uid, str | int) or uid == "":
        raise InputError(f"{at}: uid is {_show(uid)}; expected the name of the pair, such as 'test_000004'.")
    text = _text(str(uid))
    # A result file names the pair, a caption file the image.
    for suffix in _IMAGE_SUFFIXES:
        text = text.removesuffix(suffix)
    return text


def _probability(value: Any, uid: str, at: str) -> float:
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, int | float) or not (math.isnan(value) or 0 <= value <= 1):
        raise InputError(f"{at}: change_probability of {uid!r} is {_show(value)}; expected 0 to 1, or null.")
    return float(value)


def _text(text: str) -> str:
    # JSON can hold half of a surrogate pair, which neither files nor tables of texts can: it becomes a question mark.
    return text.encode("utf-8", "replace").decode()


def _show(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
