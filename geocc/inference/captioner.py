"""The one door between geography and model: tiles go in as arrays, captions come out.

Nothing in this module imports torch, rasterio or geopandas, so that the geospatial half can be tested with a stub
and the neural half with plain arrays.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from geocc.errors import CaptionError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Caption", "Captioner", "TileBatch", "require_numbers"]


@dataclass(frozen=True, slots=True)
class Caption:
    """What a captioner says of one tile.

    Attributes:
        text: The sentence as the model wrote it. Untrusted: escape it wherever it is shown.
        changed: Whether the model says that the ground changed.
        change_probability: Probability in [0, 1] that the ground changed, or NaN where the captioner has none.
        confidence: Geometric mean probability, in [0, 1], of the tokens of `text`, or NaN where the captioner has none.
        decoded: False where `change_probability` fell below the captioner's gate, so that the language model was
            spared; `text` is then the captioner's own no-change sentence.
    """

    text: str
    changed: bool
    change_probability: float = float("nan")
    confidence: float = float("nan")
    decoded: bool = True


@dataclass(frozen=True, slots=True)
class TileBatch:
    """Tiles of both dates, ready for a captioner.

    Attributes:
        images: `(B, T=2, C=3, H, W)` uint8, red, green, blue, the earlier date first. Invalid pixels are 0 in both dates.
            Not to be changed: a batch that does not fit into memory is tried again in parts.
        tile_ids: One name per tile, for messages.
    """

    images: NDArray[np.uint8]
    tile_ids: tuple[str, ...]

    def __len__(self) -> int:
        """Return the number of tiles."""
        return len(self.tile_ids)


@runtime_checkable
class Captioner(Protocol):
    """Anything that can say what changed between the two dates of a tile.

    A captioner may also offer `details` (a JSON-safe dictionary for the layer's metadata) and `bytes_free()` (the memory
    free where it runs, for the choice of the first batch size).
    """

    @property
    def name(self) -> str:
        """What the captioner is called, for the layer's metadata and for messages."""
        ...

    @property
    def fingerprint(self) -> str:
        """A text that changes whenever the captions may change: weights, prompt, decoding, dtype."""
        ...

    @property
    def input_size(self) -> int:
        """Side in pixels to which tiles are resized before the model sees them."""
        ...

    @property
    def bytes_per_pair(self) -> int:
        """Rough working memory in bytes that one pair of tiles needs where the captioner runs."""
        ...

    def caption(self, batch: TileBatch) -> Sequence[Caption]:
        """Caption every tile of the batch, in its order."""
        ...


def require_numbers(numbers: Sequence[tuple[float, ...]], *, dtype: str) -> None:
    """Refuse what a model that overflowed says: compared with a threshold, not a number would read as unchanged.

    Args:
        numbers: For each tile, the probabilities that the model gave.
        dtype: What it computes in, for the message.

    Raises:
        CaptionError: One of them is not a number.
    """
    lost = sum(any(map(math.isnan, given)) for given in numbers)
    if lost:
        raise CaptionError(
            f"what the model gave for {lost} of {len(numbers)} tiles is not a number (NaN) in {dtype.removeprefix('torch.')}; "
            "expected probabilities. Load it with dtype='bfloat16' or 'float32'; if it stays so, its weights are damaged."
        )
