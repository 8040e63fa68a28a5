"""Weights in bfloat16 that learn as finely as float32 ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.optim import Optimizer

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor, nn

__all__ = ["MasterWeights"]


class MasterWeights(Optimizer):
    """Keeps a float32 copy of every parameter, lets another optimizer step the copies, and rounds them back.

    A bfloat16 weight has eight bits: most steps are smaller than the gap to the next one and would be lost (Micikevicius et
    al., arXiv 1710.03740). Parameters that are float32 already are stepped as they are.

    Args:
        groups: Groups as for any optimizer.
        make: Makes the optimizer that steps the copies, of such groups.
    """

    def __init__(self, groups: list[dict[str, Any]], make: Callable[[list[dict[str, Any]]], Optimizer]) -> None:
        self._weights: list[nn.Parameter] = [parameter for group in groups for parameter in group["params"]]
        self._masters = [parameter.detach().float().clone().requires_grad_() for parameter in self._weights]
        copies = iter(self._masters)
        self._inner = make([group | {"params": [next(copies) for _ in group["params"]]} for group in groups])
        # One list for both: a schedule that sets rates here sets those of the copies.
        super().__init__(self._inner.param_groups, {})
        self.state = self._inner.state

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
        self._inner.param_groups = self.param_groups
        for weight, master in zip(self._weights, self._masters, strict=True):
            master.grad = None if weight.grad is None else weight.grad.float()
        self._inner.step()
        for weight, master in zip(self._weights, self._masters, strict=True):
            weight.copy_(master)
            master.grad = None
        return loss

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of the weights."""
        for weight in self._weights:
            if set_to_none or weight.grad is None:
                weight.grad = None
            else:
                weight.grad.zero_()

    def state_dict(self) -> dict[str, Any]:
        """Return the optimizer's state and the copies."""
        return {"inner": self._inner.state_dict(), "masters": [master.detach() for master in self._masters]}

    @torch.no_grad()
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up a state; the weights are rounded from its copies."""
        self._inner.load_state_dict(state_dict["inner"])
        for weight, master, saved in zip(self._weights, self._masters, state_dict["masters"], strict=True):
            master.copy_(saved)
            weight.copy_(master)
        self.param_groups, self.state = self._inner.param_groups, self._inner.state
