"""Greedy decoding that spends no step on what a draft already says, and none on rows that have ended.

The tokens are those of Transformers' `generate(do_sample=False)`: a draft is only ever accepted as far as the model's own
likeliest tokens agree with it. In float32 the answers are the same; in bfloat16 they may differ where two tokens are
equally likely to the last bit, as they do between batch sizes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from geocc.inference.drafts import AnswerTree

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor
    from transformers import Cache

    from geocc.model import CCExpertForConditionalGeneration

__all__ = [
    "OpenAnswers",
    "ReadPrompts",
    "SpokenTokens",
    "answer_log_probabilities",
    "answer_probability",
    "can_be_cut_back",
    "continue_greedily",
    "end_tokens",
    "is_plain_greedy",
    "read_prompts",
]

#: Most logits alive at once: 2**26 in float32 are 256 MiB.
_LOGITS_AT_ONCE = 2**26
# Settings of a checkpoint's generation_config that change which token is the likeliest.
_BENDING = (
    "bad_words_ids",
    "begin_suppress_tokens",
    "exponential_decay_length_penalty",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "guidance_scale",
    "min_length",
    "min_new_tokens",
    "no_repeat_ngram_size",
    "repetition_penalty",
    "sequence_bias",
    "stop_strings",
    "suppress_tokens",
)


class SpokenTokens(NamedTuple):
    """One answer.

    Attributes:
        tokens: Its token ids, the end token included where the answer came to its end.
        log_probabilities: Natural logarithm of each token's probability.
    """

    tokens: list[int]
    log_probabilities: list[float]


class ReadPrompts(NamedTuple):
    """What the model holds and says after reading a batch of prompts, with a tree of drafts behind each.

    Attributes:
        cache: The language model's cache of prompt and drafts.
        tree: The drafts, N tokens in all.
        best: `(B, 1 + N)` likeliest token after the prompt, and after each node of the tree.
        best_log_probability: `(B, 1 + N)` its log probability.
        node_log_probability: `(B, N)` log probability of each node's token after what leads to it.
    """

    cache: Cache
    tree: AnswerTree
    best: Tensor
    best_log_probability: Tensor
    node_log_probability: Tensor


def is_plain_greedy(model: Any) -> bool:
    """Tell whether a checkpoint's settings leave the likeliest token alone, and its cache can be cut back."""
    settings = model.generation_config
    values = (getattr(settings, name, None) for name in _BENDING)
    bent = any(value is not None and value not in (0, 1) for value in values)  # may be a list
    return not bent and can_be_cut_back(model)


def can_be_cut_back(model: Any) -> bool:
    """Tell whether the cache of a model's text can be cut back to an earlier word: not where a window slides over it."""
    layers = getattr(model.config.text_config, "layer_types", None) or ["full_attention"]
    return set(layers) == {"full_attention"}


@torch.inference_mode()
def read_prompts(
    model: CCExpertForConditionalGeneration,
    input_ids: Tensor,
    image_features: Tensor,
    *,
    tree: AnswerTree,
    outside: bool = False,
) -> ReadPrompts:
    """Read prompts and drafts.

    One draft rides on the prompt's own pass, where its few tokens cost nothing that shows. Several need a mask of their
    own and take a second, short pass, for a mask over the long prompt would cost more.

    Args:
        model: The model.
        input_ids: `(B, S)` prompts of one length, without padding.
        image_features: `(B, T=2, N, D_text)` from `model.get_image_features`.
        tree: The drafts; an empty tree for none.
        outside: Let `best` be the likeliest token that neither follows the tree nor ends the answer. It is not known to come
            next then, and `continue_greedily` needs `begun`.
    """
    drafts = torch.tensor(tree.tokens, dtype=input_ids.dtype, device=input_ids.device).expand(len(input_ids), -1)
    ids = torch.cat([input_ids, drafts], dim=1) if tree.is_chain else input_ids
    read = model.model(input_ids=ids, image_features=image_features, use_cache=True)
    prompt_length = input_ids.shape[1]
    states = read.last_hidden_state[:, prompt_length - 1 :]
    if not tree.is_chain:
        behind = model.model(
            input_ids=drafts,
            past_key_values=read.past_key_values,
            attention_mask=tree.mask(prompt_length, dtype=states.dtype, device=states.device),
            position_ids=torch.tensor([tree.depths()], device=states.device) + prompt_length,
            use_cache=True,
        )
        states = torch.cat([states, behind.last_hidden_state], dim=1)
    return ReadPrompts(read.past_key_values, tree, *_score(model, states, tree, outside=outside))


def answer_probability(read: ReadPrompts) -> Tensor:
    """Sum the probabilities of the tree's answers.

    The answers exclude one another, so their probabilities add up to a lower bound of the probability that the model says
    what they all say. For a model fine-tuned on LEVIR-CC, whose unchanged pairs all share five sentences, and those five,
    it is tight.

    Returns:
        `(B,)` float32 in [0, 1].
    """
    return answer_log_probabilities(read).exp().sum(dim=1).clamp(max=1.0)


def answer_log_probabilities(read: ReadPrompts) -> Tensor:
    """Return how likely each of the tree's A answers is as a whole, `(B, A)` float32, natural logarithms."""
    paths = [read.node_log_probability[:, read.tree.path(end)].sum(dim=1) for end in read.tree.ends]
    return torch.stack(paths, dim=1)


