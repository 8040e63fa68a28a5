"""Answers that say what the change head has found: "no change" where it sees none, and a change where it sees one.

The head and the words are read from the same features and agree nearly always. Where they do not, a row that is flagged and
says "the scene is the same as before" helps nobody, and the head, which learned from every record's flag, is right more
often than the words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from geocc.inference.decoding import SpokenTokens, answer_log_probabilities, continue_greedily, read_prompts
from geocc.inference.drafts import AnswerTree

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from geocc.model import CCExpertForConditionalGeneration

__all__ = ["likeliest_of", "likeliest_other"]

_ATTEMPTS = 3
"""How often another sentence is asked for that does not say what was refused, in words that nobody had listed."""


@torch.inference_mode()
def likeliest_of(
    model: CCExpertForConditionalGeneration,
    input_ids: Tensor,
    image_features: Tensor,
    *,
    answers: Sequence[Sequence[int]],
) -> list[SpokenTokens]:
    """Let the model choose among answers.

    Args:
        model: The model.
        input_ids: `(B, S)` prompts of one length, without padding.
        image_features: `(B, T=2, N, D_text)` from `model.get_image_features`.
        answers: Token ids of each, the end token included.

    Returns:
        One answer per prompt, the likeliest.
    """
    tree = AnswerTree.from_answers(answers)
    read = read_prompts(model, input_ids, image_features, tree=tree)
    chosen = answer_log_probabilities(read).argmax(dim=1).tolist()
    values = read.node_log_probability.tolist()
    return [
        SpokenTokens(list(answers[best]), [values[row][node] for node in tree.path(tree.ends[best])])
        for row, best in enumerate(chosen)
    ]


@torch.inference_mode()
def likeliest_other(
    model: CCExpertForConditionalGeneration,
    input_ids: Tensor,
    image_features: Tensor,
    *,
    refused: Sequence[Sequence[int]],
    is_refused: Callable[[list[int]], bool],
    max_new_tokens: int,
) -> list[SpokenTokens]:
    """Let the model answer, but not with what is refused.

    The answer leaves the tree of refused ones where its beginning is likeliest, the first word outside the tree included, and
    goes on greedily. An answer that is refused all the same joins the tree, and the model is asked again, three times at the
    most; then it stands.

    Args:
        model: The model.
        input_ids: `(B, S)` prompts of one length, without padding.
        image_features: `(B, T=2, N, D_text)` from `model.get_image_features`.
        refused: Token ids of the answers that it must not give, the end token included.
        is_refused: Whether an answer says the same in other words.
        max_new_tokens: Longest answer in tokens, 1 or more.

    Returns:
        One answer per prompt, with the probabilities that each token has by the model, refused ones counted.
    """
    answers: dict[int, SpokenTokens] = {}
    rows = list(range(len(input_ids)))
    known = [list(answer) for answer in refused]
    for _ in range(_ATTEMPTS):
        said = _leave(model, input_ids[rows], image_features[rows], AnswerTree.from_answers(known), max_new_tokens)
        answers |= dict(zip(rows, said, strict=True))
        rows = [row for row in rows if is_refused(answers[row].tokens)]
        if not rows:
            break
        known += [answers[row].tokens for row in rows]
    return [answers[row] for row in range(len(input_ids))]


def _leave(
    model: CCExpertForConditionalGeneration, prompt: Tensor, images: Tensor, tree: AnswerTree, limit: int
) -> list[SpokenTokens]:
    """Answer from where each row leaves the tree."""
    read = read_prompts(model, prompt, images, tree=tree, outside=True)
    paths = [[], *(tree.path(node) for node in range(len(tree)))]
    likelihood = [
        read.node_log_probability[:, path].sum(dim=1) + read.best_log_probability[:, at]
        for at, path in enumerate(paths)
    ]
    # Not from behind a sentence that is whole: whatever follows it, it has been said.
    whole = {at for end in tree.ends for at in (tree.parents[end] + 1, end + 1) if at}
    open_places = torch.tensor([at for at in range(len(paths)) if at not in whole], device=prompt.device)
    places = open_places[torch.stack(likelihood, dim=1)[:, open_places].argmax(dim=1)].tolist()
    best, best_values, node_values = (
        part.tolist() for part in (read.best, read.best_log_probability, read.node_log_probability)
    )
    begun = [
        SpokenTokens(
            [*(tree.tokens[node] for node in paths[place]), best[row][place]],
            [*(node_values[row][node] for node in paths[place]), best_values[row][place]],
        )
        for row, place in enumerate(places)
    ]
    return continue_greedily(model, read, max_new_tokens=limit, begun=begun)
