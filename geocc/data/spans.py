"""Where each record lies in a file: a JSON array or JSON lines, found without holding the file in memory."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from geocc.errors import InputError, ReadError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["Span", "iter_spans"]

_CHUNK = 1 << 20
_LARGEST_RECORD = 1 << 26
_BOM_UTF8 = b"\xef\xbb\xbf"
_BOMS_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_SPACE = " \t\r\n"


class Span(NamedTuple):
    """One record as it stands in its file.

    Attributes:
        number: Its place among the records, from 1.
        line: The line on which it begins, from 1.
        start: Its first byte.
        data: Its bytes.
    """

    number: int
    line: int
    start: int
    data: bytes


def iter_spans(path: Path) -> Iterator[Span]:
    """Yield the records of a file, in order, with where they stand.

    A file that begins with `[` is a JSON array; any other is JSON lines. Blank lines are no records.

    Args:
        path: The file, in UTF-8, with or without a byte order mark.

    Raises:
        ReadError: The file cannot be opened, is not UTF-8, or breaks off.
        InputError: It is no list of records.
    """
    try:
        with path.open("rb") as file:
            yield from _spans(file, path)
    except OSError as error:
        if isinstance(error, ReadError):
            raise
        raise ReadError(f"{path} cannot be read: {error.strerror or error}; check the path.") from error


def _spans(file: BinaryIO, path: Path) -> Iterator[Span]:
    head = file.read(64)
    if head.startswith(_BOMS_UTF16) or b"\x00" in head:
        raise ReadError(f"{path} is not UTF-8 (it looks like UTF-16); save it again as UTF-8.")
    start = len(_BOM_UTF8) if head.startswith(_BOM_UTF8) else 0
    file.seek(start)
    if head[start:].lstrip().startswith(b"["):
        yield from _array_spans(file, path, start)
    else:
        yield from _line_spans(file, start)


def _line_spans(file: BinaryIO, start: int) -> Iterator[Span]:
    number = 0
    for line, data in enumerate(file, start=1):
        if not data.isspace():
            number += 1
            yield Span(number=number, line=line, start=start, data=data)
        start += len(data)


def _array_spans(file: BinaryIO, path: Path, start: int) -> Iterator[Span]:
    """Walk an array element by element.

    The bytes are read as Latin-1, where a byte is a character: the marks of JSON are ASCII, so the places come out
    right, and the text itself is decoded by whoever takes the span.
    """
    walk = _Window(file, path, start)
    walk.skip("[")
    if walk.peek() == "]":
        walk.end()
        return
    number = 0
    while True:
        walk.peek()
        number += 1
        yield walk.element(number)
        mark = walk.peek()
        if mark == "]":
            walk.end()
            return
        if mark != ",":
            walk.fail(f"expected a comma or ']' after record {number}, found {mark!r}")
        walk.skip(",")


class _Window:
    """The part of an array that is in memory: what was read and not yet walked over."""

    def __init__(self, file: BinaryIO, path: Path, start: int) -> None:
        self._file, self._path = file, path
        self._text, self._at = "", 0
        self._start, self._line = start, 1
        self._decoder = json.JSONDecoder()

    def peek(self) -> str:
        """Walk over white space and return the character there."""
        while True:
            rest = self._text[self._at : self._at + 256]
            blank = len(rest) - len(rest.lstrip(_SPACE))
            self._line += rest.count("\n", 0, blank)
            self._at += blank
            if blank < len(rest):
                return rest[blank]
            if self._at >= len(self._text) and not self._more():
                self.fail("the file ends before its array does")

    def skip(self, mark: str) -> None:
        """Walk over one character that must be there."""
        found = self.peek()
        if found != mark:
            self.fail(f"expected {mark!r}, found {found!r}")
        self._at += 1

    def element(self, number: int) -> Span:
        """Walk over one value."""
        while True:
            try:
                _, end = self._decoder.raw_decode(self._text, self._at)
            except ValueError as error:  # broken, or not yet wholly read
                if len(self._text) - self._at > _LARGEST_RECORD or not self._more():
                    self.fail(f"record {number} is not valid JSON: {error}")
                continue
            if end < len(self._text) or not self._more():
                break
        text = self._text[self._at : end]
        span = Span(number=number, line=self._line, start=self._start + self._at, data=text.encode("latin-1"))
        self._line += text.count("\n")
        self._at = end
        return span

    def end(self) -> None:
        """Make sure that nothing but white space follows the array."""
        self._at += 1
        while self._at < len(self._text) or self._more():
            if self._text[self._at :].strip(_SPACE):
                self.fail("there is text after the end of the array")
            self._at = len(self._text)

    def fail(self, what: str) -> None:
        """Say what is wrong, and where."""
        raise InputError(f"{self._path}, line {self._line}: {what}; expected a JSON array or JSON lines of records.")

    def _more(self) -> bool:
        chunk = self._file.read(_CHUNK)
        self._text = self._text[self._at :] + chunk.decode("latin-1")
        self._start += self._at
        self._at = 0
        return bool(chunk)
