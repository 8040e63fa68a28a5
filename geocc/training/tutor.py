"""Lessons from change masks: two small heads that only training knows, so that a small model learns where change is.

A caption says little about where to look, and a model that starts from little learns it late or never. Where records
carry masks, a head on the difference module's change map, and another on the features that the language model is given,
say token by token what changed. geocc's own: the published recipe does without, and so does every preset.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  # torch's own abbreviation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geocc.model.outputs import CCExpertImageFeatures

__all__ = [
    "TUTOR_FILE",
    "ChangeTutor",
    "attach_tutor",
    "change_map",
    "load_tutor",
    "save_tutor",
    "stack_maps",
]

#: Where a checkpoint keeps the heads: beside the model, which does not need them.
TUTOR_FILE = "change_tutor.safetensors"

# So much of a token must have changed for the token to count as changed in full: a small house is seen, a fringe is not.
_FULL_SHARE = 0.08
# Changed tokens are few, and to miss one is worse than to see one too many.
_CHANGED_WEIGHT = 4.0


class ChangeTutor(nn.Module):
    """Says of every image token whether its ground changed: once from the change map, once from what the words see.

    Args:
        vision_width: Channels of the change map.
        text_width: Channels of one date's image features.
        weight: Weight of the loss.
    """

    def __init__(self, vision_width: int, text_width: int, *, weight: float) -> None:
        super().__init__()
        self.weight = weight
        self.norm = nn.LayerNorm(vision_width)
        self.seen = nn.Linear(vision_width, 1)
        self.told = nn.Linear(2 * text_width, 1)

    def forward(self, images: CCExpertImageFeatures, maps: Tensor) -> Tensor:
        """Return the weighted loss of a batch, the mean over the tokens whose truth is known.

        Args:
            images: The encoded pairs.
            maps: `(B, N)` from `change_map`, NaN where nothing is known.
        """
        change: Any = images.change_features
        features: Any = images.image_features
        known = maps.isfinite()
        truth, weights = maps.nan_to_num(), known.float() / known.sum().clamp(min=1)
        seen = self.seen(self.norm(change)).squeeze(-1)
        told = self.told(features.transpose(1, 2).flatten(2)).squeeze(-1)
        both = [
            F.binary_cross_entropy_with_logits(
                logits.float(), truth, weight=weights, pos_weight=truth.new_tensor(_CHANGED_WEIGHT), reduction="sum"
            )
            for logits in (seen, told)
        ]
        return self.weight * torch.stack(both).sum()


def attach_tutor(model: Any, *, weight: float, seed: int, start: Path) -> None:
    """Put the heads onto a model: those of its start, or fresh ones.

    Args:
        model: A `CCExpertForConditionalGeneration`; changed in place.
        weight: Weight of their loss.
        seed: Seed of fresh weights.
        start: Folder that the model was loaded from.
    """
    config = model.config
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        tutor = ChangeTutor(config.vision_config.hidden_size, config.text_config.hidden_size, weight=weight)
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


def change_map(mask: Image.Image | None, *, changed: bool, grid: int) -> Tensor:
    """Return which of a pair's image tokens changed.

    Args:
        mask: The pair's change mask of any size, 0 where nothing changed.
        changed: Whether the pair changed at all; of one that did not, every token is known.
        grid: Tokens per side.

    Returns:
        `(grid * grid,)` float32, row by row: 0 where nothing changed, 1 where a twelfth of the token or more did, in
        between for less; all NaN for a changed pair without a mask.
    """
    if mask is None:
        return torch.full((grid * grid,), torch.nan if changed else 0.0)
    binary = Image.fromarray(np.asarray(mask.convert("L") if mask.mode not in {"1", "L"} else mask) > 0).convert("F")
    shares = np.asarray(binary.resize((grid, grid), Image.Resampling.BOX)) / 255
    return torch.from_numpy(np.minimum(shares / _FULL_SHARE, 1).astype(np.float32).ravel())


def stack_maps(masks: Sequence[tuple[Image.Image | None, bool]], *, grid: int) -> Tensor:
    """Return the maps of a batch, `(B, grid * grid)`; see `change_map`.

    Args:
        masks: For each pair its mask, and whether it changed.
        grid: Tokens per side.
    """
    return torch.stack([change_map(mask, changed=changed, grid=grid) for mask, changed in masks])
