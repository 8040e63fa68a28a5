"""How likely a model is to answer that nothing changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from geocc.model import CCExpertForConditionalGeneration

__all__ = ["no_change_probability"]


@torch.inference_mode()
def no_change_probability(
    model: CCExpertForConditionalGeneration,
    prompt: Tensor,
    image_features: Tensor,
    *,
    sentences: Sequence[Sequence[int]],
) -> Tensor:
    """Sum the probabilities of all the ways to say "no change".

    The answers exclude one another, so their probabilities add up to a lower bound of the probability that the model
    denies a change; for a model fine-tuned on LEVIR-CC, whose unchanged pairs all share five sentences, it is tight.

    Args:
        model: The model.
        prompt: `(B, S)` prompt ids, without padding.
        image_features: `(B, T=2, N, D_text)` from `model.get_image_features`.
        sentences: Token ids of each answer, its end token included.

    Returns:
        `(B,)` float32 in [0, 1].
    """
    filled = model(input_ids=prompt, image_features=image_features, use_cache=True, logits_to_keep=1)
    cache = filled.past_key_values
    first = filled.logits[:, -1].float().log_softmax(-1)
    total = torch.zeros(len(prompt), device=prompt.device)
    for sentence in sentences:
        ids = torch.tensor(list(sentence), device=prompt.device).expand(len(prompt), -1)
        rest = model(input_ids=ids[:, :-1], past_key_values=cache, use_cache=True).logits.float().log_softmax(-1)
        cache.crop(1 - len(sentence))  # back to the prompt
        steps = torch.cat([first[:, None], rest], dim=1).gather(-1, ids[..., None])
        total += steps.sum(dim=(1, 2)).exp()
    return total.clamp(max=1.0)
