"""Transformers without what captioning never calls, for the commands of which a person waits for the first caption.

Transformers imports torchvision, SciPy, torch's distributed tensors and FlexAttention wherever they are installed, and it
works without them wherever they are not. It looks once and remembers the answer. In a process that does nothing but
caption, it is made to look while they cannot be seen; then they are put back for all others.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from geocc.model.compiler_on_demand import import_compiler_on_demand

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["allow_lean_imports", "import_transformers"]

#: Packages that Transformers takes where they are there: resizing on tensors, and losses for detecting objects.
_UNSEEN = ("torchvision", "scipy")
_QUESTIONS = (
    "is_torchvision_available",
    "is_scipy_available",
    "is_torch_distributed_available",
    "is_torch_flex_attn_available",
)

_allowed = False


def allow_lean_imports() -> None:
    """Say that this process is geocc's own and does nothing but caption: no code of others will miss anything."""
    global _allowed  # noqa: PLW0603  # a fact about the process
    _allowed = True


def import_transformers(*, lean: bool = True) -> None:
    """Import Transformers: lean where that was allowed and nobody has imported it yet, else as it is.

    Args:
        lean: False for a model that needs more than captioning does: PEFT takes for granted what Transformers imports.
    """
    if not (lean and _allowed) or "transformers" in sys.modules:
        import transformers  # noqa: F401  # for its place in sys.modules

        return
    import torch

    import_compiler_on_demand()
    with ExitStack() as unseen:
        for package in _UNSEEN:
            if package not in sys.modules:
                unseen.enter_context(_without(package))
        unseen.enter_context(_answering(torch.distributed, "is_available", answer=False))
        from transformers.utils import import_utils

        # FlexAttention is refused on TPUs alone, so that is what it is told.
        unseen.enter_context(_answering(import_utils, "get_device_type", answer="tpu"))
        for question in _QUESTIONS:
            ask: Any = getattr(import_utils, question, None)
            if hasattr(ask, "cache_clear"):  # else the answer is not kept, and asking is of no use
                ask.cache_clear()
                ask()


@contextmanager
def _without(package: str) -> Iterator[None]:
    """Make a package look as if it were not installed, in the way that Python's documentation gives for it."""
    sys.modules[package] = None  # type: ignore[assignment]  # that is the way
    try:
        yield
    finally:
        del sys.modules[package]


@contextmanager
def _answering(owner: Any, function: str, *, answer: Any) -> Iterator[None]:
    kept = getattr(owner, function, None)
    setattr(owner, function, lambda *_args, **_kwargs: answer)
    try:
        yield
    finally:
        if kept is None:
            delattr(owner, function)
        else:
            setattr(owner, function, kept)
