"""What became of every tensor of a checkpoint."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from geocc.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["ConversionReport", "Mismatch"]

_LISTED = 12  # names shown per group before the rest is counted


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A tensor of the wrong shape.

    Attributes:
        name: geocc's name for it.
        source: Its name in the checkpoint.
        expected: The shape that the configuration asks for.
        found: The shape in the checkpoint.
    """

    name: str
    source: str
    expected: tuple[int, ...]
    found: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.source}: expected {list(self.expected)} for {self.name}, found {list(self.found)}"


@dataclass(slots=True)
class ConversionReport:
    """What became of every tensor of a checkpoint.

    Attributes:
        layout: The layout that the checkpoint is written in.
        source: Where it lies.
        used: geocc's name of each tensor that was taken over, and its name in the checkpoint.
        dropped: Tensors of the checkpoint that are known to be dead, and why.
        fresh: Tensors that the checkpoint does not claim to hold, newly initialised: they must be trained.
        missing: Tensors that the model needs and the checkpoint lacks.
        mismatched: Tensors of the wrong shape.
        unknown: Tensors of the checkpoint that are neither needed nor known to be dead.
        notes: What else is worth knowing.
    """

    layout: str
    source: str
    used: dict[str, str] = field(default_factory=dict)
    dropped: dict[str, str] = field(default_factory=dict)
    fresh: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    mismatched: list[Mismatch] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [f"{self.source} ({self.layout})"]
        lines += [f"  used: {len(self.used)} tensors"]
        reasons = Counter(self.dropped.values())
        lines += [f"  dropped: {len(self.dropped)} tensors"] if reasons else []
        lines += [f"    {count} x {reason}" for reason, count in sorted(reasons.items())]
        if self.fresh:
            parts = Counter(".".join(name.split(".")[:2]) for name in self.fresh)
            made = ", ".join(f"{count} in {part}" for part, count in sorted(parts.items()))
            lines += [f"  FRESH: {len(self.fresh)} tensors newly initialised, to be trained before use ({made})"]
        lines += _group("missing", self.missing)
        lines += _group("of another shape", map(str, self.mismatched))
        lines += _group("unknown", self.unknown)
        lines += [f"  note: {note}" for note in self.notes]
        return "\n".join(lines)

    def refuse_misfits(self) -> None:
        """Raise `CheckpointError` if the weights do not fit the model, with the names, the shapes and the remedy."""
        if not (self.missing or self.mismatched or self.unknown):
            return
        lines = ["the checkpoint does not fit the model that its configuration describes", str(self)]
        if self.missing:
            lines.append("A shard or a part is missing: fetch all files of the checkpoint again.")
        if self.mismatched:
            lines.append(
                "The sizes differ: config.json, or the tower's config given as vision_config=, belongs to another model."
            )
        if self.unknown:
            lines.append("Unknown tensors: this is no CCExpert or LLaVA-OneVision checkpoint, or a layout geocc lacks.")
        raise CheckpointError("\n".join(lines))


def _group(title: str, names: Iterable[str]) -> list[str]:
    listed = sorted(names)
    if not listed:
        return []
    rest = [f"    ... and {len(listed) - _LISTED} more"] if len(listed) > _LISTED else []
    return [f"  {title}: {len(listed)} tensors", *(f"    {name}" for name in listed[:_LISTED]), *rest]
