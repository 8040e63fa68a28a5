"""Encode each image once, however many pairs it is part of."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from geocc.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from geocc.inference.captioner import Caption, Captioner, TileBatch

__all__ = ["DateEncoder", "EncodeOnce"]


@runtime_checkable
class DateEncoder(Protocol):
    """A captioner that can look at each date by itself before it compares two."""

    def encode_dates(self, images: NDArray[np.uint8]) -> Sequence[Any]:
        """Encode single dates `(R, C=3, H, W)` uint8; one item for each, to be handed back to `caption_encoded`."""
        ...

    def caption_encoded(self, earlier: Sequence[Any], later: Sequence[Any]) -> Sequence[Caption]:
        """Caption pairs of encoded dates, in their order, as `Captioner.caption` would their images."""
        ...


class EncodeOnce:
    """A captioner that keeps what it has encoded for the next pairs.

    Images are told apart by their pixels, so that a date whose blank pixels differ from pair to pair, as where clouds
    were masked, counts as several images. The captions are those of the captioner itself, up to the rounding that any
    other make-up of a batch brings.

    Args:
        captioner: Offers `encode_dates` and `caption_encoded`, as `CCExpertCaptioner` does.
        keep: Images to keep from call to call; those of the present call are kept while it lasts.

    Attributes:
        encoded: How many images were encoded so far.

    Raises:
        InputError: The captioner cannot encode dates by themselves.
    """

    def __init__(self, captioner: Captioner, *, keep: int) -> None:
        if not isinstance(captioner, DateEncoder):
            raise InputError(
                f"captioner {captioner.name!r} looks at pairs only; expected one with the methods `encode_dates` and "
                "`caption_encoded` of geocc.inference.DateEncoder, such as CCExpertCaptioner."
            )
        self.captioner = captioner
        self._encoder: DateEncoder = captioner
        self.encoded = 0
        self._keep = keep
        self._kept: OrderedDict[bytes, Any] = OrderedDict()

    @property
    def name(self) -> str:
        """The captioner's own name."""
        return self.captioner.name

    @property
    def fingerprint(self) -> str:
        """The captioner's own fingerprint: the captions are the same."""
        return self.captioner.fingerprint

    @property
    def input_size(self) -> int:
        """Side in pixels to which tiles are resized."""
        return self.captioner.input_size

    @property
    def bytes_per_pair(self) -> int:
        """The captioner's own working memory for a pair."""
        return self.captioner.bytes_per_pair

    def caption(self, batch: TileBatch) -> Sequence[Caption]:
        """Caption every tile of the batch, in its order, encoding only images that were not seen of late."""
        encoded = self.encode_dates(batch.images.reshape(-1, *batch.images.shape[2:]))
        return self.caption_encoded(encoded[::2], encoded[1::2])

    def encode_dates(self, images: NDArray[np.uint8]) -> Sequence[Any]:
        """Encode single dates `(R, C=3, H, W)` uint8, but for those that were seen of late."""
        keys = [_digest(image) for image in images]
        missing = {key: number for number, key in enumerate(keys) if key not in self._kept}
        if missing:
            fresh = self._encoder.encode_dates(images[list(missing.values())])
            self._kept.update(zip(missing, fresh, strict=True))
            self.encoded += len(missing)
        for key in keys:
            self._kept.move_to_end(key)
        found = [self._kept[key] for key in keys]
        while len(self._kept) > self._keep:
            self._kept.popitem(last=False)
        return found

    def caption_encoded(self, earlier: Sequence[Any], later: Sequence[Any]) -> Sequence[Caption]:
        """Caption pairs of encoded dates, as the captioner does."""
        return self._encoder.caption_encoded(earlier, later)


def _digest(image: NDArray[np.uint8]) -> bytes:
    # 256 x 256 pixels take 0.2 ms, the cheapest vision tower takes some ten times as long.
    return hashlib.blake2b(image.tobytes(), digest_size=16).digest() + repr(image.shape).encode()
