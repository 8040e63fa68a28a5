"""Random access to the records of a file, at a few bytes of memory for each."""

from __future__ import annotations

import os
import weakref
from array import array
from pathlib import Path
from typing import TYPE_CHECKING, NotRequired

import numpy as np
from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict  # pydantic needs this one before Python 3.12

from geocc.data.records import parse_record
from geocc.data.spans import iter_spans
from geocc.errors import InputError, ReadError

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

    from geocc.data.records import Record

__all__ = ["RecordIndex"]


class _Head(TypedDict):
    """What the index has to know of a record."""

    change_caption: list[str]
    split: NotRequired[str | None]


_HEAD = TypeAdapter(_Head)


class RecordIndex:
    """Where the records of a file lie. The records themselves stay in the file.

    It can be pickled and used in several processes at once. The file must not change meanwhile.

    Attributes:
        path: The file.
        captions: `(records,)` int32, the number of captions of each record.
        test: `(records,)` bool, whether a record says that it belongs to a test split.
    """

    def __init__(self, path: str | Path) -> None:
        """Read through the file once.

        Args:
            path: A JSON array or JSON lines file of records.

        Raises:
            ReadError: The file cannot be read.
            InputError: A record is broken.
        """
        self.path = Path(path).absolute()
        starts, sizes, lines, captions, test = array("q"), array("l"), array("l"), array("l"), array("b")
        for span in iter_spans(self.path):
            try:
                head = _HEAD.validate_json(span.data)
            except ValidationError:
                parse_record(span.data, root=None, where=self._where(span.line, span.number))
                raise
            starts.append(span.start)
            sizes.append(len(span.data))
            lines.append(span.line)
            captions.append(len(head["change_caption"]))
            test.append(head.get("split") == "test")
        self._starts: NDArray[np.int64] = np.array(starts, dtype=np.int64)
        self._sizes: NDArray[np.int32] = np.array(sizes, dtype=np.int32)
        self._lines: NDArray[np.int32] = np.array(lines, dtype=np.int32)
        self.captions: NDArray[np.int32] = np.array(captions, dtype=np.int32)
        self.test: NDArray[np.bool_] = np.array(test, dtype=bool)
        self._descriptor: int | None = None

    def __len__(self) -> int:
        """Return the number of records."""
        return len(self._starts)

    def __getitem__(self, row: int) -> Record:
        """Read one record, its paths starting from the folder of the file.

        Raises:
            ReadError: The file has gone or has been cut off.
            InputError: The record is broken.
        """
        size = int(self._sizes[row])
        data = self._read(start=int(self._starts[row]), size=size)
        if len(data) < size:
            raise ReadError(f"{self.path} has become shorter since it was opened; open the mixture again.")
        return parse_record(data, root=self.path.parent, where=self.where(row))

    def where(self, row: int) -> str:
        """Return file, line and record for an error."""
        return self._where(int(self._lines[row]), row + 1)

    def require_captions(self) -> None:
        """Make sure that there is something to learn from every record.

        Raises:
            InputError: A record has no captions.
        """
        bare = np.flatnonzero(self.captions == 0)
        if len(bare):
            raise InputError(
                f"{self.where(int(bare[0]))}: 'change_caption' is empty, and so it is in {len(bare) - 1} more records of "
                "this file; write captions with `geocc data caption`, or leave such records out."
            )

    def _where(self, line: int, number: int) -> str:
        return f"{self.path}, line {line} (record {number})"

    def _read(self, *, start: int, size: int) -> bytes:
        try:
            if not hasattr(os, "pread"):  # Windows
                with self.path.open("rb") as file:
                    file.seek(start)
                    return file.read(size)
            if self._descriptor is None:
                # A bare descriptor read at a given place has no state that forked workers could share.
                self._descriptor = os.open(self.path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
                weakref.finalize(self, os.close, self._descriptor)
            return os.pread(self._descriptor, size, start)
        except OSError as error:
            raise ReadError(f"{self.path} cannot be read: {error.strerror or error}.") from error

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_descriptor": None}
