"""What the model returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from transformers.utils.generic import ModelOutput

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import Cache

__all__ = ["CCExpertImageFeatures", "CCExpertModelOutput", "CCExpertOutput"]


@dataclass
class CCExpertImageFeatures(ModelOutput):
    """A batch of encoded pairs: all that the images have to say, before any word is read.

    Attributes:
        image_features: `(B, T=2, N, D_text)` what takes the place of the image placeholders; give it to `generate` or
            `forward` as `image_features` to spare a second encoding.
        change_features: `(B, N, D_vision)` the fused change map.
        change_logits: `(B,)` logit that the pair changed, or None without a change head.
        change_token_logits: `(B, N)` the same for each token, row by row, or None without a change head.
        gates: `(L, B)` weight of each feature level, in (0, 1).
    """

    image_features: Tensor | None = None
    change_features: Tensor | None = None
    change_logits: Tensor | None = None
    change_token_logits: Tensor | None = None
    gates: Tensor | None = None


@dataclass
class CCExpertModelOutput(ModelOutput):
    """The language model's states, and the encoded pairs if this call saw them.

    Attributes:
        last_hidden_state: `(B, S, D_text)`.
        past_key_values: The language model's cache, where one is used.
        hidden_states: States of every layer, where they were asked for.
        attentions: Attention weights of every layer, where they were asked for.
        images: The encoded pairs, or None where no pixels were given.
    """

    last_hidden_state: Tensor | None = None
    past_key_values: Cache | None = None
    hidden_states: tuple[Tensor, ...] | None = None
    attentions: tuple[Tensor, ...] | None = None
    images: CCExpertImageFeatures | None = None


@dataclass
class CCExpertOutput(ModelOutput):
    """What `CCExpertForConditionalGeneration` returns.

    Attributes:
        loss: Mean loss over the unmasked next tokens, plus the change head's binary cross-entropy; None without labels.
        logits: `(B, S, V)` scores of the next token.
        past_key_values: The language model's cache, where one is used.
        hidden_states: States of every layer of the language model, where they were asked for.
        attentions: Attention weights of every layer of the language model, where they were asked for.
        change_logits: `(B,)` logit that the pair changed; None without pixels or a change head.
        change_token_logits: `(B, N)` the same for each image token; None without pixels or a change head.
        gates: `(L, B)` weight of each feature level, in (0, 1); None without pixels.
    """

    loss: Tensor | None = None
    logits: Tensor | None = None
    past_key_values: Cache | None = None
    hidden_states: tuple[Tensor, ...] | None = None
    attentions: tuple[Tensor, ...] | None = None
    change_logits: Tensor | None = None
    change_token_logits: Tensor | None = None
    gates: Tensor | None = None
