"""One pass over a tile plan: every planned tile ends as one result, whatever happens to it."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from geocc.inference.batching import BatchRunner, OnError, TileFailure
from geocc.inference.execution import RunSettings, first_batch_size
from geocc.scene.reading import read_tiles
from geocc.table import TileResult, TileStatus

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from geocc.inference.captioner import Caption, Captioner
    from geocc.scene import ScenePair, TilePlan
    from geocc.scene.reading import ReadTile
    from geocc.scene.window import Tile

__all__ = ["caption_batches", "caption_tiles", "tile_result"]

_SETTLED = 64  # tiles without data that are handed on without waiting for a batch to fill


def caption_tiles(
    pair: ScenePair,
    plan: TilePlan,
    captioner: Captioner,
    *,
    batch_size: int,
    min_valid_fraction: float = 0.5,
    on_error: OnError = "record",
) -> Iterator[TileResult]:
    """Read and caption every tile of a plan.

    Args:
        pair: The two dates.
        plan: The tiles, on the pair's grid.
        captioner: What captions them. Called only with tiles that hold enough valid pixels.
        batch_size: Tiles per call of the captioner at the most.
        min_valid_fraction: Share of pixels, in [0, 1], that must be valid in both dates.
        on_error: `"record"` gives a tile that cannot be read or captioned the status `failed`; `"raise"` ends the run.

    Yields:
        One result per planned tile. Not in the plan's order: skipped tiles overtake those that wait for their batch.

    Raises:
        ReadError: With `on_error="raise"`, a tile could not be read.
        CaptionError: With `on_error="raise"`, the captioner failed.
    """
    settings = RunSettings(batch_size=batch_size, min_valid_fraction=min_valid_fraction, on_error=on_error)
    for batch in caption_batches(pair, plan, captioner, settings):
        yield from batch


def caption_batches(
    pair: ScenePair, plan: TilePlan, captioner: Captioner, settings: RunSettings
) -> Generator[list[TileResult], None, None]:
    """Read and caption every tile of a plan, the results a batch at a time; otherwise as `caption_tiles`."""
    runner = BatchRunner(
        captioner, batch_size=first_batch_size(settings.batch_size, captioner), on_error=settings.on_error
    )
    waiting: list[_Waiting] = []
    settled: list[TileResult] = []
    with closing(read_tiles(pair, plan, threads=settings.read_threads)) as stream:
        for read in stream:
            outcome = _judge(read, plan, settings)
            if isinstance(outcome, TileResult):
                settled.append(outcome)
            else:
                waiting.append(outcome)
            if len(waiting) >= runner.batch_size:
                yield [*settled, *_caption(runner, waiting)]
                waiting, settled = [], []
            elif len(settled) >= _SETTLED:
                yield settled
                settled = []
    if waiting or settled:
        yield [*settled, *_caption(runner, waiting)]


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A tile on its way to the captioner."""

    tile_id: str
    image: NDArray[np.uint8]
    valid_fraction: float


def _judge(read: ReadTile[Tile], plan: TilePlan, settings: RunSettings) -> TileResult | _Waiting:
    """The tile for the captioner, or its result where no captioner needs to see it."""
    tile_id = str(plan.tile_ids[read.position])
    if read.tile is None:
        if settings.on_error == "raise" and read.error is not None:
            raise read.error
        return TileResult(tile_id=tile_id, status=TileStatus.FAILED, error=str(read.error))
    valid_fraction = read.tile.valid_fraction
    if valid_fraction == 0 or valid_fraction < settings.min_valid_fraction:
        return TileResult(tile_id=tile_id, status=TileStatus.SKIPPED_NODATA, valid_fraction=valid_fraction)
    return _Waiting(tile_id, read.tile.padded(plan.tile_size).image, valid_fraction)


def _caption(runner: BatchRunner, waiting: Sequence[_Waiting]) -> Iterator[TileResult]:
    answers = runner.run((tile.tile_id, tile.image) for tile in waiting)
    for tile, (_, answer) in zip(waiting, answers, strict=True):
        yield tile_result(tile.tile_id, answer, valid_fraction=tile.valid_fraction)


def tile_result(tile_id: str, answer: Caption | TileFailure, *, valid_fraction: float) -> TileResult:
    """The result of a tile that a captioner has seen."""
    if isinstance(answer, TileFailure):
        return TileResult(tile_id=tile_id, status=TileStatus.FAILED, error=answer.error, valid_fraction=valid_fraction)
    return TileResult(
        tile_id=tile_id,
        status=TileStatus.OK if answer.decoded else TileStatus.SKIPPED_UNCHANGED,
        caption=answer.text,
        changed=answer.changed,
        change_probability=answer.change_probability,
        confidence=answer.confidence,
        valid_fraction=valid_fraction,
    )
