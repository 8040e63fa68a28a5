"""Answers that are likely before a word is decoded, laid out so that one forward pass reads them all."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

__all__ = ["AnswerTree"]


@dataclass(frozen=True)
class AnswerTree:
    """Answers as a tree of tokens, in which answers that begin alike share their beginning.

    A token sees the prompt and the tokens that lead to it, nothing else, so that one pass over all nodes gives for each
    what separate passes would.

    Attributes:
        tokens: Token id of every node; a node stands behind its parent.
        parents: Index of every node's parent; -1 for the first token of an answer.
        ends: For every answer, in the order given, the node of its last token.
    """

    tokens: tuple[int, ...] = ()
    parents: tuple[int, ...] = ()
    ends: tuple[int, ...] = ()

    @classmethod
    def from_answers(cls, answers: Sequence[Sequence[int]]) -> AnswerTree:
        """Build the tree of answers, each given as its token ids, the end token included."""
        nodes: dict[tuple[int, int], int] = {}
        ends = []
        for answer in answers:
            node = -1
            for token in answer:
                node = nodes.setdefault((node, token), len(nodes))
            ends.append(node)
        return cls(tuple(token for _, token in nodes), tuple(parent for parent, _ in nodes), tuple(ends))

    def __len__(self) -> int:
        """Return the number of nodes."""
        return len(self.tokens)

    @property
    def is_chain(self) -> bool:
        """Whether there is one answer at most, so that the usual causal mask is the right one."""
        return self.parents == tuple(range(-1, len(self) - 1))

    @cached_property
    def _children(self) -> dict[tuple[int, int], int]:
        return {(parent, token): i for i, (parent, token) in enumerate(zip(self.parents, self.tokens, strict=True))}

    def child(self, node: int, token: int) -> int | None:
        """Return the node that `token` leads to from `node` (-1: from the prompt), or None."""
        return self._children.get((node, token))

    def path(self, node: int) -> list[int]:
        """Return the nodes from the first token to `node`, both included."""
        nodes = []
        while node >= 0:
            nodes.append(node)
            node = self.parents[node]
        return nodes[::-1]

    def depths(self) -> list[int]:
        """Return how many tokens stand before each node."""
        return [len(self.path(node)) - 1 for node in range(len(self))]

    def mask(self, prompt_length: int, *, dtype: torch.dtype, device: torch.device) -> Tensor:
        """Return the additive attention mask `(1, 1, N, prompt_length + N)`: 0 where a node sees, else the lowest value."""
        unseen = torch.finfo(dtype).min
        mask = torch.full((len(self), prompt_length + len(self)), unseen, dtype=dtype)
        mask[:, :prompt_length] = 0
        for node in range(len(self)):
            mask[node, [prompt_length + seen for seen in self.path(node)]] = 0
        return mask[None, None].to(device)
