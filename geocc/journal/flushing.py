"""Journal files to the disk itself, behind the run: a process that is killed needs no flush, a machine without power does.

    run                        flusher, one thread
    write, move into place ──▶ name of the file ──▶ fsync of the file, fsync of its folder
    next batch             ◀── what went wrong

What each ending of a run costs is told in ADR 0007.
"""

from __future__ import annotations

import errno
import os
import threading
from typing import TYPE_CHECKING

from geocc.errors import WriteError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["FLUSHES_BEHIND", "Flusher", "flush_folder", "unwritable"]

FLUSHES_BEHIND = os.name == "posix"
"""Whether a file can be flushed while another is moved into its place; on Windows it cannot."""

_PAUSE_S = 1.0  # between two flushes: what a power cut may cost beside the flush that is under way


class Flusher:
    """Flushes files in a thread of its own, each as it is when its turn comes: of many versions only the newest.

    Args:
        folder: Where the files lie.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._changed = threading.Condition()
        self._wanted: dict[Path, None] = {}
        self._ended = False
        self._error: OSError | None = None
        self._thread: threading.Thread | None = None

    def flush(self, path: Path) -> None:
        """Have a file flushed soon.

        Raises:
            WriteError: An earlier flush has failed.
        """
        self.check()
        with self._changed:
            self._wanted[path] = None
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="geocc-flush", daemon=True)
                self._thread.start()
            self._changed.notify()

    def check(self) -> None:
        """Raise WriteError if a flush has failed."""
        if self._error is not None:
            raise unwritable(self._folder, self._error) from self._error

    def close(self, *, finish: bool = True) -> None:
        """End the thread and wait for it; without `finish`, what waits for its turn is not flushed any more.

        Raises:
            WriteError: A flush has failed.
        """
        with self._changed:
            self._ended = True
            if not finish:
                self._wanted.clear()
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()
        if finish:
            self.check()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._wanted or self._ended)
                paths, self._wanted = list(self._wanted), {}
            if not paths:
                return
            try:
                for path in paths:
                    _flush_file(path)
                flush_folder(self._folder)
            except OSError as error:
                self._error = error
                return
            with self._changed:
                self._changed.wait_for(lambda: self._ended, timeout=_PAUSE_S)


def unwritable(folder: Path, error: OSError) -> WriteError:
    """The error for a journal that cannot be written any more."""
    return WriteError(
        f"the journal {folder} cannot be written: {error.strerror or error}. What was done before this batch is kept: make "
        "room, and go on with resume=True (command line: --resume)."
    )


def _flush_file(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def flush_folder(folder: Path) -> None:
    """Make a move outlive a power cut, where the system can."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in {errno.EINVAL, errno.ENOTSUP, errno.EBADF}:
            raise
    finally:
        os.close(descriptor)
