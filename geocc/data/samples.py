"""What a mixture comes to: a long sequence of pairs with one caption each, read from the files as it is asked for."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from geocc.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from geocc.data.index import RecordIndex
    from geocc.data.records import Record

__all__ = ["CaptionMode", "Part", "Sample", "Samples"]

CaptionMode = Literal["flatten_list", "random_choice"]


class Sample(NamedTuple):
    """A pair with the caption to learn from it.

    Attributes:
        record: The pair, with all of its captions.
        caption: The one that is meant here.
    """

    record: Record
    caption: str


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """The records that one entry of a mixture takes from a file.

    Attributes:
        index: The file.
        rows: `(records,)` which of its records.
        captions_per_pair: Number of captions, drawn at random, that are kept of each record; None keeps all.
    """

    index: RecordIndex
    rows: NDArray[np.int32]
    captions_per_pair: int | None = None

    def kept(self) -> NDArray[np.int64]:
        """Return `(records,)`, how many captions of each record are kept."""
        counts = self.index.captions[self.rows].astype(np.int64)
        return counts if self.captions_per_pair is None else np.minimum(counts, self.captions_per_pair)


class Samples:
    """The samples of a mixture in a shuffled order: a sequence that any `torch.utils.data.DataLoader` takes as it is.

    The order, the captions drawn and the records drawn follow from the seed and the epoch alone, on any machine.
    """

    def __init__(self, parts: Sequence[Part], *, captions: CaptionMode, seed: int, epoch: int, shuffle: bool) -> None:
        """Lay the parts end to end and shuffle.

        Args:
            parts: What the entries of the mixture take.
            captions: `flatten_list` makes one sample of every caption; `random_choice` one of every record, with a
                caption drawn anew in each epoch.
            seed: Chooses the order and what is drawn.
            epoch: Another epoch, another order.
            shuffle: Whether to shuffle.

        Raises:
            InputError: `captions` is neither of the two, or the epoch is negative.
        """
        if captions not in {"flatten_list", "random_choice"}:
            raise InputError(f"captions is {captions!r}; expected 'flatten_list' or 'random_choice'.")
        if epoch < 0:
            raise InputError(f"epoch is {epoch}; expected a whole number from 0.")
        self._parts, self._captions, self._seed = tuple(parts), captions, seed
        # Within a part, the sample after the last one of each record.
        self._bounds = (
            None if captions == "random_choice" else tuple(np.cumsum(part.kept(), dtype=np.int64) for part in parts)
        )
        lengths = (
            [len(part.rows) for part in parts]
            if self._bounds is None
            else [int(bounds[-1]) if len(bounds) else 0 for bounds in self._bounds]
        )
        self._ends = np.cumsum(lengths, dtype=np.int64)
        self._shuffle = shuffle
        self._set_order(epoch)

    def at_epoch(self, epoch: int) -> Samples:
        """Return the same samples in the order of another epoch. Nothing is read for it."""
        other = object.__new__(Samples)
        other.__dict__.update(self.__dict__)
        other._set_order(epoch)
        return other

    @property
    def epoch(self) -> int:
        """The epoch whose order this is."""
        return self._epoch

    def __len__(self) -> int:
        """Return the number of samples of an epoch."""
        return int(self._ends[-1]) if len(self._ends) else 0

    def __getitem__(self, at: int) -> Sample:
        """Read one sample.

        Args:
            at: Its place in this epoch; negative places count from the end.

        Raises:
            IndexError: There are not so many.
            ReadError: Its file can no longer be read.
            InputError: Its record is broken.
        """
        part_number, row, nth = self._locate(at)
        record, kept = self._read(part_number, row)
        if nth is None:
            nth = random.Random(f"choice {self._seed} {self._epoch} {part_number} {row}").randrange(len(kept))
        return Sample(record, record.change_caption[kept[nth]])

    def with_all_captions(self, at: int) -> tuple[Record, tuple[str, ...]]:
        """Read the record of one sample, and every caption that is kept of it.

        Args:
            at: Place of the sample in this epoch; negative places count from the end.

        Raises:
            IndexError: There are not so many.
            ReadError: Its file can no longer be read.
            InputError: Its record is broken.
        """
        part_number, row, _ = self._locate(at)
        record, kept = self._read(part_number, row)
        return record, tuple(record.change_caption[number] for number in kept)

    def __iter__(self) -> Iterator[Sample]:
        """Yield the samples of the epoch."""
        for at in range(len(self)):
            yield self[at]

    def _set_order(self, epoch: int) -> None:
        self._epoch = epoch
        self._order: NDArray[np.uint32] | None = None
        if self._shuffle:
            rng = np.random.default_rng([self._seed, epoch])
            self._order = rng.permutation(np.arange(len(self), dtype=np.uint32))

    def _locate(self, at: int) -> tuple[int, int, int | None]:
        """Return the part of a sample, the record in it, and which of its captions: None where one is to be drawn."""
        at = at + len(self) if at < 0 else at
        if not 0 <= at < len(self):
            raise IndexError(f"sample {at} was asked for; there are {len(self)}")
        place = at if self._order is None else int(self._order[at])
        part_number = int(np.searchsorted(self._ends, place, side="right"))
        place -= int(self._ends[part_number - 1]) if part_number else 0
        if self._bounds is None:
            return part_number, place, None
        bounds = self._bounds[part_number]
        row = int(np.searchsorted(bounds, place, side="right"))
        return part_number, row, place - (int(bounds[row - 1]) if row else 0)

    def _read(self, part_number: int, row: int) -> tuple[Record, Sequence[int]]:
        """Read a record, and say which of its captions are kept."""
        part = self._parts[part_number]
        record = part.index[int(part.rows[row])]
        return record, self._kept(part, f"{part_number} {row}", total=len(record.change_caption))

    def _kept(self, part: Part, name: str, *, total: int) -> Sequence[int]:
        """Return the numbers of the captions of a record that are kept: the same ones in every epoch."""
        if part.captions_per_pair is None or part.captions_per_pair >= total:
            return range(total)
        return random.Random(f"kept {self._seed} {name}").sample(range(total), part.captions_per_pair)
