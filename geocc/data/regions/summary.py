"""What a training set came to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["DROPPED", "SplitCount", "TrainingSet"]

DROPPED = {
    "failed": "failed when they were captioned",
    "skipped_nodata": "without data when they were captioned",
    "too_little_change": "merely grazed by a change",
    "too_little_data": "with too few valid pixels",
    "buffer": "between the parts of the split",
    "unchanged_surplus": "unchanged beyond the share asked for",
}
"""Why tiles are left out, by the names of `TrainingSet.dropped`."""


@dataclass(frozen=True, slots=True)
class SplitCount:
    """Tiles of one part.

    Attributes:
        changed: Those in which something changed.
        unchanged: Those in which nothing did.
    """

    changed: int
    unchanged: int

    @property
    def tiles(self) -> int:
        """All of them."""
        return self.changed + self.unchanged


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """A training set on disk, and what became of every tile.

    Attributes:
        folder: Where it lies: pictures in `t1/` and `t2/`, records in one file for each part.
        records: The file of records of each part, by its name.
        splits: Tiles of each part.
        planned: Tiles there were: those written and those dropped.
        dropped: Tiles left out, counted by reason; see `DROPPED`.
        unused_polygons: Polygons that no tile meets.
    """

    folder: Path
    records: dict[str, Path]
    splits: dict[str, SplitCount]
    planned: int
    dropped: dict[str, int]
    unused_polygons: int = 0

    def __str__(self) -> str:
        lines = [
            f"{name}: {count.tiles} tiles, {count.changed} changed and {count.unchanged} unchanged"
            for name, count in self.splits.items()
        ]
        if self.dropped:
            reasons = ", ".join(f"{count} {DROPPED[reason]}" for reason, count in self.dropped.items())
            lines.append(f"left out: {reasons}")
        if self.unused_polygons:
            lines.append(f"polygons outside every tile: {self.unused_polygons}")
        return "\n".join(lines)
