"""CCExpert's three stages of training, LoRA, and fine-tuning on one's own region.

Names are imported when they are first used, so that `import geocc.training` brings neither torch nor Transformers.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from geocc.training.optimizer import parameter_groups
    from geocc.training.parts import PARTS, Part, count_parameters, part_of, set_trainable
    from geocc.training.recipes import Stage1, Stage2, Stage3

__all__ = [
    "PARTS",
    "Part",
    "Stage1",
    "Stage2",
    "Stage3",
    "count_parameters",
    "parameter_groups",
    "part_of",
    "set_trainable",
]

_HOMES = {
    "PARTS": "parts",
    "Part": "parts",
    "Stage1": "recipes",
    "Stage2": "recipes",
    "Stage3": "recipes",
    "count_parameters": "parts",
    "parameter_groups": "optimizer",
    "part_of": "parts",
    "set_trainable": "parts",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"geocc.training.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
