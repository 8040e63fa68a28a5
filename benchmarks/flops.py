"""What the parts of CCExpert cost, and what the machine reaches: the yardsticks of the speed benchmarks.

A multiply-add counts as two operations. Attention in the prompt counts its causal half, as a kernel that skips the rest
would do; norms, activations and softmax count nothing.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    from geocc.model import CCExpertConfig

#: Of the best matrix product seen; a sample beside a slower one was disturbed by other work.
QUIET = 0.8


def tower(config: CCExpertConfig, *, layers: int | None = None) -> float:
    """Return the operations of the vision tower for one pair, that is two images."""
    vision, n = config.vision_config, config.tokens_per_image
    d, depth = vision.hidden_size, max(config.feature_levels) if layers is None else layers
    block = 8 * n * d * d + 4 * n * d * vision.intermediate_size + 4 * n * n * d
    return 2.0 * (depth * block + 2 * n * vision.num_channels * vision.patch_size**2 * d)


def module(config: CCExpertConfig) -> float:
    """Return the operations of the difference module for one pair: 7 levels of gates, 8 projections and an MLP."""
    n, d = config.tokens_per_image, config.vision_config.hidden_size
    # gate twice and projection: 14; self-attention: 8; change to images: 16; MLP: 4 m / d; images to change, twice: 24.
    linear = (62 * d + 4 * config.difference_mlp_dim) * n * d
    return float(len(config.feature_levels) * config.difference_depth * (linear + 32 * n * n * d))


def projector(config: CCExpertConfig) -> float:
    """Return the operations of the projector for one pair."""
    text, d = config.text_config.hidden_size, config.vision_config.hidden_size
    return 2.0 * config.tokens_per_image * 2 * (d * text + text * text)


def reading(config: CCExpertConfig, *, tokens: int, scored: int = 1) -> float:
    """Return the operations of reading a prompt of so many tokens and scoring some of its positions."""
    text = config.text_config
    attention = 2.0 * text.num_hidden_layers * tokens * tokens * text.hidden_size
    return tokens * _per_token(config) + attention + 2.0 * scored * text.hidden_size * text.vocab_size


def decoding(config: CCExpertConfig, *, tokens: int, behind: int) -> float:
    """Return the operations of so many decoding steps of one row behind a prompt of `behind` tokens."""
    text = config.text_config
    step = _per_token(config) + 4.0 * text.num_hidden_layers * behind * text.hidden_size
    return tokens * (step + 2.0 * text.hidden_size * text.vocab_size)


def _per_token(config: CCExpertConfig) -> float:
    text = config.text_config
    d = text.hidden_size
    narrow = d * text.num_key_value_heads // text.num_attention_heads
    return 2.0 * text.num_hidden_layers * (2 * d * d + 2 * d * narrow + 3 * d * text.intermediate_size)


def product_rate(
    dtype: torch.dtype,
    device: torch.device | str = "cpu",
    *,
    size: int = 0,
    seconds: float = 0.4,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """Measure the best matrix product, in operations a second, at the shapes of the tower's MLP or of a square `size`."""
    m, k, n = (size, size, size) if size else (1458, 1152, 4304)
    a, b = torch.zeros(m, k, dtype=dtype, device=device), torch.zeros(n, k, dtype=dtype, device=device).T
    best, until = float("inf"), clock() + seconds
    while clock() < until:
        start = clock()
        torch.mm(a, b)[0, 0].item()
        best = min(best, clock() - start)
    return 2.0 * m * k * n / best
