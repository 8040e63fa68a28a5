"""The scene: two georeferenced rasters opened, checked, aligned, scaled, planned into tiles and read window by window."""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from geocc.scene.dataset import ScenePairDataset
    from geocc.scene.footprints import window_polygons
    from geocc.scene.pair import ScenePair, open_pair
    from geocc.scene.plan import TilePlan, plan_tiles
    from geocc.scene.sampler import FullCoverGridSampler
    from geocc.scene.scaling import Stretch
    from geocc.scene.series import SceneSeries, open_series
    from geocc.scene.window import PixelWindow, Tile

__all__ = [
    "FullCoverGridSampler",
    "PixelWindow",
    "ScenePair",
    "ScenePairDataset",
    "SceneSeries",
    "Stretch",
    "Tile",
    "TilePlan",
    "open_pair",
    "open_series",
    "plan_tiles",
    "window_polygons",
]

# The TorchGeo bridge needs torch, the rest does not: each name is imported when it is first used.
__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "dataset": ["ScenePairDataset"],
        "footprints": ["window_polygons"],
        "pair": ["ScenePair", "open_pair"],
        "plan": ["TilePlan", "plan_tiles"],
        "sampler": ["FullCoverGridSampler"],
        "scaling": ["Stretch"],
        "series": ["SceneSeries", "open_series"],
        "window": ["PixelWindow", "Tile"],
    },
)
