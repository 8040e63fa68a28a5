"""Parts of a batch side by side: how a small model uses all of a processor.

Within one operation of a small model there is too little to do for several threads, and much that only one of them does. Parts of
the batch, each on its share of the threads, leave no thread waiting for another.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import torch

from geocc.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import nn

__all__ = ["Streams"]

Result = TypeVar("Result")
# A part reads all weights for itself, which costs little where they stay in the processor's cache. Its usual size, not a measured limit.
_LARGEST_MODEL = 64 * 2**20
_SMALLEST_PART = 8


class _Cut(Protocol):
    def __len__(self) -> int: ...
    def __getitem__(self, part: slice, /) -> Any: ...


class Streams:
    """Runs work on parts of a batch at the same time, each part on its share of torch's threads.

    Args:
        model: What the work runs. On a device other than the processor, and where its weights take more than 64 MiB, batches
            stay whole.
        most: Parts at the same time at the most, 1 or more; 1 keeps batches whole. Left out, as many as torch has threads.

    Raises:
        InputError: `most` is less than 1.
    """

    def __init__(self, model: nn.Module, *, most: int | None = None) -> None:
        if most is not None and most < 1:
            raise InputError(
                f"streams is {most}; expected 1 or more, or None for as many as the processor has use for."
            )
        weights = list(model.parameters())
        on_processor = all(weight.device.type == "cpu" for weight in weights)
        small = sum(weight.nbytes for weight in weights) <= _LARGEST_MODEL
        self._most = most if on_processor and small else 1

    def map(self, work: Callable[..., Sequence[Result]], *inputs: _Cut) -> list[Result]:
        """Do work on a batch.

        Args:
            work: Takes as many inputs, cut alike, and gives one result for each item. Must not depend on other threads' work.
            *inputs: What to cut along its first dimension, all of one length.

        Returns:
            The results of all items, in order.
        """
        threads = torch.get_num_threads()
        number = min(threads if self._most is None else self._most, len(inputs[0]) // _SMALLEST_PART)
        if number < 2:
            return list(work(*inputs))
        ends = [len(inputs[0]) * part // number for part in range(number + 1)]

        def run(part: slice) -> Sequence[Result]:
            torch.set_num_threads(max(1, threads // number))  # of this thread alone
            return work(*(whole[part] for whole in inputs))

        try:
            with ThreadPoolExecutor(number, thread_name_prefix="geocc-stream") as pool:
                results = pool.map(run, [slice(*part) for part in pairwise(ends)])
                return [result for part in results for result in part]
        finally:
            torch.set_num_threads(threads)  # threads yet to come take the last number that any thread was given
