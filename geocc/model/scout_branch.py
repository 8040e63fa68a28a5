"""A change scout inside a CCExpert model: what it sees of a pair is put onto the image tokens. geocc's own, not CCExpert's.

A small tower that is trained from nothing sees coarse squares; a scout, for the same few megabytes, sees cells of four pixels
and has learned from masks and nothing else. It may look at finer pixels than the tower does. Its weights come from `geocc.training.train_scout` and stay as they are while
the model learns to read them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  # torch's own abbreviation

from geocc.model.scout import CELL, ChangeScout

if TYPE_CHECKING:
    from geocc.model.configuration import CCExpertConfig

__all__ = ["ScoutBranch", "ScoutTokens", "shrunk"]

# Logits of a sure scout reach some dozens; beside normed features they should be neither lost nor louder than all else.
_LOGIT_SCALE = 0.2
_DATES = 2
# A token is told two things of each cover and date.
_TOLD = 2


class ScoutTokens(NamedTuple):
    """What a scout adds to a pair, `(B, N, D)` where nothing else is said.

    Attributes:
        change: To the fused change map.
        image_a: To the tokens of the earlier image, before the projector.
        image_b: To those of the later image.
        change_logits: `(B,)` to the logit that the pair changed.
    """

    change: Tensor
    image_a: Tensor
    image_b: Tensor
    change_logits: Tensor


def shrunk(images: Tensor, side: int) -> Tensor:
    """Shrink images or maps `(B, C, H, H)` by an antialiased bicubic filter, as images are resized at first; of that side already, return them."""
    if images.shape[-1] == side:
        return images
    # In float32, for torch knows no such filter in bfloat16 on every device.
    smaller = F.interpolate(images.float(), size=(side, side), mode="bicubic", antialias=True)
    return smaller.to(images.dtype)


def _covers_by_token(map_logits: Tensor, cover_logits: Tensor, grid: int) -> Tensor:
    """Return `(B, N, 2 * T=2 * covers)` of every token the share of its ground that was, or became, each cover, and the surest cell of it.

    A layer that adds up what is known of cells cannot tell a token full of doubt from one with a sure house in it; these can.
    Of shares the square root, for a house is a few hundredths of a token.
    """
    changed = map_logits.sigmoid()[:, None, None]
    each = (changed * cover_logits.softmax(dim=2)).flatten(1, 2)
    shares = F.adaptive_avg_pool2d(each, grid).sqrt()
    surest = F.adaptive_max_pool2d(each, grid)
    return torch.cat([shares, surest], dim=1).flatten(2).transpose(1, 2)


class ScoutBranch(nn.Module):
    """Lets a `ChangeScout` look at the pair, and lays its cells onto the tokens that cover them.

    Args:
        config: The model's; its `scout_config` says what the scout is like.
    """

    def __init__(self, config: CCExpertConfig) -> None:
        super().__init__()
        self.scout = ChangeScout(config.scout_config)
        self.side = config.vision_config.image_size // CELL
        self.cells = self.side // config.grid_size
        merged, width = config.scout_config.merged_width, config.vision_config.hidden_size
        self.norm = nn.LayerNorm(merged)
        self.change = nn.Linear((merged + 2) * self.cells**2, width)
        self.act = nn.GELU()
        self.image_a = nn.Linear(width, width)
        self.image_b = nn.Linear(width, width)
        self.pair = nn.Linear(1, 1)
        told = _DATES * len(config.scout_config.covers) * _TOLD
        self.covers = nn.Linear(told, width, bias=False) if told else None

    def forward(self, pixel_values: Tensor) -> ScoutTokens:
        """Look at pairs.

        Args:
            pixel_values: `(B, T=2, C=3, H, W)` in [-1, 1], as the tower gets them.
        """
        config = self.scout.config
        pixels = (pixel_values / 2 + 0.5 - config.image_mean) / config.image_std
        seen = self.scout(pixels.to(self.change.weight.dtype))  # the tower too takes pixels of any dtype
        features = self.norm(shrunk(seen.features, self.side).movedim(1, -1)).movedim(-1, 1)
        pair = seen.change_logits[:, None, None, None].expand(-1, 1, *features.shape[2:])
        logits = torch.cat([shrunk(seen.map_logits.unsqueeze(1), self.side), pair], dim=1) * _LOGIT_SCALE
        cells = F.pixel_unshuffle(torch.cat([features, logits.to(features)], dim=1), self.cells)
        change = self.change(cells.flatten(2).transpose(1, 2))
        if self.covers is not None and seen.cover_logits is not None:  # both or neither
            change = change + self.covers(_covers_by_token(seen.map_logits, seen.cover_logits, self.side // self.cells))
        read = self.act(change)
        return ScoutTokens(
            change=change,
            image_a=self.image_a(read),
            image_b=self.image_b(read),
            change_logits=self.pair(seen.change_logits.unsqueeze(1)).squeeze(1),
        )
