"""Readers of public data sets in their own layouts, as they unpack."""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from geocc.data.readers.registry import SOURCES, Preparation, Source, prepare

__all__ = ["SOURCES", "Preparation", "Source", "prepare"]

__getattr__, __dir__, _ = lazy_loader.attach(
    __name__, submod_attrs={"registry": ["SOURCES", "Preparation", "Source", "prepare"]}
)
