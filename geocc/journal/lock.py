"""One process per journal: two would write the same parts."""

from __future__ import annotations

import errno
import sys
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["lock"]

_TAKEN = {errno.EACCES, errno.EAGAIN}


def lock(path: Path) -> BinaryIO:
    """Hold a file until it is closed or the process ends, however it ends.

    Network file systems without locks let everybody in: the lock is a courtesy, the journal is whole without it.

    Raises:
        BlockingIOError: Another process holds it.
        OSError: The file cannot be made.
    """
    file = path.open("ab")
    if sys.platform == "win32":  # where an open file cannot be replaced by another process anyway
        return file
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _TAKEN:
            file.close()
            raise BlockingIOError(error.errno, "another process works with it; wait for its end, or stop it") from error
    return file
