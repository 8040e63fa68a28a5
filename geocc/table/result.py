"""What becomes of a tile. Free of pandas, so that tiles can be captioned before the table's packages are imported."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from geocc.errors import InputError

__all__ = ["UNIT_INTERVAL", "TileResult", "TileStatus"]

#: Columns of shares and probabilities.
UNIT_INTERVAL = ("change_probability", "confidence", "valid_fraction")


class TileStatus(StrEnum):
    """What became of a planned tile."""

    OK = "ok"
    """The model was asked and answered."""
    SKIPPED_NODATA = "skipped_nodata"
    """Too few pixels are valid in both dates; the model was not asked."""
    SKIPPED_UNCHANGED = "skipped_unchanged"
    """The change probability fell below the gate; the caption is the captioner's own no-change sentence."""
    FAILED = "failed"
    """Reading or captioning failed; `error` says how."""

    @property
    def has_caption(self) -> bool:
        """Whether tiles of this status carry a caption and a changed flag."""
        return self in {TileStatus.OK, TileStatus.SKIPPED_UNCHANGED}


@dataclass(frozen=True, slots=True)
class TileResult:
    """What is known of one planned tile once it has been dealt with.

    Attributes:
        tile_id: The name the plan gave to the tile.
        status: What became of it.
        caption: What the model wrote, raw; None where `status` has no caption.
        changed: Whether the model says that the ground changed; None where `status` has no caption.
        change_probability: In [0, 1], or NaN where there is none.
        confidence: In [0, 1], or NaN where there is none.
        error: Why the tile failed; None unless `status` is failed.
        valid_fraction: Share of the tile's pixels, in [0, 1], that are valid in both dates, or NaN where unknown.

    Raises:
        InputError: The status and the other values contradict each other, or a share is outside [0, 1].
    """

    tile_id: str
    status: TileStatus
    caption: str | None = None
    changed: bool | None = None
    change_probability: float = float("nan")
    confidence: float = float("nan")
    error: str | None = None
    valid_fraction: float = float("nan")

    def __post_init__(self) -> None:
        object.__setattr__(self, "status", _status(self.status, of=self.tile_id))
        expected = self.status.has_caption
        if (self.caption is not None) != expected or (self.changed is not None) != expected:
            raise InputError(
                f"tile {self.tile_id!r} has status {self.status.value!r}, caption {self.caption!r} and changed "
                f"{self.changed!r}: {'both are needed' if expected else 'neither may be given'} with this status"
            )
        if bool(self.error) != (self.status is TileStatus.FAILED):
            raise InputError(
                f"tile {self.tile_id!r} has status {self.status.value!r} and error {self.error!r}: "
                "an error text goes with status 'failed', and only with it"
            )
        for name in UNIT_INTERVAL:
            value = getattr(self, name)
            if not (math.isnan(value) or 0.0 <= value <= 1.0):
                raise InputError(f"tile {self.tile_id!r} has {name} {value}: expected 0 to 1, or NaN for unknown")


def _status(value: str, *, of: str) -> TileStatus:
    try:
        return TileStatus(value)
    except ValueError:
        known = ", ".join(TileStatus)
        raise InputError(f"tile {of!r} has status {value!r}, expected one of {known}") from None
