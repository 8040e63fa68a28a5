"""Several answers to one question in one row, and the loss of the positions that predict something.

The images and the question are the longest part of a sample by far, and the same for all captions of a pair. Packed,
they stand in the row once, and each answer follows as a branch of its own: it sees the question and itself, and its
positions count on from the question's last. So its states are those that it would have in a row of its own, and so is
every gradient.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F  # noqa: N812  # torch's own abbreviation

from geocc.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["branch_mask", "branch_positions", "target_loss"]

_IGNORED = -100


def branch_positions(branches: Tensor) -> Tensor:
    """Return the positions of packed rows: of every answer they go on where those of the question end.

    Args:
        branches: `(B, S)`: 0 for the question, 1, 2, ... for its answers, -1 for padding on either side.

    Returns:
        `(B, S)` positions from 0; 0 for padding.
    """
    places = torch.arange(branches.shape[1], device=branches.device).expand_as(branches)
    starts = torch.ones_like(branches, dtype=torch.bool)
    starts[:, 1:] = branches[:, 1:] != branches[:, :-1]
    within = places - torch.where(starts, places, 0).cummax(dim=1).values
    question = (branches == 0).sum(dim=1, keepdim=True)
    return torch.where(branches > 0, within + question, within) * (branches >= 0)


def branch_mask(branches: Tensor, *, implementation: str | None, dtype: torch.dtype) -> Tensor:
    """Return which position may see which, for all heads alike.

    Args:
        branches: `(B, S)`, as in `branch_positions`.
        implementation: Name of the attention, as in Transformers: `sdpa` or `eager`.
        dtype: Dtype of the scores that an eager attention adds the mask to.

    Returns:
        `(B, 1, S, S)`: bool for `sdpa`, True where the row may see the column; for `eager` what is added to the scores.
        Padding sees itself alone, so that no row is empty.

    Raises:
        InputError: The attention takes no mask of this form.
    """
    if implementation not in {"sdpa", "eager"}:
        raise InputError(
            f"packed answers need a mask of their own, which the attention {implementation!r} does not take; load the "
            "model with attn_implementation='sdpa'."
        )
    seer, seen = branches[:, :, None], branches[:, None, :]
    length = branches.shape[1]
    causal = torch.ones(length, length, dtype=torch.bool, device=branches.device).tril()
    itself = torch.eye(length, dtype=torch.bool, device=branches.device)
    allowed = ((causal & ((seen == 0) | (seen == seer)) & (seen >= 0) & (seer >= 0)) | itself)[:, None]
    if implementation == "sdpa":
        return allowed
    return torch.zeros_like(allowed, dtype=dtype).masked_fill(~allowed, torch.finfo(dtype).min)


def target_loss(
    head: nn.Module,
    states: Tensor,
    labels: Tensor,
    *,
    predictors: Tensor | None = None,
    num_items: Tensor | int | None = None,
) -> tuple[Tensor, Tensor]:
    """Score the positions that predict a target, and no others; the loss is that of all logits, to rounding.

    A row of 1,500 positions has some thirty targets, and its logits over the whole vocabulary would be 0.9 GB.

    Args:
        head: From states to scores of the vocabulary.
        states: `(B, S, D)`.
        labels: `(B, 1 + T)` targets from the second on, -100 for none.
        predictors: `(B, T)` position whose state predicts each; left out, target t is predicted from position t.
        num_items: Targets to divide by; those of this batch when left out.

    Returns:
        The loss, and the scores `(positions, V)` of every position that predicts something, each once.
    """
    rows, columns = (labels[:, 1:] != _IGNORED).nonzero(as_tuple=True)
    targets = labels[rows, columns + 1]
    if predictors is None:
        logits = head(states[rows, columns])
        summed = F.cross_entropy(logits.float(), targets, reduction="sum")
    else:
        # Several answers' first words are predicted from one position, and the question's own words for each answer.
        flat = rows * states.shape[1] + predictors[rows, columns]
        places, which = flat.unique(return_inverse=True)
        logits = head(states.flatten(0, 1)[places])
        scores = logits.float()
        summed = (scores.logsumexp(dim=-1)[which] - scores[which, targets]).sum()
    return summed / (len(targets) if num_items is None else num_items), logits
