"""AdamW's parameter groups: one learning rate for each part, and no decay where there should be none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import nn

from geocc.training.muon import muon_names
from geocc.training.parts import part_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from geocc.training.recipes import Stage

__all__ = ["decaying_names", "parameter_groups"]


def decaying_names(model: nn.Module) -> set[str]:
    """Return the names of the parameters that weight decay applies to: all but biases and LayerNorm weights.

    This is the reference's rule as it worked out: Qwen2's RMSNorm was not on Transformers' list of norms then, so its
    weights do decay (parity `trainable.json`). With the published decay of 0 it makes no difference.
    """
    norms = {
        f"{prefix}.{name}" if prefix else name
        for prefix, module in model.named_modules()
        if isinstance(module, nn.LayerNorm)
        for name, _ in module.named_parameters(recurse=False)
    }
    return {name for name, _ in model.named_parameters() if name not in norms and not name.endswith("bias")}


def parameter_groups(model: nn.Module, recipe: Stage) -> list[dict[str, Any]]:
    """Sort the parameters that train into AdamW's groups.

    Args:
        model: A `CCExpertForConditionalGeneration`, wrapped or not, whose frozen parameters are marked so.
        recipe: The stage, with its learning rates and their rule.

    Returns:
        Groups with `params`, `names`, `lr`, `weight_decay` and `muon`: for each learning rate, highest first, those that
        decay and those that do not, and of either those that Muon steps first. Empty groups are left out. Under the rule `reference_flat_lr`, one group for all, as
        DeepSpeed makes it from the reference's own configuration.
    """
    matrices = muon_names(model) if recipe.optimizer == "muon" else set()
    trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    if recipe.learning_rate_rule == "reference_flat_lr":
        return _groups(trained, trained, matrices, rate=recipe.learning_rate, decay=recipe.weight_decay)
    decaying = decaying_names(model)
    rates = {name: recipe.rate_of(part_of(name)) for name in trained}
    groups = []
    for rate in sorted(set(rates.values()), reverse=True):
        names = [name for name in trained if rates[name] == rate]
        for decay, chosen in (
            (recipe.weight_decay, [name for name in names if name in decaying]),
            (0.0, [name for name in names if name not in decaying]),
        ):
            groups += _groups(trained, chosen, matrices, rate=rate, decay=decay)
    return groups


def _groups(
    parameters: dict[str, nn.Parameter], names: Collection[str], matrices: set[str], *, rate: float, decay: float
) -> list[dict[str, Any]]:
    """Return the group that Muon steps and the one that AdamW steps, if there is anything in them."""
    parts = (
        (True, [name for name in names if name in matrices]),
        (False, [name for name in names if name not in matrices]),
    )
    return [
        {
            "params": [parameters[name] for name in chosen],
            "names": chosen,
            "lr": rate,
            "weight_decay": decay,
            "muon": muon,
        }
        for muon, chosen in parts
        if chosen
    ]
