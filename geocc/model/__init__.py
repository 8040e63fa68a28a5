"""CCExpert in Transformers' conventions: configuration, difference module, model, processing, checkpoints, registry.

Names are imported when they are first used, so that `import geocc.model` brings no torch with it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from geocc.model.captioning import CaptioningCheckpoint, load_captioning_checkpoint
    from geocc.model.chat import PROMPT
    from geocc.model.checkpoints.convert import convert_checkpoint
    from geocc.model.checkpoints.loading import LoadedCheckpoint, load_checkpoint
    from geocc.model.checkpoints.report import ConversionReport
    from geocc.model.configuration import CCExpertConfig
    from geocc.model.modeling import CCExpertForConditionalGeneration, CCExpertModel
    from geocc.model.outputs import CCExpertImageFeatures, CCExpertOutput
    from geocc.model.processing import CCExpertProcessor
    from geocc.model.registry import ModelEntry, ModelSource, list_models, resolve_model
    from geocc.model.scout import ChangeScout, ChangeScoutConfig, load_scout

__all__ = [
    "PROMPT",
    "CCExpertConfig",
    "CCExpertForConditionalGeneration",
    "CCExpertImageFeatures",
    "CCExpertModel",
    "CCExpertOutput",
    "CCExpertProcessor",
    "CaptioningCheckpoint",
    "ChangeScout",
    "ChangeScoutConfig",
    "ConversionReport",
    "LoadedCheckpoint",
    "ModelEntry",
    "ModelSource",
    "convert_checkpoint",
    "list_models",
    "load_captioning_checkpoint",
    "load_checkpoint",
    "load_scout",
    "resolve_model",
]

_HOMES = {
    "CCExpertConfig": "configuration",
    "CCExpertForConditionalGeneration": "modeling",
    "CCExpertImageFeatures": "outputs",
    "CCExpertModel": "modeling",
    "CCExpertOutput": "outputs",
    "CCExpertProcessor": "processing",
    "CaptioningCheckpoint": "captioning",
    "ChangeScout": "scout",
    "ChangeScoutConfig": "scout",
    "ConversionReport": "checkpoints.report",
    "LoadedCheckpoint": "checkpoints.loading",
    "ModelEntry": "registry",
    "ModelSource": "registry",
    "PROMPT": "chat",
    "convert_checkpoint": "checkpoints.convert",
    "list_models": "registry",
    "load_captioning_checkpoint": "captioning",
    "load_checkpoint": "checkpoints.loading",
    "load_scout": "scout",
    "resolve_model": "registry",
}
_LIGHT = frozenset({"chat", "checkpoints.report", "registry"})  # these modules need neither torch nor Transformers


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if _HOMES[name] not in _LIGHT:
        importlib.import_module("geocc.model.auto")
    return getattr(importlib.import_module(f"geocc.model.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
