"""Pairs that stand in more than one split: the same bytes, told apart cheaply by the size of the files first."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from geocc.errors import ReadError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["CrossSplit", "DuplicateFinder", "file_sizes"]


@dataclass(frozen=True, slots=True)
class CrossSplit:
    """One pair of images that stands in several splits.

    Attributes:
        where: Split and uid of each record that has it, sorted.
    """

    where: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        """Return the records in one line."""
        return ", ".join(f"{uid} ({split})" for split, uid in self.where)


def file_sizes(*paths: Path) -> tuple[int, ...] | None:
    """Return the sizes of files in bytes, or None where one of them is not there."""
    try:
        return tuple(path.stat().st_size for path in paths)
    except OSError:
        return None


class DuplicateFinder:
    """Collects pairs, and finds those whose two images are the same bytes in different splits."""

    def __init__(self) -> None:
        """Start with no pairs."""
        self._by_size: dict[tuple[int, ...], list[tuple[str, str, Path, Path]]] = defaultdict(list)

    def add(self, *, split: str, uid: str, images: tuple[Path, Path], sizes: tuple[int, ...]) -> None:
        """Take note of a pair.

        Args:
            split: Where it stands.
            uid: Its name.
            images: Both images, the earlier first.
            sizes: What `file_sizes` returned for them.
        """
        self._by_size[sizes].append((split, uid, *images))

    def across_splits(self) -> list[CrossSplit]:
        """Return the pairs that stand in more than one split. Only files of equal size are read.

        Raises:
            ReadError: An image cannot be read.
        """
        found = []
        for pairs in self._by_size.values():
            if len({split for split, *_ in pairs}) < 2:
                continue
            by_content: dict[str, list[tuple[str, str]]] = defaultdict(list)
            for split, uid, first, second in pairs:
                by_content[_digest(first) + _digest(second)].append((split, uid))
            found += [
                CrossSplit(tuple(sorted(where)))
                for where in by_content.values()
                if len({split for split, _ in where}) > 1
            ]
        return sorted(found, key=lambda pair: pair.where)


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "blake2b").hexdigest()
    except OSError as error:
        raise ReadError(f"{path} cannot be read: {error.strerror or error}.") from error
