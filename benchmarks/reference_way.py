"""The same model computed as CCExpert's public code computes it: the yardstick of the speed benchmarks.

Written from what is known of that code, on our own weights, so that the answers can be compared token by token: one pair at
a time; the vision tower with its 27th block, all 28 states kept; attention in the tower and in the difference module as
softmax between two products; logits for every position of the prompt. The language model's attention is torch's fused one
there too, so here as well.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from transformers.models.siglip.modeling_siglip import SiglipEncoderLayer

from geocc.model.difference import Attention

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from geocc.model import CCExpertForConditionalGeneration


class ReferenceWay:
    """Answers as the reference does, with the weights of a model of ours.

    Args:
        model: The model; its weights are shared.
    """

    def __init__(self, model: CCExpertForConditionalGeneration) -> None:
        self._model = model
        tower = model.model.vision_tower
        extra = SiglipEncoderLayer(tower.config).to(model.device, model.dtype)
        self._layers = [*tower.layers, extra.eval()]

    @torch.inference_mode()
    def encode(self, pixels: Tensor) -> Tensor:
        """Return the image features of one pair `(1, T=2, C, H, W)`."""
        model = self._model.model
        with _eager(self._model):
            states = [model.vision_tower.embeddings(pixels.flatten(0, 1))]
            for layer in self._layers:
                states.append(layer(states[-1], None))
            kept = torch.stack([states[level] for level in self._model.config.feature_levels])
            difference = model.difference(kept.unflatten(1, (-1, 2)))
        features: Tensor = model.projector(torch.stack([difference.image_a, difference.image_b], dim=1))
        return features

    @torch.inference_mode()
    def answer(self, pixels: Tensor, prompt: Tensor, *, tokens: int) -> list[int]:
        """Return the tokens of the answer to one pair; the end token does not end it."""
        read = self._model(
            input_ids=prompt, image_features=self.encode(pixels), use_cache=True
        )  # logits at every position
        said = [int(read.logits.float()[0, -1].argmax())]
        while len(said) < tokens:
            last = torch.tensor([[said[-1]]], device=prompt.device)
            read = self._model(input_ids=last, past_key_values=read.past_key_values, use_cache=True)
            said.append(int(read.logits.float()[0, -1].argmax()))
        return said


@contextmanager
def _eager(model: CCExpertForConditionalGeneration) -> Iterator[None]:
    """Compute attention in the tower and the difference module as written out by hand."""
    tower, fused = model.model.vision_tower.config, Attention.forward
    before = tower._attn_implementation  # noqa: SLF001  # the one switch that works after a model is made
    tower._attn_implementation, Attention.forward = "eager", _attend  # noqa: SLF001
    try:
        yield
    finally:
        tower._attn_implementation, Attention.forward = before, fused  # noqa: SLF001


def _attend(self: Attention, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    q, k, v = (self._split(proj(x)) for proj, x in ((self.q_proj, query), (self.k_proj, key), (self.v_proj, value)))
    weights = ((q @ k.transpose(-2, -1)) / self.head_dim**0.5).softmax(dim=-1)
    return self.out_proj((weights @ v).transpose(1, 2).flatten(2))
