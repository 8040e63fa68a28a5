"""Muon for the matrices inside the model and AdamW for all else, as one optimizer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.optim import AdamW, Muon, Optimizer

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor, nn

__all__ = ["MuonAdamW", "muon_names"]

# Orthogonal steps say nothing to a matrix that is nearly a vector.
_SMALLEST_SIDE = 16


def muon_names(model: nn.Module) -> set[str]:
    """Return the parameters that Muon is for: matrices inside the model, neither embeddings nor heads of a few outputs."""
    return {
        name
        for name, parameter in model.named_parameters()
        if parameter.ndim == 2
        and min(parameter.shape) > _SMALLEST_SIDE
        and not any(word in name for word in ("embed", "lm_head"))
    }


class MuonAdamW(Optimizer):
    """Steps matrices by torch's `Muon` (Jordan et al. 2024) and the rest by torch's `AdamW`.

    Muon's steps are scaled to the size of AdamW's (`match_rms_adamw`, Liu et al., arXiv 2502.16982), so that both take one
    learning rate. State and groups are kept as any optimizer's, for checkpoints and schedules.

    Args:
        groups: Groups as for AdamW; those with `muon=True` hold matrices only.
        betas: AdamW's.
        eps: AdamW's.
    """

    def __init__(
        self, groups: list[dict[str, Any]], *, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8
    ) -> None:
        matrices = [group for group in groups if group.get("muon")]
        others = [group for group in groups if not group.get("muon")]
        self._parts: list[tuple[bool, Optimizer]] = []
        if matrices:
            self._parts.append((True, Muon(_plain(matrices), adjust_lr_fn="match_rms_adamw")))
        if others:
            self._parts.append((False, AdamW(_plain(others), betas=betas, eps=eps)))
        whole = []
        for is_muon, part in self._parts:
            for group in part.param_groups:
                group["muon"] = is_muon
                whole.append(group)
        super().__init__(whole, {})

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor] | None = None) -> Tensor | None:  # type: ignore[override]  # as torch does
        """Take one step.

        Args:
            closure: Computes the loss anew.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for is_muon, part in self._parts:
            # Anew each time: a checkpoint that is loaded brings other groups and another state.
            part.param_groups = [group for group in self.param_groups if group["muon"] == is_muon]
            part.state = self.state
            part.step()
        return loss


def _plain(groups: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in group.items() if key in {"params", "lr", "weight_decay"}} for group in groups]
