"""What every reader shares: what it yields, and how it reads the files of a data set without trusting them."""

from __future__ import annotations

import codecs
import json
import os
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from geocc.errors import InputError, ReadError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["Draft", "Layout"]

_IMAGES = {".png", ".jpg", ".jpeg", ".tif", ".tiff"}


@dataclass(frozen=True, slots=True)
class Draft:
    """A pair as a data set has it, before it is checked.

    Attributes:
        uid: Name of the pair within the data set.
        img1: Image of the earlier date.
        img2: Image of the later date.
        split: Part of the data set, or None where it has no parts.
        captions: Its captions as they stand there, which may be null or empty; None where the data set has none.
        changed: Whether something changed; None where only the mask tells.
        mask: Binary mask of the change: all that is not black changed.
        labels: Classes of either date as images, white where nothing changed.
        extra: Further keys of the record.
    """

    uid: str
    img1: Path
    img2: Path
    split: str | None
    captions: list[Any] | None = None
    changed: bool | None = None
    mask: Path | None = None
    labels: tuple[Path, Path] | None = None
    extra: dict[str, Any] = field(default_factory=dict)


class Layout:
    """The folder that a data set lies in."""

    def __init__(self, root: Path) -> None:
        """Look into a folder.

        Args:
            root: The folder, as the data set's archive unpacks.

        Raises:
            ReadError: It is not there.
        """
        if not root.exists():
            raise ReadError(f"{root} does not exist; give the folder that the data set was unpacked to.")
        self.root = root

    def path(self, *parts: str) -> Path:
        """Return a path below the folder, of which parts may come from the data set's own files.

        Raises:
            InputError: It would lead out of the folder.
        """
        inside = PurePath(os.path.normpath(PurePath(*parts)))  # as text: no link is followed
        if inside.is_absolute() or os.pardir in inside.parts:
            raise InputError(
                f"{'/'.join(parts)!r} leads out of {self.root}; the data set's files are not to be trusted."
            )
        return self.root / inside

    def first(self, *names: str) -> Path | None:
        """Return the first of several files or folders that is there, or None."""
        return next((self.root / name for name in names if (self.root / name).exists()), None)

    def require(self, *names: str) -> Path:
        """Return the first of several files or folders that is there.

        Raises:
            ReadError: None is.
        """
        found = self.first(*names)
        if found is None:
            raise ReadError(
                f"{self.root} holds none of {', '.join(names)}; give the folder that the data set was unpacked to."
            )
        return found

    def find(self, *patterns: str) -> Path:
        """Return the only file that fits the first of several patterns that any file fits.

        Raises:
            ReadError: None fits, or several do.
        """
        for pattern in patterns:
            found = sorted(self.root.glob(pattern))
            if len(found) == 1:
                return found[0]
            if found:
                names = ", ".join(path.name for path in found[:4])
                raise ReadError(f"{self.root} holds several files like {pattern}: {names}; keep one there.")
        raise ReadError(f"{self.root} holds no file like {' or '.join(patterns)}; give the unpacked data set's folder.")

    @staticmethod
    def names(*folders: Path) -> list[str]:
        """Return the names of the images in any of several folders: what is in one alone is damage, not absence.

        Raises:
            ReadError: A folder is not there.
        """
        names = set()
        for folder in folders:
            try:
                names |= {path.name for path in folder.iterdir() if path.suffix.lower() in _IMAGES}
            except OSError as error:
                raise ReadError(
                    f"{folder} cannot be read: {error.strerror or error}; is the archive unpacked whole?"
                ) from error
        return sorted(names)

    @staticmethod
    def text(path: Path) -> str:
        """Read a text file in UTF-8 or, where a byte order mark says so, UTF-16.

        Raises:
            ReadError: It cannot be read, or is in another encoding.
        """
        try:
            data = path.read_bytes()
        except OSError as error:
            raise ReadError(f"{path} cannot be read: {error.strerror or error}.") from error
        encoding = "utf-16" if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
        try:
            return data.decode(encoding)
        except UnicodeDecodeError as error:
            raise ReadError(
                f"{path} is not UTF-8: byte {error.start} is {data[error.start]:#04x}; save it again as UTF-8."
            ) from error

    @classmethod
    def json(cls, path: Path) -> Any:
        """Read a JSON file.

        Raises:
            ReadError: It cannot be read or is not JSON.
        """
        text = cls.text(path)
        try:
            return json.loads(text)
        except ValueError as error:
            raise ReadError(f"{path} is not valid JSON: {error}; was it downloaded to its end?") from error

    @classmethod
    def json_lines(cls, path: Path) -> Iterator[tuple[int, Any]]:
        """Yield the number and the value of each line of a JSON lines file.

        Raises:
            ReadError: It cannot be read, or a line is not JSON.
        """
        for number, line in enumerate(cls.text(path).splitlines(), start=1):
            if not line.strip():
                continue
            try:
                yield number, json.loads(line)
            except ValueError as error:
                raise ReadError(f"{path}, line {number} is not valid JSON: {error}.") from error
