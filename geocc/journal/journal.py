"""The folder beside the output in which a run's results lie until the layer is written.

    changes.gpkg.journal/
      _run.json               what the run depends on; a run with another one does not go on with this journal
      part-000000.parquet     1,024 results and their footprints
      part-000001.parquet     the newest: replaced, whole, with every batch until it is full, and flushed behind the run

The layout is explained in ADR 0007.
"""

from __future__ import annotations

import contextlib
import json
import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Self

import numpy as np
import pyarrow as pa

from geocc.errors import InputError, WriteError
from geocc.journal.fingerprint import differences
from geocc.journal.flushing import FLUSHES_BEHIND, Flusher
from geocc.journal.lock import lock
from geocc.journal.parts import encoded, part_schema, part_table, read_part, replace_file, table_results
from geocc.table import TileResult, TileStatus

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from geocc.scene import TilePlan

__all__ = ["Journal", "check_journal", "journal_path", "open_journal"]

ROWS_PER_PART = 1024
"""Results in a part: few files for a million tiles, and little to write again with each batch."""

_RUN = "_run.json"  # readers of Parquet folders pass over names that begin with an underscore or a dot
_PART = re.compile(r"part-(\d{6})\.parquet")


def journal_path(output: str | os.PathLike[str]) -> Path:
    """Where the journal of a run lies that writes to `output`: ``changes.gpkg`` has ``changes.gpkg.journal``."""
    output = Path(output)
    return output.with_name(f"{output.name}.journal")


def check_journal(output: str | os.PathLike[str], *, resume: bool) -> None:
    """Refuse to begin anew where an unfinished run has left results.

    Raises:
        WriteError: There is a journal with results beside `output`, and `resume` is False; or something else lies there.
    """
    folder = journal_path(output)
    if folder.exists() and not folder.is_dir():
        raise WriteError(
            f"{folder} is in the way: the journal of the run would be a folder of that name. Move it away."
        )
    if resume or not _parts(folder):
        return
    raise WriteError(
        f"{folder} holds what an unfinished run has done. To go on with it, pass resume=True (command line: --resume); "
        f"to begin anew, delete it: shutil.rmtree({str(folder)!r})."
    )


def open_journal(
    output: str | os.PathLike[str], *, plan: TilePlan, fingerprint: Mapping[str, Any], resume: bool
) -> Journal:
    """Open the journal of a run, or begin one.

    Args:
        output: The file that the run writes.
        plan: All tiles of the run.
        fingerprint: What the run depends on, from `run_fingerprint`.
        resume: Whether to go on with what is there. Without a journal this begins one.

    Raises:
        InputError: The journal is that of another run; says what differs.
        WriteError: The journal cannot be written, is in use by another process, or is there and `resume` is False.
    """
    check_journal(output, resume=resume)
    folder = journal_path(output)
    try:
        folder.mkdir(exist_ok=True)
        held = lock(folder / ".lock")
    except OSError as error:
        raise WriteError(f"the journal {folder} cannot be used: {error.strerror or error}.") from error
    try:
        if _parts(folder):
            _check_same_run(folder, fingerprint)
        else:
            replace_file(folder / _RUN, json.dumps(fingerprint, indent=1).encode(), flush=True)
        return Journal(folder, plan, held)
    except BaseException:
        held.close()
        raise


