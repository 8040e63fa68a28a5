"""Small heads around the difference module: the way into the language model, and the optional word on change."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from transformers.activations import ACT2FN

if TYPE_CHECKING:
    from geocc.model.configuration import CCExpertConfig

__all__ = ["ChangeHead", "Projector"]


class Projector(nn.Module):
    """LLaVA's two-layer projector from image tokens to word embeddings."""

    def __init__(self, config: CCExpertConfig) -> None:
        super().__init__()
        width = config.text_config.hidden_size
        self.linear_1 = nn.Linear(config.vision_config.hidden_size, width)
        self.act = ACT2FN[config.projector_hidden_act]
        self.linear_2 = nn.Linear(width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map `(..., D_vision)` to `(..., D_text)`."""
        projected: Tensor = self.linear_2(self.act(self.linear_1(tokens)))
        return projected


class ChangeHead(nn.Module):
    """Says from the fused change map whether the pair, and each of its tokens, changed; geocc's own, not CCExpert's."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.token = nn.Linear(width, 1)
        self.pair_1 = nn.Linear(2 * width, width)
        self.act = nn.GELU()
        self.pair_2 = nn.Linear(width, 1)

    def forward(self, change: Tensor) -> tuple[Tensor, Tensor]:
        """Return the change logits of the pairs `(B,)` and of their tokens `(B, N)` from the change map `(B, N, D)`."""
        tokens = self.norm(change)
        pooled = torch.cat([tokens.mean(dim=1), tokens.amax(dim=1)], dim=-1)
        pairs: Tensor = self.pair_2(self.act(self.pair_1(pooled)))
        return pairs.squeeze(-1), self.token(tokens).squeeze(-1)
