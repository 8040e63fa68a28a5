"""CCExpert's difference-aware integration module, written to be read beside its equations.

Source: CCExpert (arXiv 2411.11360) as its public code computes it. `A`, `B` and `Q` are the tokens of the earlier
image, of the later image and of the change between them; `PE` is a fixed sine table; `ea`, `eb`, `ec` are learned flags.
Every feature level of the tower goes through the same weights, as one more row of the batch.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  # torch's own abbreviation
from transformers.modeling_layers import GradientCheckpointingLayer

if TYPE_CHECKING:
    from geocc.model.configuration import CCExpertConfig

__all__ = ["Difference", "DifferenceModule", "sine_position_table"]


class Difference(NamedTuple):
    """What the difference module makes of a batch of pairs.

    Attributes:
        image_a: `(B, N, D)` tokens of the earlier image, enriched; what the projector reads.
        image_b: `(B, N, D)` tokens of the later image, enriched; what the projector reads.
        change: `(B, N, D)` the change map fused over the levels. The language model never sees it.
        gates: `(L, B)` weight of each level in the fusion, in (0, 1).
    """

    image_a: Tensor
    image_b: Tensor
    change: Tensor
    gates: Tensor


class DifferenceModule(nn.Module):
    """Lets two images look at each other, and at their difference, on several levels of the tower."""

    def __init__(self, config: CCExpertConfig) -> None:
        super().__init__()
        width = config.vision_config.hidden_size
        if not config.difference_depth:
            self.layers = nn.ModuleList()
            return
        # geocc's own; the published module reads the tower's features as they are.
        self.norm = nn.LayerNorm(width) if config.difference_norm else nn.Identity()
        self.extractor = ChangeExtractor(width)
        self.layers = nn.ModuleList(
            ChangeAwareLayer(width, head_dim=config.difference_head_dim, mlp_dim=config.difference_mlp_dim)
            for _ in range(config.difference_depth)
        )
        self.fusion = LevelFusion(width)

    def forward(self, levels: Tensor) -> Difference:
        """Integrate the difference of each pair.

        Args:
            levels: `(L, B, T=2, N, D)` features of the tower, the last level last; N is a square number.
        """
        if not self.layers:
            a, b = levels[-1].unbind(1)
            return Difference(image_a=a, image_b=b, change=b - a, gates=levels.new_ones(levels.shape[:2]))
        n_levels, batch, _, tokens, width = levels.shape
        position = sine_position_table(math.isqrt(tokens), width=width, device=levels.device).to(levels.dtype)
        a, b = self.norm(levels).flatten(0, 1).unbind(1)
        q = torch.zeros_like(a)
        for layer in self.layers:
            q = q + self.extractor(a, b)  # the change between the refined images, every time
            a, b, q = layer(a, b, q, position)
        fused_a, fused_b, fused_q, gates = self.fusion(*(x.unflatten(0, (n_levels, batch)) for x in (a, b, q)))
        last_a, last_b = levels[-1].unbind(1)
        return Difference(image_a=fused_a + last_a, image_b=fused_b + last_b, change=fused_q, gates=gates)


class ChangeExtractor(nn.Module):
    """`D = Wp [A'; B'; A' - B'] + bp`, where `A' = A * G(A, B)`, `B' = B * G(B, A)`, `G(x, y) = sigmoid(Wa [x; y] + ba)`."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gate = nn.Linear(2 * width, width)
        self.proj = nn.Linear(3 * width, width)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Return the change `(R, N, D)` between images `a` and `b`, both `(R, N, D)`."""
        gated_a = a * self.gate(torch.cat([a, b], dim=-1)).sigmoid()
        gated_b = b * self.gate(torch.cat([b, a], dim=-1)).sigmoid()
        change: Tensor = self.proj(torch.cat([gated_a, gated_b, gated_a - gated_b], dim=-1))
        return change


class ChangeAwareLayer(GradientCheckpointingLayer):
    """One change-aware transformer layer: the change attends to the images, then the images to the change."""

    def __init__(self, width: int, *, head_dim: int, mlp_dim: int) -> None:
        super().__init__()
        self.self_attention = Attention(width, head_dim=head_dim)
        self.norm1 = nn.LayerNorm(width)
        self.change_to_images = Attention(width, head_dim=head_dim)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = MLP(width, mlp_dim)
        self.norm3 = nn.LayerNorm(width)
        self.image_to_change = Attention(width, head_dim=head_dim)
        self.flag_a = nn.Embedding(1, width)
        self.flag_b = nn.Embedding(1, width)
        self.flag_change = nn.Embedding(1, width)

    def forward(self, a: Tensor, b: Tensor, q: Tensor, position: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Refine images `a`, `b` and change `q`, all `(R, N, D)`, with the table `position` `(N, D)`."""
        key_a = a + position + self.flag_a.weight
        key_b = b + position + self.flag_b.weight

        # 1. Q = LN1(Q + SA(Q + PE, Q + PE, Q))
        placed = q + position
        q = self.norm1(q + self.self_attention(placed, placed, q))

        # 2. Q = LN2(Q + CA(Q + PE + ec, [A + PE + ea; B + PE + eb; Q + PE + ec], [A; B; Q]))
        key_q = q + position + self.flag_change.weight
        keys, values = torch.cat([key_a, key_b, key_q], dim=1), torch.cat([a, b, q], dim=1)
        q = self.norm2(q + self.change_to_images(key_q, keys, values))

        # 3. Q = LN3(Q + MLP(Q))
        q = self.norm3(q + self.mlp(q))

        # 4. A = (A + PE + ea) + CA'(A + PE + ea, [A + PE + ea; Q + PE + ec], [A; Q]), and B with the same weights.
        # The residual is the query: position and flag stay in the images, and no norm takes them out again.
        key_q = q + position + self.flag_change.weight
        refined_a = key_a + self.image_to_change(key_a, torch.cat([key_a, key_q], dim=1), torch.cat([a, q], dim=1))
        refined_b = key_b + self.image_to_change(key_b, torch.cat([key_b, key_q], dim=1), torch.cat([b, q], dim=1))
        return refined_a, refined_b, q


