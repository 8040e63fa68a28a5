"""Captions for records that have masks or labels and no captions."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import numpy as np

from geocc.data.masks.facts import change_kinds
from geocc.data.masks.mask import ChangeMask, classes_by_colour
from geocc.data.masks.vocabulary import SECOND
from geocc.data.masks.writer import write_captions
from geocc.data.readers.pixels import read_pixels
from geocc.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from geocc.data.masks.vocabulary import Vocabulary
    from geocc.data.masks.writer import Mode, Style
    from geocc.data.records import Record

__all__ = ["caption_records"]


def caption_records(
    records: Iterable[Record],
    *,
    count: int = 5,
    style: Style = "plain",
    mode: Mode = "views",
    seed: int = 0,
    vocabulary: Vocabulary = SECOND,
    colours: Mapping[tuple[int, int, int], int] | None = None,
) -> Iterator[Record]:
    """Yield records with captions: those that have some as they are, the others with what their mask shows.

    Args:
        records: The records. Labels of both dates are taken before a mask that tells change alone.
        count: See `write_captions`.
        style: See `write_captions`.
        mode: See `write_captions`.
        seed: Chooses the words, for each record its own.
        vocabulary: What the classes of the labels are called. Default: those of SECOND.
        colours: Class of each colour of the labels, where they are in colour. Default: those of SECOND.

    Raises:
        ReadError: A mask cannot be read.
        InputError: A record has neither captions nor mask nor labels, or its labels hold classes without a name.
    """
    for record in records:
        if record.change_caption:
            yield record
            continue
        mask = _mask(record, vocabulary, colours)
        own_seed = zlib.crc32(f"{seed} {record.source} {record.uid}".encode())
        captions = write_captions(mask, count=count, style=style, mode=mode, seed=own_seed)
        update = {
            "change_caption": captions,
            "change_flag": int(mask.changed.any()),
            "change_kinds": change_kinds(mask),
            "caption_by": f"geocc masks {style} {mode}",
        }
        yield record.model_copy(update=update)


def _mask(record: Record, vocabulary: Vocabulary, colours: Mapping[tuple[int, int, int], int] | None) -> ChangeMask:
    try:
        if record.label1_path is not None and record.label2_path is not None:
            before, after = (_classes(path, colours) for path in (record.label1_path, record.label2_path))
            return ChangeMask.from_to(before, after, vocabulary=vocabulary)
        if record.mask_path is not None:
            return ChangeMask.binary(read_pixels(record.mask_path))
    except InputError as error:
        raise InputError(f"record {record.uid}: {error}") from error
    raise InputError(
        f"record {record.uid} has neither captions nor a mask: give it a 'mask_path', or 'label1_path' and 'label2_path'."
    )


def _classes(path: Path, colours: Mapping[tuple[int, int, int], int] | None) -> NDArray[np.int64]:
    pixels = read_pixels(path)
    return classes_by_colour(pixels, colours=colours) if pixels.ndim == 3 else pixels.astype(np.int64)
