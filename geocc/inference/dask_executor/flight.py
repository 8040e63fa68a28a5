"""Parts on their way: a few with the cluster at a time, each handed back when it lands."""

from __future__ import annotations

import itertools
import queue
import time
import warnings
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Any, Self

from geocc.errors import CaptionError, ClusterError, GeoccError
from geocc.inference.dask_executor.worker import caption_part, unpacked

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from distributed import Client, Future

    from geocc.scene import TilePlan
    from geocc.table import TileResult

__all__ = ["Flight", "ask", "lost"]

_PATIENCE_S = 5.0  # between two looks at whether the connection is still there
_ANSWER_S = 25.0  # within which even a busy scheduler says how many threads there are
_LONELY_S = 45.0  # without any worker before the user is told
_COMMON_DEATHS = 8  # worker deaths while opening the scene that are taken for chance, in multiples of what Dask allows


class Flight:
    """The parts of one run that are with the cluster. Leaving the context lets go of all of them.

    Args:
        client: The connection.
        common: The pickled `Common` of the run.
        retries: How often a part is tried again that ends in an error, rather than in the death of its worker.
        may_grow: Whether workers may still come when there are none; a local cluster without any stays so.
    """

    def __init__(self, client: Client, common: bytes, *, retries: int, may_grow: bool = True) -> None:
        self._client = client
        self._payload = common
        self._retries = retries
        self._may_grow = may_grow
        self._landed: queue.SimpleQueue[Future[Any]] = queue.SimpleQueue()
        self._flying: dict[Any, tuple[Future[Any], TilePlan]] = {}
        self._numbers = itertools.count()
        self._renewals = 0
        self._threads = 0
        self._looked = -_PATIENCE_S
        self._common: Future[Any] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # Released rather than cancelled: that asks nothing of a scheduler which may be gone, and ends the tasks all the same.
        futures = [future for future, _ in self._flying.values()]
        self._flying.clear()
        for future in (*futures, *([] if self._common is None else [self._common])):
            future.release()

    def through(
        self, parts: Iterable[TilePlan], *, at_once: int | None = None
    ) -> Generator[tuple[TilePlan, list[TileResult] | None], None, None]:
        """Have parts captioned.

        Args:
            parts: The parts.
            at_once: How many are with the cluster at a time; two per thread when left out, one to work on and one to
                follow. Whatever waits on a worker that dies counts as a suspect, so more would only be blamed.

        Yields:
            A part and its results, in the order of landing; None in place of results where its workers died.
        """
        waiting = iter(parts)
        while True:
            limit = at_once or max(4, 2 * self._count_threads())
            for part in itertools.islice(waiting, max(0, limit - len(self._flying))):
                self._submit(part)
            if not self._flying:
                return
            future, part = self._flying.pop(self._wait())
            try:
                outcome = self._outcome(future, part)
            finally:
                future.release()
            if outcome is not part:
                yield part, outcome

    def _submit(self, part: TilePlan) -> None:
        if self._common is None:
            # A task rather than scattered data: Dask makes it again when the worker that holds it dies.
            self._common = self._client.submit(unpacked, self._payload, pure=False)
        key = f"geocc-part-{id(self)}-{time.time_ns()}-{next(self._numbers)}"
        future = self._client.submit(caption_part, self._common, part, key=key, retries=self._retries)
        self._flying[future.key] = future, part
        future.add_done_callback(self._landed.put)

    def _wait(self) -> Any:
        lonely = time.monotonic()
        while True:
            try:
                key = self._landed.get(timeout=_PATIENCE_S).key
            except queue.Empty:
                if self._client.status != "running":
                    raise lost("the connection to the scheduler broke") from None
                if self._count_threads():
                    lonely = time.monotonic()
                elif time.monotonic() - lonely > _LONELY_S:
                    if not self._may_grow:
                        # Dask's nanny does not start a worker again that dies while it starts.
                        raise lost("all workers died and none came back") from None
                    lonely = float("inf")
                    warnings.warn(
                        "the Dask cluster has no workers; waiting for some to come", RuntimeWarning, stacklevel=2
                    )
            else:
                if key in self._flying:
                    return key

    def _outcome(self, future: Future[Any], part: TilePlan) -> Any:
        """The results; None where the workers died; the part itself where it is on its way again."""
        from distributed import KilledWorker

        try:
            return future.result()
        except KilledWorker as error:
            if self._common is None or error.task == self._common.key:
                self._renew(part)
                return part
            return None
        except CancelledError as error:
            raise lost(getattr(error, "reason", None) or str(error)) from error
        except GeoccError as error:
            error.add_note("on a worker of the Dask cluster")
            raise
        except OSError as error:
            raise lost(f"{type(error).__name__}: {error}") from error
        except Exception as error:
            raise CaptionError(
                f"the Dask cluster could not do its part of {len(part)} tiles from {part.tile_ids[0]} on: "
                f"{type(error).__name__}: {error}. Scheduler and workers need the packages that run here, and the same files."
            ) from error

    def _renew(self, part: TilePlan) -> None:
        """Send what all parts share once more: it was with workers that died of something else."""
        self._renewals += 1
        if self._renewals > _COMMON_DEATHS * max(1, self._threads):
            raise ClusterError(
                "the workers die before they begin with a tile; look into the log of one for the reason."
            )
        self._common = None
        self._submit(part)

    def _count_threads(self) -> int:
        """Threads of all workers; asked for every few seconds, because clusters grow and shrink."""
        now = time.monotonic()
        if now - self._looked >= _PATIENCE_S:
            if self._client.status != "running":
                raise lost("the connection to the scheduler broke")
            try:
                # Client.nthreads would try for half a minute to reach a scheduler that is gone.
                scheduler: Any = self._client.scheduler
                counts = self._client.sync(scheduler.ncores, callback_timeout=_ANSWER_S)
            except (OSError, CancelledError, RuntimeError) as error:
                raise lost(str(error) or "the scheduler does not answer") from error
            self._threads = sum(counts.values())
            self._looked = now
        return self._threads


def ask(client: Client, function: Any, *arguments: Any) -> Any:
    """One answer from any worker.

    Raises:
        GeoccError: What the function raised; or the workers died, or the connection did.
    """
    from distributed import KilledWorker

    future = client.submit(function, *arguments, pure=False)
    try:
        return future.result()
    except KilledWorker as error:
        raise ClusterError(
            "the workers of the Dask cluster die while they load the model; most often it is larger than their memory. Give "
            "them more, run fewer per machine, or take a smaller model."
        ) from error
    except CancelledError as error:
        raise lost(str(error)) from error
    except GeoccError as error:
        error.add_note("on a worker of the Dask cluster, which must be able to reach the model under the same name")
        raise
    except ImportError as error:
        raise ClusterError(
            f"the workers lack a package that runs here: {error}. Install the same set there."
        ) from error
    finally:
        future.release()


def lost(why: str) -> ClusterError:
    """The error for a cluster that is gone."""
    return ClusterError(
        f"the Dask cluster was lost ({why}). What had come back is kept where `output` was given: when the cluster is there "
        "again, or on another one, call again with resume=True (command line: --resume)."
    )