class Journal:
    """Results of a run on disk. Make it with `open_journal`.

    Args:
        folder: Where it lies.
        plan: All tiles of the run.
        held: The open lock file.

    Attributes:
        folder: Where it lies.
    """

    def __init__(self, folder: Path, plan: TilePlan, held: BinaryIO) -> None:
        self.folder = folder
        self._plan = plan
        self._held = held
        self._schema = part_schema(plan)
        self._order = np.argsort(plan.tile_ids)
        self._done = np.zeros(len(plan), bool)
        self._next = 0
        self._rows = pa.Table.from_batches([], schema=self._schema)  # `empty_table` would import pandas
        self._flusher = Flusher(folder)
        for path in _parts(folder):
            self._recover(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        try:
            self.close()
        except WriteError as failed:
            if error is None:
                raise
            error.add_note(str(failed))

    @property
    def done(self) -> int:
        """How many tiles need not be captioned any more."""
        return int(self._done.sum())

    def pending(self) -> NDArray[np.int64]:
        """Positions in the plan of the tiles still to do; those that failed in an earlier run are among them."""
        return np.flatnonzero(~self._done)

    def append(self, results: Sequence[TileResult]) -> None:
        """Keep a batch of results: once this returns they outlive the process, and a moment later a power cut.

        Raises:
            WriteError: The disk is full, or the folder cannot be written any more.
            InputError: A result belongs to no tile of the plan, or to one that has its result.
        """
        if not results:
            return
        position = self._positions([result.tile_id for result in results])
        if self._done[position].any() or len(np.unique(position)) < len(position):
            raise InputError(f"more than one result has come for a tile of the batch from {results[0].tile_id!r} on")
        table = part_table(results, self._plan, position, self._schema)
        rows = pa.concat_tables([self._rows, table]).combine_chunks()
        full = len(rows) >= ROWS_PER_PART
        path = self.folder / f"part-{self._next:06d}.parquet"
        self._flusher.check()
        replace_file(path, encoded(rows, small=full), flush=not FLUSHES_BEHIND)
        self._rows = rows
        self._done[position] = True
        if FLUSHES_BEHIND:
            self._flusher.flush(path)
        if full:
            self._next += 1
            self._rows = self._schema.empty_table()

    def results(self) -> Iterator[TileResult]:
        """All results, one per tile; of a tile that was tried again, the last.

        Raises:
            WriteError: A part could not be flushed to the disk.
        """
        self._flusher.check()
        latest: dict[str, TileResult] = {}
        for path in _parts(self.folder):
            latest.update((result.tile_id, result) for result in table_results(read_part(path)))
        return iter(latest.values())

    def close(self) -> None:
        """Flush what is not yet on the disk, and let another process have the journal. One without results is removed.

        Raises:
            WriteError: A part could not be flushed.
        """
        try:
            if not _parts(self.folder):
                self._remove()
            self._flusher.close()
        finally:
            self._held.close()

    def discard(self) -> None:
        """Remove the journal, now that the layer is written."""
        self._flusher.close(finish=False)
        self._remove()
        self._held.close()

    def _remove(self) -> None:
        # By name: whatever else lies here is not ours. Parts first, for without them the rest counts as no journal.
        for path in (*_parts(self.folder), self.folder / _RUN, *self.folder.glob(".*.parquet"), self.folder / ".lock"):
            path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self.folder.rmdir()

    def _recover(self, path: Path) -> None:
        self._next = _number(path) + 1
        try:
            table = read_part(path)
        except OSError as error:
            warnings.warn(f"{path} is damaged and its tiles are captioned again: {error}", RuntimeWarning, stacklevel=4)
            path.unlink(missing_ok=True)
            return
        position = self._positions(table.column("tile_id").to_pylist())
        self._done[position] = [status != TileStatus.FAILED for status in table.column("status").to_pylist()]

    def _positions(self, tile_ids: list[str]) -> NDArray[np.int64]:
        ids, wanted = self._plan.tile_ids, np.array(tile_ids, dtype=np.str_)
        at = np.searchsorted(ids, wanted, sorter=self._order)
        position = self._order[np.minimum(at, len(ids) - 1)]
        unknown = ids[position] != wanted
        if unknown.any():
            raise InputError(f"the plan has no tile {wanted[unknown][0]!r}, and a result for it has come")
        return np.asarray(position, np.int64)


def _parts(folder: Path) -> list[Path]:
    """The parts of a journal, oldest first; none where there is no journal."""
    return sorted((path for path in folder.glob("part-*.parquet") if _PART.fullmatch(path.name)), key=_number)


def _number(path: Path) -> int:
    found = _PART.fullmatch(path.name)
    return int(found[1]) if found else -1


def _check_same_run(folder: Path, fingerprint: Mapping[str, Any]) -> None:
    begin_anew = f"To begin anew, delete the journal: shutil.rmtree({str(folder)!r})."
    try:
        stored = json.loads((folder / _RUN).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{folder} does not say which run it belongs to ({error}). {begin_anew}") from error
    changed = differences(stored, fingerprint)
    if changed:
        lines = "\n".join(f"  {line}" for line in changed)
        raise InputError(
            f"{folder} belongs to another run than this one (then -> now):\n{lines}\n"
            f"To go on, call with the values of then. {begin_anew}"
        )