class LevelFusion(nn.Module):
    """`X* = sum_l g_l X_l / (sum_l g_l + 1e-6)` for A, B and Q, with `g_l = sigmoid(W2 GELU(W1 mean_tokens[A; B; Q]))`."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.lin1 = nn.Linear(3 * width, width)
        self.lin2 = nn.Linear(width, 1)

    def forward(self, a: Tensor, b: Tensor, q: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Fuse the levels of `a`, `b`, `q`, all `(L, B, N, D)`; the last value returned is the gates, `(L, B)`."""
        means = torch.cat([a.mean(dim=2), b.mean(dim=2), q.mean(dim=2)], dim=-1)
        gates: Tensor = self.lin2(F.gelu(self.lin1(means))).sigmoid()  # (L, B, 1)
        weights = gates / (gates.sum(dim=0) + 1e-6)

        def fuse(x: Tensor) -> Tensor:
            return (weights.unsqueeze(-1) * x).sum(dim=0)

        return fuse(a), fuse(b), fuse(q), gates.squeeze(-1)


class Attention(nn.Module):
    """Multi-head attention with separate query, key and value inputs."""

    def __init__(self, width: int, *, head_dim: int) -> None:
        super().__init__()
        self.head_dim = head_dim
        self.q_proj = nn.Linear(width, width)
        self.k_proj = nn.Linear(width, width)
        self.v_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Attend from `query` `(R, N, D)` to `key` and `value` `(R, M, D)`."""
        heads = F.scaled_dot_product_attention(
            self._split(self.q_proj(query)), self._split(self.k_proj(key)), self._split(self.v_proj(value))
        )
        merged: Tensor = self.out_proj(heads.transpose(1, 2).flatten(2))
        return merged

    def _split(self, x: Tensor) -> Tensor:
        heads: Tensor = x.unflatten(-1, (-1, self.head_dim)).transpose(1, 2)
        return heads


class MLP(nn.Module):
    """Two linear layers with an exact GELU between them."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.lin1 = nn.Linear(width, inner)
        self.lin2 = nn.Linear(inner, width)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(..., D)` to `(..., D)`."""
        y: Tensor = self.lin2(F.gelu(self.lin1(x)))
        return y


def sine_position_table(grid: int, *, width: int, device: torch.device | None = None) -> Tensor:
    """Return the fixed 2-D sine table `PE` of a square grid, `(grid * grid, width)` float32, rows before columns.

    The first half of the channels codes the row, the second the column; sines and cosines alternate. Positions count
    from 1, less one half, and are scaled to 2 pi.

    Args:
        grid: Tokens per side.
        width: Channels, a multiple of 4.
        device: Where to make the table.
    """
    half = width // 2
    index = torch.arange(1, grid + 1, dtype=torch.float32, device=device)
    angle = (index - 0.5) / (grid + 1e-6) * (2 * math.pi)
    channel = torch.arange(half // 2, dtype=torch.float32, device=device)
    phase = angle[:, None] / 10000 ** (2 * channel / half)
    axis = torch.stack([phase.sin(), phase.cos()], dim=-1).flatten(1)  # (grid, half)
    rows = axis[:, None].expand(grid, grid, half)
    columns = axis[None, :].expand(grid, grid, half)
    return torch.cat([rows, columns], dim=-1).flatten(0, 1)
