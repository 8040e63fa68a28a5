"""Models built on the meta device, where they have shapes and no weights, without torch's arithmetic for it.

Arithmetic on the meta device runs through torch's references in Python, which import SymPy: a second of a cold start, for
first values that are never read and for a few hundred positions and frequencies.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.overrides import TorchFunctionMode

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["NoMetaArithmetic"]


class NoMetaArithmetic(TorchFunctionMode):
    """While it is entered, tensors of the meta device get no first values, and what would be counted there is on the CPU.

    From counts come positions and the frequencies of rotary embeddings, all that a model computes as it is built. To be
    entered before `torch.device("meta")`, whose choice it has to see.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],  # as torch calls it
        args: Sequence[Any] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Call the function, or not."""
        kwargs = kwargs or {}
        if getattr(func, "__module__", None) == "torch.nn.init":
            tensor = args[0] if args else kwargs.get("tensor")
            if isinstance(tensor, torch.Tensor) and tensor.is_meta:
                return tensor
        if func is torch.arange and torch.device(kwargs.get("device") or "cpu").type == "meta":
            kwargs = kwargs | {"device": "cpu"}
        return func(*args, **kwargs)
