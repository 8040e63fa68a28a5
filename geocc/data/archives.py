"""Archives of data sets, unpacked so that nothing is written outside the folder and nothing grows without end.

Refused: paths that lead out of the folder, links of any kind, devices, and archives that hold more entries or bytes, or
expand further, than a data set does (PEP 706's `data` filter lets links inside the folder pass; none is needed here).
"""

from __future__ import annotations

import shutil
import stat
import tarfile
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import IO, TYPE_CHECKING, NoReturn

from geocc.errors import InputError, ReadError, WriteError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Limits", "extract_archive"]

_CHUNK = 1 << 20
_ZIP_END_REACH = 22 + 65_535 + 20


@dataclass(frozen=True, slots=True)
class Limits:
    """What an archive may come to.

    Attributes:
        entries: Most files and folders.
        total_bytes: Most bytes, all files unpacked.
        ratio: Most bytes unpacked for each byte of the archive, once more than `ratio_from` are unpacked.
        ratio_from: Bytes up to which the ratio does not matter: masks of one colour shrink a hundredfold.
    """

    entries: int = 500_000
    total_bytes: int = 200 * 2**30
    ratio: float = 200.0
    ratio_from: int = 64 * 2**20


def extract_archive(archive: str | Path, folder: str | Path, *, limits: Limits | None = None) -> list[Path]:
    """Unpack a ZIP or TAR file (plain, gzip, bzip2 or xz) into a new folder.

    The folder appears once everything is unpacked, and not at all where the archive is refused.

    Args:
        archive: The file.
        folder: Folder to make; must not exist.
        limits: What the archive may come to.

    Returns:
        The files, in the order of the archive.

    Raises:
        ReadError: The archive cannot be read or is broken.
        InputError: It holds what no data set needs, or comes to more than the limits allow.
        WriteError: The folder exists or cannot be written.
    """
    archive, folder = Path(archive), Path(folder).absolute()
    limits = limits or Limits()
    if folder.exists():
        raise WriteError(f"{folder} exists; give a folder that is still to be made.")
    try:
        with TemporaryDirectory(prefix=".geocc-", dir=folder.parent) as draft:
            inside = Path(draft) / "unpacked"
            inside.mkdir()
            names = [_write(member, inside) for member in _checked(archive, limits)]
            inside.rename(folder)
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error, NotImplementedError, RuntimeError) as error:
        raise ReadError(f"{archive} is broken, encrypted or of an unknown kind: {error}; fetch it again.") from error
    except OSError as error:
        if isinstance(error, (ReadError, WriteError)):
            raise
        raise WriteError(f"{archive} cannot be unpacked to {folder}: {error}.") from error
    return [folder / name for name in names]


def _write(member: _Counted, folder: Path) -> str:
    target = folder / member.name
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("xb") as file:
        shutil.copyfileobj(member, file, _CHUNK)
    return member.name


class _Counted:
    """The bytes of a member, counted as they are read: what the archive states of its size is not believed."""

    def __init__(self, name: str, stream: IO[bytes], budget: _Budget) -> None:
        self.name, self._stream, self._budget = name, stream, budget

    def read(self, size: int = _CHUNK) -> bytes:
        """Read some bytes."""
        data = self._stream.read(size)
        self._budget.spend(len(data), self.name)
        return data


class _Budget:
    """What may still be unpacked."""

    def __init__(self, archive: Path, limits: Limits) -> None:
        self._archive, self._limits = archive, limits
        self._packed = archive.stat().st_size
        self.entries = self.bytes = 0

    def expect(self, entries: int) -> None:
        """Refuse an archive that states too many entries before they are listed."""
        if entries > self._limits.entries:
            self.refuse(f"holds {entries:,} entries, more than {self._limits.entries:,} entries")

    def enter(self) -> None:
        """Count an entry."""
        self.entries += 1
        if self.entries > self._limits.entries:
            self.refuse(f"holds more than {self._limits.entries:,} entries")

    def spend(self, count: int, name: str) -> None:
        """Count unpacked bytes."""
        self.bytes += count
        if self.bytes > self._limits.total_bytes:
            self.refuse(f"unpacks to more than {self._limits.total_bytes:,} bytes, at {name!r}")
        if self.bytes > self._limits.ratio_from and self.bytes > self._limits.ratio * self._packed:
            self.refuse(f"unpacks to more than {self._limits.ratio:g} times its size, at {name!r}")

    def refuse(self, what: str) -> NoReturn:
        """Refuse the archive."""
        raise InputError(f"{self._archive} {what}; if it is to be trusted, unpack it by hand or give other Limits.")


def _checked(archive: Path, limits: Limits) -> Iterator[_Counted]:
    """Yield the files of an archive, each to be read before the next, refusing all but plain files and folders."""
    try:
        budget = _Budget(archive, limits)
        members = _zip(archive, budget) if zipfile.is_zipfile(archive) else _tar(archive, budget)
    except FileNotFoundError as error:
        raise ReadError(f"{archive} does not exist; check the path.") from error
    seen: set[str] = set()
    for name, stream in members:
        path = PurePosixPath(name.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or (path.parts and ":" in path.parts[0]) or "\0" in name:
            budget.refuse(f"holds {name!r}, which leads out of the folder")
        if str(path).lower() in seen:
            budget.refuse(f"holds {name!r} twice")
        seen.add(str(path).lower())
        yield _Counted(str(path), stream, budget)


def _zip(archive: Path, budget: _Budget) -> Iterator[tuple[str, IO[bytes]]]:
    budget.expect(_stated_entries(archive))
    with zipfile.ZipFile(archive) as file:
        for info in file.infolist():
            budget.enter()
            kind = stat.S_IFMT(info.external_attr >> 16)
            if kind not in {0, stat.S_IFREG, stat.S_IFDIR}:
                budget.refuse(f"holds {info.filename!r}, which is a link or a device")
            if not info.is_dir():
                with file.open(info) as stream:
                    yield info.filename, stream


def _stated_entries(archive: Path) -> int:
    """Return how many entries a ZIP file states at its end: `zipfile` would list a million of them for seconds first."""
    with archive.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(size - _ZIP_END_REACH, 0))
        tail = file.read()
        end = tail.rfind(b"PK\x05\x06")
        entries = int.from_bytes(tail[end + 10 : end + 12], "little") if end >= 0 else 0
        locator = tail[end - 20 : end] if entries == 0xFFFF and end >= 20 else b""
        if locator.startswith(b"PK\x06\x07"):  # ZIP64 keeps the number in a record of its own
            file.seek(int.from_bytes(locator[8:16], "little"))
            entries = int.from_bytes(file.read(40)[32:40], "little")
    return entries


def _tar(archive: Path, budget: _Budget) -> Iterator[tuple[str, IO[bytes]]]:
    with tarfile.open(archive, mode="r|*") as file:
        for info in file:
            budget.enter()
            if not (info.isreg() or info.isdir()):
                budget.refuse(f"holds {info.name!r}, which is a link or a device")
            stream = file.extractfile(info) if info.isreg() else None
            if stream is not None:
                yield info.name, stream
