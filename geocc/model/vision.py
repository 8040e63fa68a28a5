"""The SigLIP tower, cut to the feature levels that CCExpert reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from transformers import SiglipVisionConfig
from transformers.models.siglip.modeling_siglip import (
    SiglipEncoderLayer,
    SiglipPreTrainedModel,
    SiglipVisionEmbeddings,
)

from geocc.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["FeatureTower"]


class FeatureTower(SiglipPreTrainedModel):
    """Transformers' SigLIP embeddings and blocks up to the highest feature level, and nothing that is never read.

    Args:
        config: Sizes of the tower.
        levels: Hidden states to return, ascending: 0 is the embedding, n the output of block n.
    """

    config_class = SiglipVisionConfig
    main_input_name = "pixel_values"
    _input_embed_layer = "patch_embedding"

    def __init__(self, config: SiglipVisionConfig, *, levels: Sequence[int]) -> None:
        super().__init__(config)
        self.levels = tuple(levels)
        self.embeddings = SiglipVisionEmbeddings(config)
        self.layers = nn.ModuleList(SiglipEncoderLayer(config) for _ in range(max(self.levels)))
        self.post_init()

    def forward(self, pixel_values: Tensor) -> Tensor:
        """Return the feature levels `(L, R, N, D)` of images `(R, C, H, W)`, normalised to [-1, 1].

        Raises:
            InputError: If the images are not of the tower's size.
        """
        wanted = (self.config.num_channels, self.config.image_size, self.config.image_size)
        if tuple(pixel_values.shape[1:]) != wanted:
            raise InputError(
                f"images of (C, H, W) = {tuple(pixel_values.shape[1:])} were given to a tower that reads {wanted}; "
                "let CCExpertProcessor resize them"
            )
        states = self.embeddings(pixel_values)
        kept = [states] if 0 in self.levels else []
        for number, layer in enumerate(self.layers, start=1):
            states = layer(states, None)
            if number in self.levels:
                kept.append(states)
        return torch.stack(kept)
