"""Batches of tiles through a captioner, with a batch size that gives way to the device's memory."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from geocc.errors import CaptionError, InputError
from geocc.inference.captioner import Caption, Captioner, TileBatch
from geocc.scene.slots import side_by_side

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["BatchRunner", "OnError", "TileFailure", "initial_batch_size", "is_out_of_memory"]

OnError = Literal["record", "raise"]

#: Beyond this, a larger batch of a large model costs memory and gains next to nothing: at 32 pairs the decoder's weights are
#: read once for 32 captions and the matrix products are long saturated.
_LARGEST_BATCH = 32
#: A small model spends much of a decoding step on things that cost the same for any number of rows.
_LARGEST_BATCH_OF_SMALL_PAIRS = 64
_SMALL_PAIR = 2**24  # bytes: 64 of them take 1 GiB


@dataclass(frozen=True, slots=True)
class TileFailure:
    """Why a tile has no caption."""

    error: str


def initial_batch_size(bytes_per_pair: int, bytes_free: int) -> int:
    """Choose the batch size to begin with.

    Args:
        bytes_per_pair: Working memory that one pair needs.
        bytes_free: Memory free on the captioner's device; `sys.maxsize` where that is not known, as behind an endpoint.

    Returns:
        A power of two from 1 to 32 whose working memory stays within 60 percent of what is free; up to 64 where a pair is
        known to need 16 MiB or less.
    """
    fitting = int(0.6 * bytes_free) // max(bytes_per_pair, 1)
    small = bytes_per_pair <= _SMALL_PAIR and bytes_free < sys.maxsize
    largest = _LARGEST_BATCH_OF_SMALL_PAIRS if small else _LARGEST_BATCH
    return 1 << int(math.log2(min(max(fitting, 1), largest)))


class BatchRunner:
    """Captions tiles in batches; shrinks the batch when memory runs out and remembers the size that fits.

    Args:
        captioner: What captions the tiles.
        batch_size: Tiles per call at the most, 1 or more.
        on_error: `"record"` turns a tile that cannot be captioned into a `TileFailure`; `"raise"` ends the run.

    Attributes:
        batch_size: The size in force now.
    """

    def __init__(self, captioner: Captioner, *, batch_size: int, on_error: OnError = "record") -> None:
        if batch_size < 1:
            raise InputError(f"batch_size is {batch_size}; expected 1 or more, or batch_size='auto'.")
        self.captioner = captioner
        self.batch_size = batch_size
        self.on_error = on_error

    def run(self, tiles: Iterable[tuple[str, NDArray[np.uint8]]]) -> Iterator[tuple[str, Caption | TileFailure]]:
        """Caption a stream of tiles.

        Args:
            tiles: `(tile_id, image)` with `image` of shape `(T=2, C=3, H, W)` uint8. Where the shape changes, a new
                batch begins.

        Yields:
            `(tile_id, caption)` in the order of `tiles`, each tile once.

        Raises:
            CaptionError: The captioner failed and `on_error` is `"raise"`; names the tiles.
        """
        waiting: list[tuple[str, NDArray[np.uint8]]] = []
        for tile in tiles:
            if waiting and (len(waiting) >= self.batch_size or tile[1].shape != waiting[0][1].shape):
                yield from self._drain(waiting)
                waiting = []
            waiting.append(tile)
        yield from self._drain(waiting)

    def _drain(self, waiting: Sequence[tuple[str, NDArray[np.uint8]]]) -> Iterator[tuple[str, Caption | TileFailure]]:
        done = 0
        while done < len(waiting):
            part = waiting[done : done + self.batch_size]
            try:
                captions = self._caption(part)
            except Exception as error:  # noqa: BLE001 - whatever a captioner raises is reported with its tile
                if len(part) > 1 and is_out_of_memory(error):
                    # Not part of the size of this batch alone: the next one would meet the same wall.
                    self.batch_size = max(1, len(part) // 2)
                    _release_memory()
                    continue
                yield from self._isolate(part, error)
            else:
                yield from ((tile_id, caption) for (tile_id, _), caption in zip(part, captions, strict=True))
            done += len(part)

    def _caption(self, part: Sequence[tuple[str, NDArray[np.uint8]]]) -> Sequence[Caption]:
        batch = TileBatch(side_by_side([image for _, image in part]), tuple(tile_id for tile_id, _ in part))
        captions = self.captioner.caption(batch)
        if len(captions) != len(batch):
            raise CaptionError(
                f"captioner {self.captioner.name!r} returned {len(captions)} captions for {len(batch)} tiles; "
                "expected one caption per tile, in order."
            )
        return captions

    def _isolate(
        self, part: Sequence[tuple[str, NDArray[np.uint8]]], error: Exception
    ) -> Iterator[tuple[str, Caption | TileFailure]]:
        """Give every tile of a failed batch its own chance, so that one bad tile costs one row."""
        if self.on_error == "raise":
            names = ", ".join(tile_id for tile_id, _ in part)
            raise CaptionError(
                f"captioner {self.captioner.name!r} failed on tile(s) {names}: {_describe(error)}. "
                "To go on with the other tiles and record this one as failed, pass on_error='record'."
            ) from error
        for tile in part:
            if len(part) == 1:
                yield tile[0], TileFailure(_advise(error))
                continue
            try:
                yield tile[0], self._caption([tile])[0]
            except Exception as single:  # noqa: BLE001 - recorded in the tile's own row
                yield tile[0], TileFailure(_advise(single))


def is_out_of_memory(error: Exception) -> bool:
    """Whether a smaller batch may help."""
    if isinstance(error, MemoryError):
        return True
    from accelerate.utils.memory import should_reduce_batch_size

    return bool(should_reduce_batch_size(error))


def _release_memory() -> None:
    from accelerate.utils import release_memory

    release_memory()


def _describe(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _advise(error: Exception) -> str:
    text = _describe(error)
    return f"{text} (one pair does not fit: use a smaller model or another device)" if is_out_of_memory(error) else text
