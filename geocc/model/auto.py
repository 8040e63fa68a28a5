"""Tells Transformers' Auto classes of CCExpert; importing this module is what registers it.

Any name taken from `geocc.model` that needs Transformers imports this module first, so that
`AutoModelForImageTextToText.from_pretrained(folder)` works after `from geocc.model import CCExpertConfig`.
"""

from __future__ import annotations

from transformers import AutoConfig, AutoModel, AutoModelForImageTextToText, AutoProcessor

from geocc.model.configuration import CCExpertConfig
from geocc.model.modeling import CCExpertForConditionalGeneration, CCExpertModel
from geocc.model.processing import CCExpertProcessor

__all__: list[str] = []

AutoConfig.register(CCExpertConfig.model_type, CCExpertConfig, exist_ok=True)
AutoModel.register(CCExpertConfig, CCExpertModel, exist_ok=True)
AutoModelForImageTextToText.register(CCExpertConfig, CCExpertForConditionalGeneration, exist_ok=True)
AutoProcessor.register(CCExpertConfig, CCExpertProcessor, exist_ok=True)
