"""The data of a run: opened, looked through before the first step, and given a fingerprint."""

from __future__ import annotations

import hashlib
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geocc.data.mixture import Entry, Mixture, shipped_mixtures
from geocc.data.records import read_records
from geocc.errors import InputError
from geocc.training.images import IMAGE_KEYS, check_header, read_change, read_pair

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from geocc.data.records import Record
    from geocc.training.configuration import Data, Evaluation

__all__ = ["DataReport", "check_records", "evaluation_records", "mixture_records", "open_mixture"]

_THREADS = 8


@dataclass(frozen=True, slots=True)
class DataReport:
    """What was seen of a run's data.

    Attributes:
        records: Number of records, each as often as the mixture takes it.
        changed: How many of them changed.
        fingerprint: sha256 over the records as they are sampled, and the size of every image file.
    """

    records: int
    changed: int
    fingerprint: str


def open_mixture(data: Data) -> Mixture:
    """Open the training data of a run.

    Raises:
        ReadError: A file cannot be read.
        InputError: It is neither a mixture nor a file of records.
    """
    path = Path(data.train)
    if data.train in shipped_mixtures() or path.suffix.lower() in {".yaml", ".yml"}:
        return Mixture.from_yaml(data.train, root=data.root)
    if path.suffix.lower() in {".json", ".jsonl"}:
        return Mixture([Entry(json_path=path)], name=str(path))
    raise InputError(
        f"data.train is {data.train!r}; expected a mixture (.yaml), a file of records (.json, .jsonl), or one of "
        f"{', '.join(shipped_mixtures())}."
    )


def mixture_records(mixture: Mixture, *, seed: int) -> Iterator[Record]:
    """Yield the records that a mixture takes, each as often as it takes it.

    Args:
        mixture: The mixture.
        seed: The run's seed, which chooses the records of `random` entries.
    """
    for part in mixture.parts(seed=seed):
        for row in part.rows.tolist():
            yield part.index[row]


def check_records(records: Iterable[Record], *, images: str, masks: bool = False, labels: bool = False) -> DataReport:
    """Look through records and their images.

    Args:
        records: The records.
        images: `decode` to read every image whole, `header` for its beginning, `none` to look at none.
        masks: Whether their change masks are wanted, and looked at with the images.
        labels: Whether their label images are wanted too.

    Raises:
        ReadError: An image is missing, damaged or deeper than eight bits; the text names record, key and file.
        InputError: A record is broken or has no captions, or masks are wanted and no changed record has one.
    """
    digest, count, changed, masked = hashlib.sha256(), 0, 0, 0
    with ThreadPoolExecutor(_THREADS) as pool:
        for line, record in _in_order(pool, records, images=images, masks=masks, labels=labels):
            digest.update(line)
            count, changed = count + 1, changed + record.change_flag
            masked += record.change_flag and record.mask_path is not None
    if not count:
        raise InputError("there is no record to train on; check data.train and its sampling strategies.")
    if masks and not masked:
        raise InputError(
            "recipe.change_map_weight asks for change masks, and no changed record has a 'mask_path'; give the records "
            "one, or set recipe.change_map_weight=0."
        )
    return DataReport(count, changed, digest.hexdigest())


def evaluation_records(settings: Evaluation) -> list[Record]:
    """Return the records to evaluate on: of the split asked for, and of no other.

    Raises:
        ReadError: The file cannot be read.
        InputError: A record has no captions, none is of the split, or the file is a test split nobody asked for.
    """
    if settings.split != "test" and re.search(r"(?:^|[^a-z])test(?:[^a-z]|$)", settings.records.stem.lower()):
        raise InputError(
            f"evaluation.records is {settings.records}, by its name a test split: a checkpoint chosen on it has no "
            "honest score there. Give another file, or say that it is meant: evaluation.split=test"
        )
    # A record that names no split is of the split that the file was given as.
    records = [record for record in read_records(settings.records) if record.split in {None, settings.split}]
    if not records:
        raise InputError(
            f"{settings.records} holds no record of split {settings.split!r}; give another file, or evaluation.split=NAME"
        )
    if bare := [record.uid for record in records if not record.change_caption]:
        raise InputError(f"record {bare[0]!r} of {settings.records} has no caption to compare with; leave it out.")
    return records[: settings.limit]


def _in_order(
    pool: ThreadPoolExecutor, records: Iterable[Record], *, images: str, masks: bool, labels: bool
) -> Iterator[tuple[bytes, Record]]:
    """Look at records in a few threads, a window at a time, so that a long mixture is never held whole."""
    window: list[Any] = []
    for record in records:
        window.append(pool.submit(_look, record, images, masks, labels))
        if len(window) >= 8 * _THREADS:
            yield window.pop(0).result()
    for one in window:
        yield one.result()


def _look(record: Record, images: str, masks: bool, labels: bool) -> tuple[bytes, Record]:
    if not record.change_caption:
        raise InputError(f"record {record.uid!r}: 'change_caption' is empty; write a caption, or leave the record out.")
    if images == "decode":
        read_pair(record)
    elif images == "header":
        check_header(record)
    if masks and images != "none":
        read_change(record, labels=labels)
    sizes = [_size(getattr(record, key)) for key in IMAGE_KEYS]
    line = [record.uid, str(record.change_flag), *record.change_caption, *sizes]
    return "\x1f".join(line).encode() + b"\n", record


def _size(path: Path) -> str:
    try:
        return str(path.stat().st_size)
    except OSError:
        return "?"
