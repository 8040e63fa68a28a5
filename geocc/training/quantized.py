"""QLoRA: the frozen language model in four bits, through bitsandbytes."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

from geocc.errors import InputError

if TYPE_CHECKING:
    from torch import nn

__all__ = ["quantize_language_model"]


def quantize_language_model(model: nn.Module) -> int:
    """Put four-bit layers in the place of the language model's linear ones (NF4, double quantization).

    Weights are packed when the model moves to its GPU. Source: QLoRA (Dettmers et al., arXiv 2305.14314).

    Args:
        model: A `CCExpertForConditionalGeneration`; changed in place.

    Returns:
        The number of layers replaced.

    Raises:
        InputError: bitsandbytes is not installed.
    """
    if importlib.util.find_spec("bitsandbytes") is None:
        raise InputError("lora.quantize is '4bit', which needs bitsandbytes: pip install bitsandbytes, or leave it out")
    import torch
    from bitsandbytes.nn import Linear4bit, Params4bit  # type: ignore[import-not-found,unused-ignore]  # an extra

    language_model: Any = model.get_submodule("model.language_model")
    linear = [(name, module) for name, module in language_model.named_modules() if isinstance(module, torch.nn.Linear)]
    for name, module in linear:
        packed = Linear4bit(
            module.in_features,
            module.out_features,
            bias=module.bias is not None,
            compute_dtype=torch.bfloat16,
            compress_statistics=True,
            quant_type="nf4",
        )
        packed.weight = Params4bit(
            module.weight.data, requires_grad=False, compress_statistics=True, quant_type="nf4", module=packed
        )
        if module.bias is not None:
            packed.bias = module.bias
        language_model.set_submodule(name, packed)
    return len(linear)
