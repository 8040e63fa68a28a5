"""Tiles read ahead of need: in threads, each block of the rasters once, within a bounded memory."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Generic, Protocol, Self, TypeVar

import numpy as np

from geocc.errors import InputError, ReadError
from geocc.scene.blocks import Cells, Windows
from geocc.scene.cache import CachedSource
from geocc.scene.schedule import plan_windows, reading_order
from geocc.scene.slots import TileSlots

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence
    from concurrent.futures import Future

    from numpy.typing import NDArray

    from geocc.scene.plan import TilePlan
    from geocc.scene.views import View
    from geocc.scene.window import PixelWindow

__all__ = ["BLOCK_CACHE_BYTES", "ReadTile", "Scene", "read_tiles"]

_Tile = TypeVar("_Tile")
_Tile_co = TypeVar("_Tile_co", covariant=True)

BLOCK_CACHE_BYTES = 512 * 2**20
"""What all dates together may keep of blocks that further tiles need."""

_AHEAD_BYTES = 64 * 2**20  # of tiles that are read and wait for the model
_MOST_AHEAD = 64
_GROUP = 8  # tiles without a new block that one thread reads in one go


class Scene(Protocol[_Tile_co]):
    """A pair or a series: dates on one grid, which are read together."""

    @property
    def views(self) -> Sequence[View]:
        """Every date on the common grid."""
        ...

    def with_views(self, views: Sequence[View]) -> Self:
        """The same scene with its dates read in another way."""
        ...

    def read(self, window: PixelWindow, *, out: NDArray[np.uint8] | None = None) -> _Tile_co:
        """All dates under a window of the grid, their pixels in `out` `(T, C=3, h, w)` if given."""
        ...


@dataclass(frozen=True, slots=True)
class ReadTile(Generic[_Tile]):
    """One tile of a plan, read or not.

    Attributes:
        position: Its position in the plan.
        tile: Its pixels, None where they cannot be read.
        error: Why not.
    """

    position: int
    tile: _Tile | None
    error: ReadError | None = None


def read_tiles(
    scene: Scene[_Tile], plan: TilePlan, *, threads: int = 4, cache_bytes: int = BLOCK_CACHE_BYTES
) -> Generator[ReadTile[_Tile], None, None]:
    """Read every tile of a plan, the next ones in threads while the present one is worked on.

    A block of a file, or a chunk of an array, is read once as long as `cache_bytes` hold what further tiles need of it.
    GDAL's own cache of blocks is bounded while tiles are read, and as large as before afterwards.

    Args:
        scene: The pair or series.
        plan: The tiles.
        threads: Threads that read ahead; 0 reads each tile when it is asked for.
        cache_bytes: Memory for blocks, for all dates together.

    Yields:
        Each tile once, in the order of `geocc.scene.schedule.reading_order`, whatever the number of threads. A tile that
        cannot be read comes with its error.

    Raises:
        InputError: `threads` is negative.
    """
    if threads < 0:
        raise InputError(f"threads is {threads}; expected 0 or more.")
    order = reading_order(scene, plan)
    cached, release, is_first = _cached(scene, plan, order, budget=cache_bytes)
    slots = TileSlots(plan, dates=len(scene.views))

    def read(at: int) -> ReadTile[_Tile]:
        position = int(order[at])
        try:
            return ReadTile(position, cached.read(plan[position], out=slots.take(at)))
        except ReadError as error:
            return ReadTile(position, None, error)
        finally:
            release(at)

    with ExitStack() as stack:
        if cached is not scene:
            from geocc.scene.gdal import bounded_cache

            stack.enter_context(bounded_cache())
        if threads == 0:
            yield from map(read, range(len(plan)))
        else:
            yield from _ahead(read, is_first, threads=threads, depth=_depth(plan, threads))


def _ahead(
    read: Callable[[int], ReadTile[_Tile]], is_first: NDArray[np.bool_], *, threads: int, depth: int
) -> Iterator[ReadTile[_Tile]]:
    """The results of `read` in order, `depth` to twice as many of them under way before they are asked for.

    Of each `depth` tiles those that open a new block are begun first: their neighbours would only wait for the same block.
    These are read a few at a time, for to hand a tile from thread to thread costs about as much as to copy it.
    """
    from geocc.scene.gdal import thread_environment

    count = len(is_first)
    waiting: dict[int, tuple[Future[list[ReadTile[_Tile]]], int]] = {}
    pool = ThreadPoolExecutor(threads, thread_name_prefix="geocc-read", initializer=thread_environment())

    def read_all(group: Sequence[int]) -> list[ReadTile[_Tile]]:
        return [read(at) for at in group]

    def begin(start: int) -> None:
        stretch = np.arange(start, min(start + depth, count))
        first, others = stretch[is_first[stretch]].tolist(), stretch[~is_first[stretch]].tolist()
        for group in (*([at] for at in first), *(others[i : i + _GROUP] for i in range(0, len(others), _GROUP))):
            job = pool.submit(read_all, group)
            waiting.update((at, (job, place)) for place, at in enumerate(group))

    try:
        begin(0)
        for start in range(0, count, depth):
            begin(start + depth)
            for at in range(start, min(start + depth, count)):
                job, place = waiting.pop(at)
                yield job.result()[place]
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _depth(plan: TilePlan, threads: int) -> int:
    tile_bytes = 7 * plan.tile_size**2  # two dates of three bands, and the validity
    return max(threads, min(_AHEAD_BYTES // tile_bytes, _MOST_AHEAD))


def _cached(
    scene: Scene[_Tile], plan: TilePlan, order: NDArray[np.int64], *, budget: int
) -> tuple[Scene[_Tile], Callable[[int], None], NDArray[np.bool_]]:
    """A cache in front of every date that is stored in blocks.

    Returns:
        The scene, what to call once the tile at a place in the order is read, and which tiles open a new block.
    """
    sources: list[CachedSource] = []
    is_first = np.zeros(len(plan), bool)
    tiles = plan_windows(plan)
    tiles = Windows(*(edge[order] for edge in (tiles.top, tiles.bottom, tiles.left, tiles.right)))

    def behind_cache(view: View) -> View:
        blocks = view.source.blocks
        if blocks is None or not len(plan):
            return view
        cells, windows = Cells(blocks), view.source_windows(tiles)
        is_first[np.unique(cells.last_unit(windows), return_index=True)[1]] = True
        sources.append(CachedSource(view.source, cells, windows, budget=budget // len(scene.views)))
        return replace(view, source=sources[-1])  # type: ignore[type-var]  # both kinds of view are dataclasses

    def release(at: int) -> None:
        for source in sources:
            source.release(at)

    views = [behind_cache(view) for view in scene.views]
    return (scene.with_views(views) if sources else scene), release, is_first
