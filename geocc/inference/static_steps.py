"""Decoding steps of one fixed shape, so that a CUDA graph can replay them.

At small batches a decoding step on a GPU is hundreds of kernels of microseconds each, and the host's launching them is what
takes the time. A step that never changes its shapes or addresses is launched as one graph. The price: rows that have ended
stay in the batch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from transformers import StaticCache

from geocc.inference.decoding import OpenAnswers

if TYPE_CHECKING:
    from torch import Tensor

    from geocc.inference.decoding import ReadPrompts, SpokenTokens
    from geocc.model import CCExpertForConditionalGeneration

__all__ = ["StaticSteps"]


class StaticSteps:
    """Writes the same answers as `continue_greedily`, on a cache of fixed size that is used again for every batch.

    Args:
        model: The model.
        max_new_tokens: Longest answer in tokens, 1 or more.
        compiled: Whether to compile the step; on CUDA into a graph. The first batch of every size then takes longer.
    """

    def __init__(self, model: CCExpertForConditionalGeneration, *, max_new_tokens: int, compiled: bool = True) -> None:
        self._model = model
        self._max_new_tokens = max_new_tokens
        self._caches: dict[tuple[int, int], StaticCache] = {}
        step: Any = self._step
        self._run = torch.compile(step, mode="reduce-overhead", dynamic=False) if compiled else step

    @torch.inference_mode()
    def continue_greedily(self, read: ReadPrompts) -> list[SpokenTokens]:
        """Write the answers to prompts that were read."""
        answers = OpenAnswers(self._model, read, max_new_tokens=self._max_new_tokens)
        if answers.rows:
            self._decode(answers, read)
        return answers.spoken

    def _decode(self, answers: OpenAnswers, read: ReadPrompts) -> None:
        read.cache.crop(answers.step - len(read.tree))
        batch, length = len(answers.spoken), read.cache.get_seq_length()
        cache = self._cache(batch, length - answers.step + self._max_new_tokens)
        layers: Any = read.cache.layers
        for index, layer in enumerate(layers):
            cache.update(layer.keys, layer.values, index)
        everyone = range(batch)
        while answers.rows:
            current = torch.tensor([[answers.next_token(row)] for row in everyone], device=read.best.device)
            best, values = self._run(current, cache)
            answers.take(everyone, best.tolist(), values.tolist())

    def _cache(self, batch: int, length: int) -> StaticCache:
        """Return an empty cache, the same one for every batch of a size: a graph remembers where it lies."""
        if (batch, length) not in self._caches:
            self._caches = {(batch, length): StaticCache(config=self._model.config.text_config, max_cache_len=length)}
        cache = self._caches[batch, length]
        cache.reset()
        return cache

    def _step(self, current: Tensor, cache: StaticCache) -> tuple[Tensor, Tensor]:
        states = self._model.model.language_model(
            input_ids=current, past_key_values=cache, use_cache=True
        ).last_hidden_state
        logits = self._model.lm_head(states[:, 0]).float()
        highest, token = logits.max(dim=-1)
        return token, highest - logits.logsumexp(dim=-1)
