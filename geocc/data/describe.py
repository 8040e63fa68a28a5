"""What is in a mixture: the table that `geocc data describe` prints."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from geocc.data.duplicates import DuplicateFinder, file_sizes
from geocc.data.records import read_records

if TYPE_CHECKING:
    from pathlib import Path

    from geocc.data.duplicates import CrossSplit
    from geocc.data.mixture import Mixture
    from geocc.data.records import Record

__all__ = ["CaptionFigures", "Description", "FileFigures", "describe", "tokenize"]

_NO_CHANGE = "no change"
_WORD = re.compile(r"[^\W_]+(?:['\u2019-][^\W_]+)*")


def tokenize(caption: str) -> list[str]:
    """Return the words of a caption in lower case; punctuation is none, and `t-shaped` is one."""
    return _WORD.findall(caption.lower())


@dataclass(slots=True)
class CaptionFigures:
    """Figures of a set of captions.

    Attributes:
        count: Number of captions.
        words: Number of words, over all of them.
        shortest: Fewest words of a caption.
        longest: Most words of a caption.
        vocabulary: How often each word stands there.
        distinct: The different captions, by hash.
    """

    count: int = 0
    words: int = 0
    shortest: int = 0
    longest: int = 0
    vocabulary: Counter[str] = field(default_factory=Counter)
    distinct: set[int] = field(default_factory=set)

    def add(self, caption: str) -> None:
        """Count one caption."""
        tokens = tokenize(caption)
        self.shortest = min(self.shortest, len(tokens)) if self.count else len(tokens)
        self.longest = max(self.longest, len(tokens))
        self.count += 1
        self.words += len(tokens)
        self.vocabulary.update(tokens)
        self.distinct.add(hash(caption))

    def merge(self, other: CaptionFigures) -> None:
        """Count the captions of another set too."""
        if other.count:
            self.shortest = min(self.shortest, other.shortest) if self.count else other.shortest
        self.longest = max(self.longest, other.longest)
        self.count += other.count
        self.words += other.words
        self.vocabulary.update(other.vocabulary)
        self.distinct |= other.distinct

    @property
    def mean_words(self) -> float:
        """Mean number of words; 0 where there are no captions."""
        return self.words / self.count if self.count else 0.0


@dataclass(slots=True)
class FileFigures:
    """Figures of one file of a mixture.

    Attributes:
        path: The file.
        source: Name of the data set; where the records name several, all of them.
        splits: Splits that the records name.
        weight: In how many entries of the mixture the file stands.
        samples: How many samples an epoch takes from it, over all entries.
        pairs: Number of records.
        changed: How many of them say that something changed.
        bare: How many of them have no captions.
        captions: Figures of their captions.
        licences: Licences that the records state.
        kinds: How many pairs show each kind of change, and how many none, of the records that tell it.
        missing: Images that are not there.
        first_missing: The first of them.
    """

    path: Path | None
    source: str = ""
    splits: set[str] = field(default_factory=set)
    weight: int = 1
    samples: int = 0
    pairs: int = 0
    changed: int = 0
    bare: int = 0
    captions: CaptionFigures = field(default_factory=CaptionFigures)
    licences: set[str] = field(default_factory=set)
    kinds: Counter[str] = field(default_factory=Counter)
    missing: int = 0
    first_missing: Path | None = None

    def add(self, record: Record) -> None:
        """Count one record, and look whether its images are there."""
        self.pairs += 1
        self.changed += record.change_flag
        self.bare += not record.change_caption
        for caption in record.change_caption:
            self.captions.add(caption)
        self.splits.add(record.split or "-")
        self.licences.add(record.licence or "not stated")
        if record.change_kinds is not None:
            self.kinds.update(record.change_kinds or [_NO_CHANGE])
        for image in (record.img1_path, record.img2_path):
            if not image.is_file():
                self.missing += 1
                self.first_missing = self.first_missing or image

    def merge(self, other: FileFigures) -> None:
        """Count the records of another file too."""
        for name in ("samples", "pairs", "changed", "bare", "missing"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.captions.merge(other.captions)
        self.splits |= other.splits
        self.licences |= other.licences
        self.kinds.update(other.kinds)
        self.first_missing = self.first_missing or other.first_missing


@dataclass(frozen=True, slots=True)
class Description:
    """What is in a mixture.

    Attributes:
        files: Figures of every file, in the order of the mixture.
        duplicates: Pairs whose images are the same bytes in more than one split.
    """

    files: tuple[FileFigures, ...]
    duplicates: tuple[CrossSplit, ...]

    @property
    def total(self) -> FileFigures:
        """Figures over all files; a file that stands in several entries counts once, save for the samples."""
        total = FileFigures(path=None, source="total")
        for figures in self.files:
            total.merge(figures)
        return total

    def __str__(self) -> str:
        """Return the table."""
        lines = _table([_HEAD, *(_row(figures) for figures in self.files), _row(self.total)])
        lines.insert(-1, lines[1])
        return "\n".join(line.rstrip() for line in [*lines, "", *self._kinds(), *self._notes()])

    def _kinds(self) -> list[str]:
        """Return the table of kinds of change, where the records tell them."""
        rows = [
            (figures.source, kind, f"{pairs:,}", f"{pairs / figures.pairs:.1%}")
            for figures in self.files
            for kind, pairs in figures.kinds.most_common()
        ]
        return [*_table([("source", "kind of change", "pairs", "share"), *rows]), ""] if rows else []

    def _notes(self) -> list[str]:
        notes = [f"licences: {'; '.join(sorted(self.total.licences)) or 'none'}"]
        notes += [
            f"missing: {one.missing} images of {one.path}, first {one.first_missing}"
            for one in self.files
            if one.missing
        ]
        notes += [f"without captions: {one.bare} records of {one.path}" for one in self.files if one.bare]
        notes.append(f"duplicates across splits: {len(self.duplicates)} pairs")
        notes += [f"  {pair}" for pair in self.duplicates[:_SHOWN]]
        if len(self.duplicates) > _SHOWN:
            notes.append(f"  and {len(self.duplicates) - _SHOWN} more")
        return notes


_SHOWN = 10
_HEAD = (
    "source",
    "split",
    "weight",
    "pairs",
    "captions",
    "samples",
    "changed",
    "words",
    "distinct",
    "vocabulary",
    "missing",
)
_LEFT = {0, 1}


def _table(rows: list[tuple[str, ...]]) -> list[str]:
    """Set rows in columns, the first two to the left, with a line below the head."""
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    lines = [
        "  ".join(cell.ljust(width) if at in _LEFT else cell.rjust(width) for at, (cell, width) in enumerate(row))
        for row in (list(zip(row, widths, strict=True)) for row in rows)
    ]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return lines


def _row(figures: FileFigures) -> tuple[str, ...]:
    captions = figures.captions
    words = f"{captions.mean_words:.1f} ({captions.shortest}-{captions.longest})" if captions.count else "-"
    return (
        figures.source,
        ",".join(sorted(figures.splits)),
        "" if figures.path is None else f"x{figures.weight}",
        f"{figures.pairs:,}",
        f"{captions.count:,}",
        f"{figures.samples:,}",
        f"{figures.changed / figures.pairs:.1%}" if figures.pairs else "-",
        words,
        f"{len(captions.distinct):,}",
        f"{len(captions.vocabulary):,}",
        f"{figures.missing:,}",
    )


def describe(mixture: Mixture, *, seed: int = 0) -> Description:
    """Read every file of a mixture once and count what is in it.

    Args:
        mixture: The mixture. Its files may hold test splits and records without captions: both are shown.
        seed: Which records `random` entries take does not change the figures, save for the samples of files whose
            records have different numbers of captions.

    Raises:
        ReadError: A file cannot be read.
        InputError: A record is broken.
    """
    finder = DuplicateFinder()
    files: dict[Path, FileFigures] = {}
    for entry, part in zip(mixture.entries, mixture.parts(seed=seed), strict=True):
        path = entry.json_path
        if path in files:
            files[path].weight += 1
        else:
            files[path] = _figures(path, entry.source, finder)
        files[path].samples += int(part.kept().sum())
    return Description(files=tuple(files.values()), duplicates=tuple(finder.across_splits()))


def _figures(path: Path, source: str | None, finder: DuplicateFinder) -> FileFigures:
    figures = FileFigures(path=path)
    sources = set()
    for record in read_records(path):
        figures.add(record)
        sources.add(record.source)
        sizes = file_sizes(record.img1_path, record.img2_path)
        if sizes is not None:
            images = (record.img1_path, record.img2_path)
            finder.add(split=record.split or path.stem, uid=record.uid, images=images, sizes=sizes)
    figures.source = "+".join(sorted(filter(None, sources))) or source or path.stem
    return figures
