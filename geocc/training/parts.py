"""The four parts of a CCExpert model that a stage trains or leaves as they are."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, get_args

from geocc.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from torch import nn

__all__ = ["PARTS", "TUTOR_PREFIX", "Part", "count_parameters", "own_parameter_name", "part_of", "set_trainable"]

#: Names of the parts. The reference calls the first two `mm_vision_resampler` and `mm_mlp_adapter`.
Part = Literal["difference_module", "projector", "language_model", "vision_tower"]

#: Every part, in the order in which the published stages take them up.
PARTS: tuple[Part, ...] = get_args(Part)

#: How the names of the heads begin that only training knows (`geocc.training.tutor`).
TUTOR_PREFIX = "change_tutor."

# A change scout is trained by `train_scout`; a model that has one learns to read it.
_FROZEN = "model.scout_branch.scout."
# geocc's optional change head and scout branch, and the heads that only training knows, learn with the difference module.
_PREFIXES: dict[Part, tuple[str, ...]] = {
    "difference_module": ("model.difference.", "model.change_head.", "model.scout_branch.", TUTOR_PREFIX),
    "projector": ("model.projector.",),
    # The reference's "mm_language_model" takes in the head as well (parity NOTES.md 24).
    "language_model": ("model.language_model.", "lm_head."),
    "vision_tower": ("model.vision_tower.",),
}
# What PEFT, DistributedDataParallel, FSDP and torch.compile put around a name.
_WRAPPERS = re.compile(r"(?:(?<=^)|(?<=\.))(?:_orig_mod|module|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")
_PEFT = "base_model.model."


def own_parameter_name(name: str) -> str:
    """Return a parameter's name without what PEFT, DDP, FSDP or torch.compile put around it."""
    return _WRAPPERS.sub("", name).removeprefix(_PEFT)


def part_of(name: str) -> Part:
    """Return the part that a parameter belongs to.

    Args:
        name: Its name in `CCExpertForConditionalGeneration`, wrapped or not.

    Raises:
        InputError: No part of a CCExpert model has such a parameter.
    """
    own = own_parameter_name(name)
    for part, prefixes in _PREFIXES.items():
        if own.startswith(prefixes):
            return part
    raise InputError(f"{name!r} is in no part of a CCExpert model; expected a name that starts with {_known()}.")


def set_trainable(model: nn.Module, parts: Collection[Part]) -> list[str]:
    """Let the parameters of some parts train, and no others; those of a scout inside the model never do.

    Args:
        model: A `CCExpertForConditionalGeneration`; changed in place.
        parts: The parts to train.

    Returns:
        The names of the parameters that will train, tied ones once.

    Raises:
        InputError: There is no such part, or none was named.
    """
    check_parts(parts)
    trainable = []
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(part_of(name) in parts and not own_parameter_name(name).startswith(_FROZEN))
        if parameter.requires_grad:
            trainable.append(name)
    return trainable


def check_parts(parts: Collection[str]) -> None:
    """Refuse names that are no parts.

    Raises:
        InputError: There is no such part, or none was named.
    """
    if not parts or (strange := [part for part in parts if part not in PARTS]):
        given = strange if parts else list(parts)
        raise InputError(f"the parts to train are {given}; expected one or more of {', '.join(PARTS)}.")


def count_parameters(named: Iterable[tuple[str, nn.Parameter]]) -> dict[Part, tuple[int, int]]:
    """Count parameters by part.

    Args:
        named: `model.named_parameters()`; those on the meta device count as well.

    Returns:
        For each part how many there are, and how many of them train.
    """
    counts = dict.fromkeys(PARTS, (0, 0))
    for name, parameter in named:
        part = part_of(name)
        every, trained = counts[part]
        size = parameter.numel()
        counts[part] = every + size, trained + size * parameter.requires_grad
    return counts


def _known() -> str:
    return ", ".join(prefix for prefixes in _PREFIXES.values() for prefix in prefixes)
