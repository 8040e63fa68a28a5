"""Lessons from change masks: two small heads that only training knows, so that a small model learns where change is.

A caption says little about where to look, and a model that starts from little learns it late or never. Where records
carry masks, a head on the difference module's change map, and another on the features that the language model is given,
say token by token what changed. geocc's own: the published recipe does without, and so does every preset.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  # torch's own abbreviation

if TYPE_CHECKING:
    from geocc.model.outputs import CCExpertImageFeatures

__all__ = [
    "TUTOR_FILE",
    "ChangeTutor",
    "attach_tutor",
    "load_tutor",
    "save_tutor",
]

#: Where a checkpoint keeps the heads: beside the model, which does not need them.
TUTOR_FILE = "change_tutor.safetensors"

# Changed tokens are few, and to miss one is worse than to see one too many.
_CHANGED_WEIGHT = 4.0
# Of each class, for there are many, and most of them are nowhere in a pair.
_CLASS_SHARE = 0.25
# Hardly any class comes or goes in a token. Heads that start by expecting this leave the model alone until they have something to say
# (after Lin et al. 2017, arXiv 1708.02002, section 3.3).
_CLASS_PRIOR = 0.02
_PLACE_SHARE = 0.25


class ChangeTutor(nn.Module):
    """Says of every image token what happened to its ground: once from the change map, once from what the words see.

    Of what the words see it also says at which row and column of the image each token lies.

    Args:
        vision_width: Channels of the change map.
        text_width: Channels of one date's image features.
        grid: Tokens per side.
        weight: Weight of the loss.
        classes: Number of classes that may come or go; 0 to learn only whether something changed.
    """

    def __init__(self, vision_width: int, text_width: int, *, grid: int, weight: float, classes: int = 0) -> None:
        super().__init__()
        self.weight = weight
        self.norm = nn.LayerNorm(vision_width)
        self.seen = nn.Linear(vision_width, 1 + 2 * classes)
        self.told = nn.Linear(2 * text_width, 1 + 2 * classes)
        self.place = nn.Linear(text_width, 2 * grid)
        with torch.no_grad():
            for head in (self.seen, self.told):
                head.bias[1:] = math.log(_CLASS_PRIOR / (1 - _CLASS_PRIOR))
        at = torch.arange(grid * grid)
        self.register_buffer("places", torch.stack([at // grid, at % grid], dim=-1), persistent=False)

    def forward(self, images: CCExpertImageFeatures, maps: Tensor) -> Tensor:
        """Return the weighted loss of a batch, the mean over the tokens whose truth is known.

        Args:
            images: The encoded pairs.
            maps: `(B, N, 1 + 2 * classes)` from `change_map`, NaN where nothing is known.
        """
        change: Any = images.change_features
        features: Any = images.image_features
        seen = self.seen(self.norm(change)).float()
        told = self.told(features.transpose(1, 2).flatten(2)).float()
        parts = [_loss(logits[..., :1], maps[..., :1]) for logits in (seen, told)]
        if images.change_token_logits is not None:
            parts.append(_loss(images.change_token_logits.float().unsqueeze(-1), maps[..., :1]))
        if maps.shape[-1] > 1:
            parts += [_CLASS_SHARE * _loss(logits[..., 1:], maps[..., 1:]) for logits in (seen, told)]
        places: Any = self.places
        rows_and_columns = self.place(features).float().unflatten(-1, (2, -1)).flatten(0, -2)
        parts.append(
            _PLACE_SHARE * F.cross_entropy(rows_and_columns, places.expand(*features.shape[:2], -1, -1).flatten())
        )
        return self.weight * torch.stack(parts).sum()


def _loss(logits: Tensor, truth: Tensor) -> Tensor:
    """Return the sum over classes of the mean over tokens of a cross-entropy, where the truth is known."""
    known = truth.isfinite()
    weights = known.float() / known.sum(dim=(0, 1)).clamp(min=1)
    return F.binary_cross_entropy_with_logits(
        logits, truth.nan_to_num(), weight=weights, pos_weight=truth.new_tensor(_CHANGED_WEIGHT), reduction="sum"
    )


def attach_tutor(model: Any, *, weight: float, seed: int, start: Path, classes: int = 0) -> None:
    """Put the heads onto a model: those of its start, or fresh ones.

    Args:
        model: A `CCExpertForConditionalGeneration`; changed in place.
        weight: Weight of their loss.
        classes: Number of classes of the records' label images.
        seed: Seed of fresh weights.
        start: Folder that the model was loaded from.
    """
    config = model.config
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        tutor = ChangeTutor(
            config.vision_config.hidden_size,
            config.text_config.hidden_size,
            grid=config.grid_size,
            weight=weight,
            classes=classes,
        )
    model.change_tutor = tutor.to(model.device)
    load_tutor(model, start)


def save_tutor(model: Any, folder: str | Path) -> None:
    """Write the heads of a model into a checkpoint's folder."""
    save_file(
        {name: value.contiguous() for name, value in model.change_tutor.state_dict().items()}, Path(folder) / TUTOR_FILE
    )


def load_tutor(model: Any, folder: str | Path) -> None:
    """Take up the heads that a checkpoint's folder holds; keep those of the model where it holds none that fit."""
    path = Path(folder) / TUTOR_FILE
    if not path.is_file():
        return
    found, own = load_file(path), model.change_tutor.state_dict()
    if {name: value.shape for name, value in found.items()} == {name: value.shape for name, value in own.items()}:
        model.change_tutor.load_state_dict(found)
