"""The scene: two georeferenced rasters opened, checked, aligned, scaled, planned into tiles and read window by window.

Members are imported when they are first used: the TorchGeo bridge needs torch, the rest does not.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from geocc.scene.dataset import ScenePairDataset
    from geocc.scene.footprints import window_polygons
    from geocc.scene.pair import ScenePair, open_pair
    from geocc.scene.plan import TilePlan, plan_tiles
    from geocc.scene.sampler import FullCoverGridSampler
    from geocc.scene.scaling import Stretch
    from geocc.scene.window import PixelWindow, Tile

__all__ = [
    "FullCoverGridSampler",
    "PixelWindow",
    "ScenePair",
    "ScenePairDataset",
    "Stretch",
    "Tile",
    "TilePlan",
    "open_pair",
    "plan_tiles",
    "window_polygons",
]

_HOME = {
    "FullCoverGridSampler": "sampler",
    "PixelWindow": "window",
    "ScenePair": "pair",
    "ScenePairDataset": "dataset",
    "Stretch": "scaling",
    "Tile": "window",
    "TilePlan": "plan",
    "open_pair": "pair",
    "plan_tiles": "plan",
    "window_polygons": "footprints",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
