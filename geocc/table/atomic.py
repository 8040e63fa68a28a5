"""Files that are either the old ones or the new ones, and never something between."""

from __future__ import annotations

import os
import shutil
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["DRAFT_PREFIX", "replacing"]

DRAFT_PREFIX = ".geocc-"
"""How the names of the folders begin in which files are drafted, beside the file they become."""


@contextmanager
def replacing(path: Path, *, companion: Path | None = None) -> Iterator[Path]:
    """Hand out a draft to write to, which becomes `path` once the block ends without an exception.

    The draft has the same file name, in a hidden folder beside `path`, so that what a writer leaves next to it
    (journals, write-ahead logs) goes away with the folder, whatever happens.

    Args:
        path: The file to make or replace. A link would be replaced, not followed.
        companion: A second file beside `path`, replaced with it, or removed if none was drafted under its name.

    Yields:
        The path to write to. A companion is written beside it, under its own name.
    """
    with TemporaryDirectory(prefix=DRAFT_PREFIX, dir=path.parent) as folder:
        draft = Path(folder) / path.name
        yield draft
        _flush(draft)
        with ExitStack() as undo:
            if companion is not None:
                _replace_companion(companion, folder=Path(folder), undo=undo)
            draft.replace(path)
            undo.pop_all()


def _replace_companion(target: Path, *, folder: Path, undo: ExitStack) -> None:
    kept = folder / "previous"
    if target.exists():
        shutil.copy2(target, kept)
        undo.callback(kept.replace, target)
    else:
        undo.callback(target.unlink, missing_ok=True)
    draft = folder / target.name
    if draft.exists():
        draft.replace(target)
    else:
        target.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    # Without this a power cut after the rename could leave an empty file under the final name.
    with path.open("rb+") as file:
        os.fsync(file.fileno())
