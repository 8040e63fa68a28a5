"""A captioner that looks at pixels and invents nothing, so that geography can be tested without a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from geocc.inference.captioner import Caption, TileBatch


@dataclass
class StubCaptioner:
    """Says the mean of both dates; changed means that they differ by more than one grey level.

    Attributes:
        largest_batch: Batches above this end as if memory ran out; None for no limit.
        fail_on: Raises for a batch that holds this tile.
        say: Text in place of the means.
        seen: Sizes of the batches that were captioned, in order.
        tiles: Names of the tiles that were captioned, in order.
    """

    largest_batch: int | None = None
    fail_on: str | None = None
    say: Callable[[np.ndarray], str] | None = None
    name: str = "stub"
    fingerprint: str = "0" * 16
    input_size: int = 64
    bytes_per_pair: int = 1
    seen: list[int] = field(default_factory=list)
    tiles: list[str] = field(default_factory=list)

    def caption(self, batch: TileBatch) -> Sequence[Caption]:
        assert batch.images.dtype == np.uint8
        assert batch.images.shape[:3] == (len(batch), 2, 3)
        if self.largest_batch is not None and len(batch) > self.largest_batch:
            raise MemoryError("the stub's memory is full")
        if self.fail_on in batch.tile_ids:
            raise RuntimeError(f"the stub dislikes {self.fail_on}")
        self.seen.append(len(batch))
        self.tiles.extend(batch.tile_ids)
        return [self._one(image) for image in batch.images]

    def _one(self, image: np.ndarray) -> Caption:
        means = image.reshape(2, -1).mean(axis=1)
        text = self.say(image) if self.say else f"{means[0]:.3f} became {means[1]:.3f}"
        changed = bool(abs(means[1] - means[0]) > 1)
        return Caption(text, changed=changed, change_probability=float(changed), confidence=1.0)
