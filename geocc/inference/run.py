"""One pass over a tile plan: every planned tile ends as one result, whatever happens to it."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from geocc.errors import ReadError
from geocc.inference.batching import BatchRunner, OnError, TileFailure
from geocc.inference.execution import RunSettings, first_batch_size
from geocc.table import TileResult, TileStatus

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    import numpy as np
    from numpy.typing import NDArray

    from geocc.inference.captioner import Caption, Captioner
    from geocc.scene import ScenePair, TilePlan

__all__ = ["caption_batches", "caption_tiles"]


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
    reader = _Reader(pair, plan, min_valid_fraction=settings.min_valid_fraction, on_error=settings.on_error)
    batch_size = first_batch_size(settings.batch_size, captioner)
    runner = BatchRunner(captioner, batch_size=batch_size, on_error=settings.on_error)
    done: list[TileResult] = []
    for tile_id, answer in runner.run(reader.tiles()):
        done.extend(reader.take_settled())
        done.append(_result(tile_id, answer, valid_fraction=reader.valid_fractions.pop(tile_id)))
        if len(done) >= runner.batch_size:
            yield done
            done = []
    done.extend(reader.take_settled())
    if done:
        yield done


class _Reader:
    """Reads the plan's tiles in order; settles at once those that no captioner needs to see."""

    def __init__(self, pair: ScenePair, plan: TilePlan, *, min_valid_fraction: float, on_error: OnError) -> None:
        self._pair = pair
        self._plan = plan
        self._min_valid_fraction = min_valid_fraction
        self._on_error = on_error
        self._settled: deque[TileResult] = deque()
        self.valid_fractions: dict[str, float] = {}

    def tiles(self) -> Iterator[tuple[str, NDArray[np.uint8]]]:
        for tile_id, window in zip(self._plan.tile_ids.tolist(), self._plan, strict=True):
            try:
                tile = self._pair.read(window)
            except ReadError as error:
                if self._on_error == "raise":
                    raise
                self._settle(tile_id, status=TileStatus.FAILED, error=str(error))
                continue
            valid_fraction = tile.valid_fraction
            if valid_fraction == 0 or valid_fraction < self._min_valid_fraction:
                self._settle(tile_id, status=TileStatus.SKIPPED_NODATA, valid_fraction=valid_fraction)
                continue
            self.valid_fractions[tile_id] = valid_fraction
            yield tile_id, tile.padded(self._plan.tile_size).image

    def take_settled(self) -> Iterator[TileResult]:
        while self._settled:
            yield self._settled.popleft()

    def _settle(self, tile_id: str, **fields: Any) -> None:
        self._settled.append(TileResult(tile_id=tile_id, **fields))


def _result(tile_id: str, answer: Caption | TileFailure, *, valid_fraction: float) -> TileResult:
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
