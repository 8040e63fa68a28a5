"""Weights of other layouts, brought into geocc's own: a report of every tensor, and refusal where something is off."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from geocc.model.checkpoints.convert import convert_checkpoint
    from geocc.model.checkpoints.loading import LoadedCheckpoint, load_checkpoint
    from geocc.model.checkpoints.report import ConversionReport

__all__ = ["ConversionReport", "LoadedCheckpoint", "convert_checkpoint", "load_checkpoint"]

_HOMES = {
    "ConversionReport": "report",
    "LoadedCheckpoint": "loading",
    "convert_checkpoint": "convert",
    "load_checkpoint": "loading",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"geocc.model.checkpoints.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
