"""Pairs of different splits that look alike: found by perceptual hash, whatever their files are called.

Each image becomes 64 bits, one for each step of brightness between neighbours in an 8 x 9 thumbnail ("dHash"), which
survive another encoding, a little noise and another size. A pair has both images' bits; two pairs are near-duplicates if
few of their 128 bits differ.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from geocc.errors import InputError, ReadError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from geocc.data.records import Record

__all__ = ["NearDuplicate", "find_near_duplicates", "image_hash"]

_BANDS = 16


@dataclass(frozen=True, slots=True, order=True)
class NearDuplicate:
    """Two pairs of different splits that look alike.

    Attributes:
        bits: How many of 128 bits differ.
        first: Split and uid of one.
        second: Split and uid of the other.
    """

    bits: int
    first: tuple[str, str]
    second: tuple[str, str]


def image_hash(path: Path) -> NDArray[np.uint8]:
    """Return the perceptual hash of an image.

    Returns:
        `(8,)` uint8, 64 bits.

    Raises:
        ReadError: The image cannot be read.
    """
    try:
        with Image.open(path) as image:
            small = image.convert("L").resize((9, 8), Image.Resampling.BOX)
    except (OSError, Image.DecompressionBombError) as error:
        raise ReadError(f"{path} is no readable image: {error}") from error
    pixels = np.asarray(small, dtype=np.int16)
    return np.packbits(pixels[:, 1:] > pixels[:, :-1], axis=1).ravel()


def find_near_duplicates(records: Iterable[Record], *, most_bits: int = 10) -> list[NearDuplicate]:
    """Find pairs of different splits that look alike.

    Args:
        records: Records with a split; their images are read.
        most_bits: Most bits that may differ, from 0 to 15. With so few, two near-duplicates share one at least of
            the 16 bytes that are looked up, so none is missed.

    Returns:
        What was found, the most alike first.

    Raises:
        InputError: `most_bits` is out of range.
        ReadError: An image cannot be read.
    """
    if not 0 <= most_bits < _BANDS:
        raise InputError(f"most_bits is {most_bits}; expected 0 to {_BANDS - 1}.")
    names: list[tuple[str, str]] = []
    hashes = []
    for record in records:
        names.append((record.split or "-", record.uid))
        hashes.append(np.concatenate([image_hash(record.img1_path), image_hash(record.img2_path)]))
    if not hashes:
        return []
    return sorted(_compare(names, np.stack(hashes), most_bits))


def _compare(names: Sequence[tuple[str, str]], hashes: NDArray[np.uint8], most_bits: int) -> set[NearDuplicate]:
    """Compare pairs that share a byte at the same place: by the pigeonhole principle all that are near enough do."""
    found = set()
    for band in range(_BANDS):
        buckets: dict[int, list[int]] = defaultdict(list)
        for row, value in enumerate(hashes[:, band].tolist()):
            buckets[value].append(row)
        for rows in buckets.values():
            found |= _within(names, hashes, np.array(rows), most_bits)
    return found


def _within(
    names: Sequence[tuple[str, str]], hashes: NDArray[np.uint8], rows: NDArray[np.int64], most_bits: int
) -> set[NearDuplicate]:
    found = set()
    for at, row in enumerate(rows[:-1]):
        others = rows[at + 1 :]
        differ = np.bitwise_count(hashes[others] ^ hashes[row]).sum(axis=1)
        for other, bits in zip(others[differ <= most_bits], differ[differ <= most_bits], strict=True):
            one, two = sorted((names[row], names[other]))
            if one[0] != two[0]:
                found.add(NearDuplicate(int(bits), one, two))
    return found
