"""The executor: cuts the plan into parts, and finds the tile when workers die of one."""

from __future__ import annotations

import pickle
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from geocc import __version__
from geocc.errors import CaptionError, ClusterError, InputError
from geocc.inference.dask_executor.cluster import connect
from geocc.inference.dask_executor.flight import Flight, ask
from geocc.inference.dask_executor.worker import Common, describe_captioner

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from distributed import Client

    from geocc.inference.execution import CaptionerInfo, CaptionerSpec, RunSettings
    from geocc.scene import ScenePair, TilePlan
    from geocc.table import TileResult

__all__ = ["LARGEST_PAYLOAD", "DaskExecutor"]

LARGEST_PAYLOAD = 10_000_000
"""Bytes that scene or captioner may have when pickled: where Dask, too, says that a graph is large."""

_LARGEST_PART, _SMALLEST_PART = 64, 8
_PARTS_PER_THREAD = 8  # where a plan is small, so that nobody waits long for the last part
_ALONE = 256  # suspects that are tried one after the other; more go through in parallel once, to leave few
_HOPELESS = 3  # parts that kill their workers before any has come back


class DaskExecutor:
    """Captions on the workers of a Dask cluster.

    Args:
        where: A `dask.distributed.Client`, a cluster object, ``"local"`` for processes on this machine, the address of a
            scheduler, or the path of the `.json` file that it writes.
        workers: Processes of a ``"local"`` cluster; left out, one per GPU, or one per core up to four.
        tiles_per_task: Tiles of a part at the most: what a worker takes with it when it dies. Default 64.

    Example:
        >>> with DaskExecutor("local", workers=2) as executor:  # doctest: +SKIP
        ...     changes = geocc.caption_changes("2009.tif", "2020.tif", executor=executor)

    Raises:
        InputError: `workers` is given for a cluster that is not made here, or a number is below 1.
    """

    def __init__(
        self, where: Any = "local", *, workers: int | None = None, tiles_per_task: int = _LARGEST_PART
    ) -> None:
        if workers is not None and where != "local":
            raise InputError(
                f"workers={workers} is for a cluster on this machine, and {where!r} has its own. Leave it out, or take 'local'."
            )
        for name, value in (("workers", workers), ("tiles_per_task", tiles_per_task)):
            if value is not None and value < 1:
                raise InputError(f"{name} is {value}; expected 1 or more.")
        self._where = where
        self._workers = workers
        self._tiles_per_task = tiles_per_task
        self._opened = ExitStack()
        self._client: Client | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close what was opened here: a local cluster, a connection; never a client that was passed."""
        self._client = None
        self._opened.close()

    def describe(self, spec: CaptionerSpec) -> CaptionerInfo:
        """Load the captioner on a worker and say what it is.

        Raises:
            InputError: The captioner is too large to be sent, or cannot be.
            ClusterError: The cluster cannot be reached, its workers die of the model or run another geocc.
            ModelNotFoundError: The worker knows no such model.
            CheckpointError: The model's weights do not fit or are unsafe.
        """
        packed = _packed_spec(spec)
        version: str
        info: CaptionerInfo
        version, info = ask(self._connected(), describe_captioner, packed)
        if version != __version__:
            raise ClusterError(
                f"the workers run geocc {version} and this process {__version__}. Install the same version on both sides."
            )
        return info

    def run(
        self, pair: ScenePair, plan: TilePlan, spec: CaptionerSpec, settings: RunSettings
    ) -> Generator[Sequence[TileResult], None, None]:
        """Caption every tile of the plan; see `Executor.run`.

        Raises:
            InputError: The scene holds too many pixels in memory to be sent.
            ClusterError: The cluster was lost, or its workers die whatever they are given.
            ReadError: With `on_error="raise"`, a tile could not be read.
            CaptionError: With `on_error="raise"`, the captioner failed or a tile killed its workers.
        """
        client = self._connected()
        common = _packed_common(pair, spec, settings)
        # An error may be the machine's rather than the tile's, so another one may try, unless the first is to end the run.
        retries = 0 if settings.on_error == "raise" else 2
        with Flight(client, common, retries=retries, may_grow=self._where != "local") as flight:
            suspects: list[TilePlan] = []
            landed = False
            for part, results in flight.through(self._parts(pair, plan, client)):
                if results is not None:
                    landed = True
                    yield results
                    continue
                suspects.append(part)
                if not landed and len(suspects) >= _HOPELESS:
                    raise ClusterError(
                        "the workers of the Dask cluster die whatever tiles they are given; most often the memory is too "
                        "small for model and batch. Give them more, pass a smaller batch_size, or run fewer per machine."
                    )
            yield from _find_killers(flight, suspects, settings)

    def _connected(self) -> Client:
        if self._client is None:
            self._client = connect(self._where, workers=self._workers, stack=self._opened)
        return self._client

    def _parts(self, pair: ScenePair, plan: TilePlan, client: Client) -> Iterator[TilePlan]:
        """The plan in runs of neighbours, so that a block of the rasters is wanted by few parts."""
        from geocc.scene.schedule import reading_order

        order = reading_order(pair, plan)
        threads = max(1, sum(client.nthreads().values()))
        even = max(_SMALLEST_PART, -(-len(order) // (_PARTS_PER_THREAD * threads)))
        size = min(self._tiles_per_task, even)
        return (plan.take(order[start : start + size]) for start in range(0, len(order), size))


def _find_killers(
    flight: Flight, suspects: Sequence[TilePlan], settings: RunSettings
) -> Generator[Sequence[TileResult], None, None]:
    """Caption the tiles of parts whose workers died, one by one; a tile that dies alone is to blame."""
    from geocc.table import TileResult, TileStatus

    tiles = [part.take(np.array([index])) for part in suspects for index in range(len(part))]
    if len(tiles) > _ALONE:
        left: list[TilePlan] = []
        for tile, results in flight.through(tiles):
            if results is None:
                left.append(tile)
            else:
                yield results
        tiles = left
    # One at a time: who shares a worker with the culprit would be counted dead with it.
    for tile, results in flight.through(tiles, at_once=1):
        if results is not None:
            yield results
            continue
        name = str(tile.tile_ids[0])
        text = "every worker that was given this tile died of it"
        if settings.on_error == "raise":
            raise CaptionError(
                f"tile {name}: {text}. To go on with the other tiles and record this one as failed, pass on_error='record'."
            )
        yield [TileResult(tile_id=name, status=TileStatus.FAILED, error=text)]


def _packed_spec(spec: CaptionerSpec) -> bytes:
    what = f"the captioner {spec.model!r}"
    remedy = "Pass the name or folder of the model instead: each worker loads it once."
    return _packed(spec, what=what, remedy=remedy)


def _packed_common(pair: ScenePair, spec: CaptionerSpec, settings: RunSettings) -> bytes:
    remedy = (
        "Save the dates where the workers can read them, as in `ds.rio.to_raster('2020.tif')` or `ds.to_zarr(...)`, and pass "
        "the paths; or open them lazily, with `chunks=`."
    )
    return _packed(Common(pair, _packed_spec(spec), settings), what="the scene", remedy=remedy)


def _packed(value: Any, *, what: str, remedy: str) -> bytes:
    """Pickled, with functions and classes of a notebook in it."""
    import cloudpickle

    try:
        payload: bytes = cloudpickle.dumps(value)
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        raise InputError(f"{what} cannot be sent to the workers of a Dask cluster: {error}. {remedy}") from error
    if len(payload) > LARGEST_PAYLOAD:
        raise InputError(
            f"{what} would be sent to the workers of a Dask cluster as {len(payload) / 1e6:,.0f} MB, and at the most "
            f"{LARGEST_PAYLOAD / 1e6:.0f} MB are. {remedy}"
        )
    return payload
