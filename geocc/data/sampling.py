"""Which records of a file an entry of a mixture takes: `all`, `first:N`, `end:N`, `random:N`, or a percentage."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from geocc.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["SamplingStrategy"]

_FORM = re.compile(r"(first|end|random):(?:([1-9]\d*)|([1-9]\d?|100)%)")


@dataclass(frozen=True, slots=True)
class SamplingStrategy:
    """A rule that takes some of the records of a file.

    Attributes:
        kind: `all`, `first`, `end` or `random`.
        number: How many, at most; None where a percentage was given.
        percent: What share, in (0, 100]; rounded up to whole records, as the reference does.
    """

    kind: str
    number: int | None = None
    percent: int | None = None

    @classmethod
    def parse(cls, text: str) -> SamplingStrategy:
        """Read a rule as the reference's YAML writes it.

        Args:
            text: `all`, or `first`, `end` or `random` with a colon and a number or a percentage: `random:10%`.

        Raises:
            InputError: It is none of these. The reference would take all records then.
        """
        if text == "all":
            return cls("all")
        found = _FORM.fullmatch(text)
        if found is None:
            raise InputError(
                f"the sampling strategy is {text!r}; expected all, first:N, end:N, random:N or random:P% "
                "with whole numbers from 1."
            )
        kind, number, percent = found.groups()
        return cls(kind, int(number) if number else None, int(percent) if percent else None)

    def rows(self, total: int, *, rng: np.random.Generator) -> NDArray[np.int32]:
        """Return the rows that are taken, in the order of the file; all where there are fewer than asked for.

        Args:
            total: Number of records of the file.
            rng: Source of randomness for `random`.
        """
        everything = np.arange(total, dtype=np.int32)
        if self.kind == "all":
            return everything
        wanted = self.number if self.percent is None else math.ceil(self.percent * total / 100)
        count = min(wanted or 0, total)
        if self.kind == "first":
            return everything[:count]
        if self.kind == "end":
            return everything[total - count :]
        return np.sort(rng.choice(everything, size=count, replace=False))