@torch.inference_mode()
def continue_greedily(
    model: CCExpertForConditionalGeneration,
    read: ReadPrompts,
    *,
    max_new_tokens: int,
    begun: Sequence[SpokenTokens] | None = None,
) -> list[SpokenTokens]:
    """Write the answers to prompts that were read; uses their cache up.

    A row takes over its draft as far as that is what greedy decoding says, and leaves the batch when it has ended.

    Args:
        model: The model.
        read: What `read_prompts` returned.
        max_new_tokens: Longest answer in tokens, 1 or more.
        begun: How the answers begin, each with a token at least, whatever the drafts say.

    Returns:
        One answer per prompt, in order.
    """
    answers = OpenAnswers(model, read, max_new_tokens=max_new_tokens, begun=begun)
    if not answers.rows:
        return answers.spoken
    cache = read.cache
    cache.crop(answers.step - len(read.tree))
    held = list(range(len(answers.spoken)))
    while answers.rows:
        if answers.rows != held:
            kept = [held.index(row) for row in answers.rows]
            cache.batch_select_indices(torch.tensor(kept, device=read.best.device))
            held = answers.rows
        current = torch.tensor([[answers.next_token(row)] for row in held], device=read.best.device)
        states = model.model(input_ids=current, past_key_values=cache, use_cache=True).last_hidden_state
        best, values, _ = _score(model, states, AnswerTree())
        answers.take(held, best[:, 0].tolist(), values[:, 0].tolist())
    return answers.spoken


class OpenAnswers:
    """The answers of a batch while they are being written.

    Args:
        model: The model.
        read: The prompts, as read.
        max_new_tokens: Longest answer in tokens, 1 or more.
        begun: How the answers begin, in the place of what the drafts give.

    Attributes:
        spoken: The answers so far, each with at least one token.
        step: Which token of the answers is fed to the model next.
        rows: The answers that have not ended, ascending.
    """

    def __init__(
        self, model: Any, read: ReadPrompts, *, max_new_tokens: int, begun: Sequence[SpokenTokens] | None = None
    ) -> None:
        self._ends = end_tokens(model)
        self._limit = max_new_tokens
        self.spoken = (
            [
                _known(tree=read.tree, best=best, values=values, ends=self._ends, limit=max_new_tokens)
                for best, values in zip(read.best.tolist(), read.best_log_probability.tolist(), strict=True)
            ]
            if begun is None
            else [SpokenTokens(one.tokens[:max_new_tokens], one.log_probabilities[:max_new_tokens]) for one in begun]
        )
        self.rows = [row for row in range(len(self.spoken)) if self._is_open(row)]
        # One place for all rows: what the draft of a chain has in common with every open one. A row that knows more says
        # it again. Behind the prompt of a real tree lie branches side by side, none of which is a beginning of its own.
        known = [len(self.spoken[row].tokens) - 1 for row in self.rows]
        self.step = min(known) if known and read.tree.is_chain and begun is None else 0

    def next_token(self, row: int) -> int:
        """Return the token of a row to feed now; of an answer that has ended, any."""
        tokens = self.spoken[row].tokens
        return tokens[min(self.step, len(tokens) - 1)]

    def take(self, rows: Sequence[int], tokens: list[int], values: list[float]) -> None:
        """Add what the model said after `next_token`, to those rows that did not know it yet."""
        self.step += 1
        for row, token, value in zip(rows, tokens, values, strict=True):
            if row in self.rows and len(self.spoken[row].tokens) == self.step:
                self.spoken[row].tokens.append(token)
                self.spoken[row].log_probabilities.append(value)
        self.rows = [row for row in self.rows if self._is_open(row)]

    def _is_open(self, row: int) -> bool:
        tokens = self.spoken[row].tokens
        return tokens[-1] not in self._ends and len(tokens) < self._limit


def _known(*, tree: AnswerTree, best: list[int], values: list[float], ends: frozenset[int], limit: int) -> SpokenTokens:
    """Walk the tree as far as greedy decoding would."""
    answer = SpokenTokens([], [])
    node: int | None = -1
    while node is not None and len(answer.tokens) < limit:
        token = best[node + 1]
        answer.tokens.append(token)
        answer.log_probabilities.append(values[node + 1])
        node = None if token in ends else tree.child(node, token)
    return answer


def end_tokens(model: Any) -> frozenset[int]:
    """Return the tokens that end an answer."""
    ends = model.generation_config.eos_token_id
    return frozenset([] if ends is None else [ends] if isinstance(ends, int) else ends)


def _score(model: Any, states: Tensor, tree: AnswerTree, *, outside: bool = False) -> tuple[Tensor, Tensor, Tensor]:
    """Score `states` `(B, 1 + N, D)`: likeliest tokens, their log probabilities, and those of the tree's own tokens."""
    tokens, before = torch.tensor(tree.tokens, dtype=torch.long), torch.tensor(tree.parents, dtype=torch.long) + 1
    best = torch.empty(states.shape[:2], dtype=torch.long, device=states.device)
    values = torch.empty(states.shape[:2], device=states.device)
    nodes = torch.empty(len(states), len(tree), device=states.device)
    at_once = max(1, _LOGITS_AT_ONCE // (len(states) * model.lm_head.out_features))
    for start in range(0, states.shape[1], at_once):
        logits = model.lm_head(states[:, start : start + at_once]).float()
        stop = start + logits.shape[1]
        norm = logits.logsumexp(dim=-1)
        here = ((before >= start) & (before < stop)).nonzero()[:, 0]
        nodes[:, here] = logits[:, before[here] - start, tokens[here]] - norm[:, before[here] - start]
        if outside:
            logits[:, before[here] - start, tokens[here]] = -torch.inf
            logits[:, :, list(end_tokens(model))] = -torch.inf
        highest, best[:, start:stop] = logits.max(dim=-1)
        values[:, start:stop] = highest - norm
    return best, values, nodes
