"""Answers that are likelier as a whole than the greedy one, by beam search.

A greedy answer commits itself to its first word, however the sentence goes on: where a model hesitates between a house, a road and a
parking lot on the one hand and water on the other, "a" wins, though water is the likeliest of the four. Beams keep
several beginnings until it is known how they end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from geocc.inference.decoding import SpokenTokens, end_tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor
    from transformers import Cache

    from geocc.inference.decoding import ReadPrompts
    from geocc.model import CCExpertForConditionalGeneration

__all__ = ["likeliest_by_beams"]


@torch.inference_mode()
def likeliest_by_beams(
    model: CCExpertForConditionalGeneration,
    input_ids: Tensor,
    read: ReadPrompts,
    *,
    num_beams: int,
    max_new_tokens: int,
    is_refused: Callable[[list[int]], bool],
    is_poor: Callable[[list[int]], bool] = lambda _: False,
    rows: Sequence[int] | None = None,
) -> list[SpokenTokens | None]:
    """Let the model answer with the likeliest sentence that beam search finds and that is not refused.

    Transformers' `generate` searches on from where the prompts were read, drafts behind them left out. Sentences of different
    lengths are compared by the geometric mean of their tokens' probabilities.

    Args:
        model: The model; its language model's cache can be cut back.
        input_ids: `(B, S)` prompts of one length, without padding.
        read: What `read_prompts` returned for them, or for more prompts of which `rows` are wanted; its cache is used up.
        num_beams: Beginnings kept at a time, 2 or more.
        max_new_tokens: Longest answer in tokens, 1 or more.
        is_refused: Whether an answer, given by its tokens, must not be given.
        is_poor: Whether it is given only where all else that the search found is refused, or as poor.
        rows: Which of the prompts that were read `input_ids` are; all of them when left out.

    Returns:
        One answer per prompt of `input_ids`; None where all that the search found is refused.
    """
    prompt_length = input_ids.shape[1]
    cache = read.cache
    cache.crop(-1 - len(read.tree))  # generate reads the prompt's last token itself
    if rows is not None:
        cache.batch_select_indices(torch.tensor(rows, device=input_ids.device))
    cache.batch_repeat_interleave(num_beams)
    generator: Any = model
    found = generator.generate(
        input_ids=input_ids,
        attention_mask=torch.ones_like(input_ids),
        past_key_values=cache,
        do_sample=False,
        num_beams=num_beams,
        num_return_sequences=num_beams,
        length_penalty=1.0,
        max_new_tokens=max_new_tokens,
    )[:, prompt_length:].unflatten(0, (len(input_ids), num_beams))
    ends = end_tokens(model)
    answers = [
        min((answer for beam in beams if not is_refused(answer := _spoken(beam, ends=ends))), key=is_poor, default=None)
        for beams in found.tolist()
    ]  # the likeliest comes first, and of equals min takes the first
    given = [row for row, answer in enumerate(answers) if answer is not None]
    spoken: list[SpokenTokens | None] = [None] * len(answers)
    if given:
        cache.crop(prompt_length - 1 - cache.get_seq_length())
        cache.batch_select_indices(torch.tensor(given, device=input_ids.device) * num_beams)
        said = [answer for answer in answers if answer is not None]
        for row, answer, values in zip(given, said, _score(model, input_ids[given, -1], said, cache), strict=True):
            spoken[row] = SpokenTokens(answer, values)
    return spoken


def _spoken(tokens: list[int], *, ends: frozenset[int]) -> list[int]:
    """Cut off the padding behind an answer's end."""
    length = next((place + 1 for place, token in enumerate(tokens) if token in ends), len(tokens))
    return tokens[:length]


def _score(model: Any, last: Tensor, answers: list[list[int]], cache: Cache) -> list[list[float]]:
    """Return the log probability of each token of the answers, `last` being the prompts' last tokens `(B,)`."""
    told = [torch.tensor(answer, device=last.device) for answer in answers]
    padded = torch.nn.utils.rnn.pad_sequence(told, batch_first=True)
    read = torch.cat([last[:, None], padded[:, :-1]], dim=1)
    states = model.model(input_ids=read, past_key_values=cache, use_cache=True).last_hidden_state
    # Place by place: all logits at once would be vocabulary x tokens x batch in float32.
    values = torch.stack(
        [
            model.lm_head(states[:, place]).float().log_softmax(-1).gather(-1, padded[:, place, None])[:, 0]
            for place in range(padded.shape[1])
        ],
        dim=1,
    )
    return [row[: len(answer)] for row, answer in zip(values.tolist(), answers, strict=True)]
