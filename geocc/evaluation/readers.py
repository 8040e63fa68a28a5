"""Prediction and reference files, every fault with its line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geocc.errors import InputError, ReadError
from geocc.evaluation.records import Prediction, Reference, parse_prediction, parse_reference

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

__all__ = ["json_lines", "read_predictions", "read_references"]


def read_predictions(path: str | os.PathLike[str]) -> list[Prediction]:
    """Read a file in the result layout of CCExpert's reference code: JSON lines with `uid`, `pred`, `change_caption`.

    `change_caption` may be missing where references are given elsewhere. `change_flag` (0 or 1, the truth) and
    `change_probability` (of the model) are read where they are there.

    Args:
        path: The file, UTF-8.

    Returns:
        One prediction per line, duplicates included.

    Raises:
        ReadError: The file cannot be read.
        InputError: A line is not such a record; the message names the line.
    """
    predictions = [parse_prediction(record, at=at) for at, record in json_lines(Path(path))]
    if not predictions:
        raise InputError(f"{path} holds no prediction; expected JSON lines with uid, pred and change_caption.")
    return predictions


def read_references(path: str | os.PathLike[str]) -> list[Reference]:
    """Read references: JSON lines or a JSON list of `{uid, change_caption, change_flag}`, or LEVIR-CC's own caption file.

    Args:
        path: The file, UTF-8. With the suffix `.jsonl` or `.txt` it is read as JSON lines.

    Returns:
        One reference per pair.

    Raises:
        ReadError: The file cannot be read.
        InputError: It is none of these, or a record is at fault; the message names it.
    """
    source = Path(path)
    if source.suffix.lower() in {".jsonl", ".txt"}:
        references = [parse_reference(record, at=at) for at, record in json_lines(source)]
    else:
        content = _json(source)
        if isinstance(content, dict) and isinstance(content.get("images"), list):
            content = [_levir_record(image, at=f"{source}, image {n}") for n, image in enumerate(content["images"])]
        if not isinstance(content, list):
            raise InputError(
                f"{source} is a JSON {type(content).__name__}; expected a list of records with uid and change_caption, "
                "LEVIR-CC's caption file, or JSON lines in a file named .jsonl."
            )
        references = [parse_reference(record, at=f"{source}, record {n}") for n, record in enumerate(content)]
    if not references:
        raise InputError(f"{source} holds no reference.")
    return references


def json_lines(path: Path) -> Iterator[tuple[str, Any]]:
    """Yield the values of a JSON lines file, each with where it stands: "predictions.jsonl, line 3".

    Raises:
        ReadError: The file cannot be read.
        InputError: A line is not UTF-8 or not JSON.
    """
    try:
        # Bytes, so that only a line feed ends a line: captions may hold the other line separators of Unicode.
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                at = f"{path}, line {number}"
                text = _decode(line, at).removeprefix("\ufeff").strip()
                if text:
                    yield at, _loads(text, at)
    except OSError as error:
        raise ReadError(f"{path} cannot be read: {error.strerror or error}") from error


def _json(path: Path) -> Any:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ReadError(f"{path} cannot be read: {error.strerror or error}") from error
    return _loads(_decode(content, str(path)).removeprefix("\ufeff"), str(path))


def _decode(content: bytes, at: str) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise InputError(f"{at}: not UTF-8 ({error.reason} at byte {error.start}).") from error


def _loads(text: str, at: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{at}: not JSON ({error}).") from error


def _levir_record(image: Any, *, at: str) -> dict[str, Any]:
    if not isinstance(image, dict) or not isinstance(image.get("sentences"), list):
        raise InputError(f"{at}: expected filename, changeflag and sentences, as in LEVIR-CC's caption file.")
    sentences = [sentence.get("raw") if isinstance(sentence, dict) else sentence for sentence in image["sentences"]]
    return {"uid": image.get("filename"), "change_caption": sentences, "change_flag": image.get("changeflag")}
