"""All pairs of a series, tile by tile: each date of a tile is read once, and encoded once where the captioner can."""

from __future__ import annotations

import copy
from contextlib import closing
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from geocc.inference.batching import BatchRunner
from geocc.inference.encode_once import DateEncoder, EncodeOnce
from geocc.inference.execution import RunSettings, first_batch_size
from geocc.inference.gates import GatedCaptioner
from geocc.inference.run import tile_result
from geocc.scene.reading import read_tiles
from geocc.table import TileResult, TileStatus

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from numpy.typing import NDArray

    from geocc.inference.captioner import Captioner
    from geocc.scene import TilePlan
    from geocc.scene.reading import ReadTile
    from geocc.scene.series import SceneSeries, SeriesTile

__all__ = ["Pairs", "caption_pairs", "pair_plan", "pair_tile_id"]

Pairs = tuple[tuple[int, int], ...]


def pair_tile_id(tile_id: str, first: int, second: int) -> str:
    """Name a tile of one pair of a series: `r000000_c000256_d0_d1`."""
    return f"{tile_id}_d{first}_d{second}"


def pair_plan(plan: TilePlan, pairs: Pairs) -> TilePlan:
    """The tiles of all pairs as one plan, pair after pair, under the names that they have there."""
    index = np.tile(np.arange(len(plan)), len(pairs))
    whole = plan.take(index)
    names = [pair_tile_id(name, first, second) for first, second in pairs for name in plan.tile_ids.tolist()]
    whole.__dict__["tile_ids"] = np.array(names, np.str_)
    return whole


def caption_pairs(
    series: SceneSeries,
    plan: TilePlan,
    pairs: Pairs,
    captioner: Captioner,
    settings: RunSettings,
    *,
    pending: NDArray[np.integer[Any]],
) -> Generator[list[TileResult], None, None]:
    """Caption every tile of a plan for every pair of dates, all pairs of a tile before the next tile.

    Args:
        series: The dates.
        plan: The tiles, on the grid of the series.
        pairs: Positions of the earlier and the later date.
        captioner: What captions; one that is a `DateEncoder` encodes every date of a tile once.
        settings: As for `geocc.inference.run.caption_batches`.
        pending: Positions in `pair_plan` of what is to be captioned.

    Yields:
        Batches of results, one for everything that is pending.

    Raises:
        ReadError: With `on_error="raise"`, a tile could not be read.
        CaptionError: With `on_error="raise"`, the captioner failed.
    """
    batch_size = first_batch_size(settings.batch_size, captioner)
    runner = BatchRunner(_encoding_once(captioner, keep=len(series)), batch_size=batch_size, on_error=settings.on_error)
    wanted = np.zeros((len(pairs), len(plan)), bool)
    wanted.ravel()[pending] = True
    todo = np.flatnonzero(wanted.any(axis=0))
    plan, wanted = plan.take(todo), wanted[:, todo]
    waiting: list[_Waiting] = []
    with closing(read_tiles(series, plan, threads=settings.read_threads)) as stream:
        for read in stream:
            settled = []
            chosen = tuple(pair for pair, due in zip(pairs, wanted[:, read.position], strict=True) if due)
            for outcome in _judge(read, plan, chosen, settings):
                if isinstance(outcome, _Waiting):
                    waiting.append(outcome)
                else:
                    settled.append(outcome)
            if settled:
                yield settled
            while len(waiting) >= runner.batch_size:
                size = runner.batch_size
                yield list(_caption(runner, waiting[:size]))
                waiting = waiting[size:]
    if waiting:
        yield list(_caption(runner, waiting))


def _encoding_once(captioner: Captioner, *, keep: int) -> Captioner:
    """The captioner, behind its gates if it has some, with a memory for the dates that it has encoded."""
    if isinstance(captioner, GatedCaptioner):
        gated = copy.copy(captioner)
        gated.captioner = _encoding_once(captioner.captioner, keep=keep)
        return gated
    return EncodeOnce(captioner, keep=keep) if isinstance(captioner, DateEncoder) else captioner


class _Waiting(NamedTuple):
    """A tile of one pair on its way to the captioner."""

    tile_id: str
    image: NDArray[np.uint8]
    valid_fraction: float


def _judge(
    read: ReadTile[SeriesTile], plan: TilePlan, pairs: Pairs, settings: RunSettings
) -> Iterator[_Waiting | TileResult]:
    """Each pair of a tile for the captioner, or its result where no captioner needs to see it."""
    if read.tile is None and settings.on_error == "raise" and read.error is not None:
        raise read.error
    for first, second in pairs:
        tile_id = pair_tile_id(str(plan.tile_ids[read.position]), first, second)
        if read.tile is None:
            yield TileResult(tile_id=tile_id, status=TileStatus.FAILED, error=str(read.error))
            continue
        tile = read.tile.pair(first, second)
        share = tile.valid_fraction
        if share == 0 or share < settings.min_valid_fraction:
            yield TileResult(tile_id=tile_id, status=TileStatus.SKIPPED_NODATA, valid_fraction=share)
        else:
            yield _Waiting(tile_id, tile.padded(plan.tile_size).image, share)


def _caption(runner: BatchRunner, waiting: Sequence[_Waiting]) -> Iterator[TileResult]:
    answers = runner.run((tile.tile_id, tile.image) for tile in waiting)
    for tile, (_, answer) in zip(waiting, answers, strict=True):
        yield tile_result(tile.tile_id, answer, valid_fraction=tile.valid_fraction)
