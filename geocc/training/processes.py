"""The end of a run of several processes."""

from __future__ import annotations

import gc

from accelerate import PartialState
from torch import distributed

__all__ = ["leave_group"]


def leave_group() -> None:
    """Leave the group of processes that a run joined; does nothing in a run of one process.

    A group that lives to the end of the interpreter has threads of its own, which now and then abort the process after all
    its work is done. What still holds the group (a data-parallel wrapper in a reference cycle) is collected first.
    """
    if distributed.is_available() and distributed.is_initialized():
        gc.collect()
        state = PartialState()
        state.wait_for_everyone()
        state.destroy_process_group()
