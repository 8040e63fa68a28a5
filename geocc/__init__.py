"""geocc: what changed between two dates, in words and on a map.

Examples:
    >>> import geocc
    >>> scene = geocc.data.synthetic.make_scene(7, size_px=512)
    >>> changes = geocc.caption_changes(*scene.to_xarray(), progress=False)
    >>> changes.crs.is_projected
    True
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from geocc import cli, data, errors, evaluation, inference, model, scene, table, training, views
    from geocc.captioning import caption_changes, plan_changes
    from geocc.errors import GeoccError
    from geocc.inference import Caption, Captioner, CCExpertCaptioner, TileBatch
    from geocc.model import convert_checkpoint, list_models
    from geocc.outlines import outline_changes
    from geocc.scene import ScenePair, TilePlan, open_pair
    from geocc.series import caption_series
    from geocc.table import read_layer, write_layer
    from geocc.views import explore, figure, report

__version__ = "0.1.0"

__all__ = [
    "CCExpertCaptioner",
    "Caption",
    "Captioner",
    "GeoccError",
    "ScenePair",
    "TileBatch",
    "TilePlan",
    "__version__",
    "caption_changes",
    "caption_series",
    "cli",
    "convert_checkpoint",
    "data",
    "errors",
    "evaluation",
    "explore",
    "figure",
    "inference",
    "list_models",
    "model",
    "open_pair",
    "outline_changes",
    "plan_changes",
    "read_layer",
    "report",
    "scene",
    "table",
    "training",
    "views",
    "write_layer",
]

# `import geocc` costs a moment, not the seconds of torch and GDAL: each name is imported when it is first used.
__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submodules=["cli", "data", "errors", "evaluation", "inference", "model", "scene", "table", "training", "views"],
    submod_attrs={
        "captioning": ["caption_changes", "plan_changes"],
        "errors": ["GeoccError"],
        "inference": ["CCExpertCaptioner", "Caption", "Captioner", "TileBatch"],
        "model": ["convert_checkpoint", "list_models"],
        "outlines": ["outline_changes"],
        "scene": ["ScenePair", "TilePlan", "open_pair"],
        "series": ["caption_series"],
        "table": ["read_layer", "write_layer"],
        "views": ["explore", "figure", "report"],
    },
)
