"""Where a model runs, in which dtype, and how much memory is free there."""

from __future__ import annotations

import math
import re
import time

import torch

from geocc.errors import InputError

__all__ = ["choose_device", "choose_dtype", "free_memory"]

#: A matrix product of this size takes a millisecond or so where bfloat16 is done in hardware.
PROBE_SIZE = 768
#: Below this gain bfloat16 is not worth its rounding.
WORTHWHILE_GAIN = 1.5
# Products of both are timed in turns, and the quickest of each counts: the first ones warm up kernels and caches, and where another
# program takes the processor from time to time, a few in a row are luck. Two runs on one machine should find one dtype, or
# the second cannot go on from the first.
_LEAST_TURNS, _MOST_TURNS = 4, 16
_LONGEST_PROBE = 0.5  # seconds, once there were the fewest turns


def choose_device(device: str | torch.device | None = None) -> torch.device:
    """Return the device asked for, or the fastest one present.

    Args:
        device: A torch device or its name; None chooses CUDA, then Apple's MPS, then the CPU.

    Raises:
        InputError: The device is not one that torch knows or that this machine has.
    """
    if device is None:
        accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
        return accelerator or torch.device("cpu")
    try:
        chosen = torch.device(device)
        torch.empty(1, device=chosen)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = re.split(r"[.\n]\s", str(error), maxsplit=1)[0]  # torch goes on for pages
        present = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
        raise InputError(
            f"device is {str(device)!r}, which cannot be used here ({reason}); this machine has "
            f"{'cpu' if present is None else f'cpu and {present}'}. Leave device out to take the fastest."
        ) from error
    return chosen


def choose_dtype(dtype: str | torch.dtype, device: torch.device) -> torch.dtype:
    """Return the dtype asked for, or the one in which the device multiplies fastest.

    Args:
        dtype: `"auto"`, a torch dtype, or its name: `"bfloat16"`, `"float16"`, `"float32"`.
        device: Where the model will run.

    Raises:
        InputError: Not the name of a floating dtype.
    """
    if dtype == "auto":
        return torch.bfloat16 if _bfloat16_gain(device) >= WORTHWHILE_GAIN else torch.float32
    named = getattr(torch, dtype, None) if isinstance(dtype, str) else dtype
    if not isinstance(named, torch.dtype) or not named.is_floating_point:
        raise InputError(f"dtype is {dtype!r}; expected 'auto', 'bfloat16', 'float16' or 'float32'.")
    return named


def free_memory(device: torch.device) -> int:
    """Return the bytes free on a device; for the CPU, the memory available without swapping."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    import psutil

    return int(psutil.virtual_memory().available)


def _bfloat16_gain(device: torch.device) -> float:
    """Measure how much faster bfloat16 multiplies than float32: names and flags lie, a product does not."""
    best = dict.fromkeys((torch.float32, torch.bfloat16), math.inf)
    began = time.perf_counter()
    for turn in range(_MOST_TURNS):
        if turn >= _LEAST_TURNS and time.perf_counter() - began > _LONGEST_PROBE:
            break
        for dtype, seconds in best.items():
            best[dtype] = min(seconds, _product_seconds(dtype, device))
    return best[torch.float32] / best[torch.bfloat16]


def _product_seconds(dtype: torch.dtype, device: torch.device) -> float:
    # Zeros: time does not depend on the values, and no random state is touched.
    operand = torch.zeros(PROBE_SIZE, PROBE_SIZE, dtype=dtype, device=device)
    start = time.perf_counter()
    torch.mm(operand, operand)[0, 0].item()
    return time.perf_counter() - start
