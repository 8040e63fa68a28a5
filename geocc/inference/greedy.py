"""Greedy decoding with the confidence of every answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import torch

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Answer", "answer_greedily"]


class Answer(NamedTuple):
    """What a model answered.

    Attributes:
        text: The answer, without special tokens and surrounding white space.
        confidence: Geometric mean probability of its tokens, the end token included; in [0, 1].
    """

    text: str
    confidence: float


@torch.inference_mode()
def answer_greedily(
    model: Any, tokenizer: Any, *, input_ids: Tensor, max_new_tokens: int, **inputs: Any
) -> list[Answer]:
    """Let a model answer a batch of prompts, each time with the likeliest next token.

    Args:
        model: A Transformers model with `generate`.
        tokenizer: Its tokenizer, or a processor that can decode.
        input_ids: `(B, S)` prompts, padded on the left if at all.
        max_new_tokens: Longest answer in tokens.
        **inputs: What else `generate` needs: attention mask, images.

    Returns:
        One answer per prompt, in order.
    """
    output = model.generate(
        input_ids=input_ids,
        do_sample=False,
        num_beams=1,
        max_new_tokens=max_new_tokens,
        return_dict_in_generate=True,
        output_logits=True,
        **inputs,
    )
    tokens = output.sequences[:, input_ids.shape[1] :]
    # Step by step: all steps' logits at once would be vocabulary x tokens x batch in float32.
    chosen = torch.stack(
        [
            step.float().log_softmax(-1).gather(-1, token[:, None])[:, 0]
            for step, token in zip(output.logits, tokens.T, strict=True)
        ],
        dim=1,
    )
    spoken = _is_spoken(tokens, ends=model.generation_config.eos_token_id)
    confidence = ((chosen * spoken).sum(-1) / spoken.sum(-1)).exp()
    texts = tokenizer.batch_decode(tokens, skip_special_tokens=True)
    return [Answer(text.strip(), value) for text, value in zip(texts, confidence.tolist(), strict=True)]


def _is_spoken(tokens: Tensor, *, ends: int | list[int] | None) -> Tensor:
    """Tell the answer, its end token included, from the padding behind it."""
    if ends is None:
        return torch.ones_like(tokens, dtype=torch.bool)
    ended = torch.isin(tokens, torch.tensor(ends, device=tokens.device))
    return ended.cumsum(-1) - ended.long() == 0
