"""The difference module against its equations, written once more, token by token, in NumPy."""

import math

import numpy as np
import pytest
import torch
from support import foreign
from torch import nn

from geocc.model.configuration import CCExpertConfig
from geocc.model.difference import DifferenceModule, sine_position_table

WIDTH, HEAD, GRID = 24, 8, 3
TOKENS = GRID * GRID


@pytest.fixture
def module():
    return make_module()


def make_module(**settings):
    torch.manual_seed(0)
    config = CCExpertConfig(
        vision_config=foreign.TOWER | {"hidden_size": WIDTH, "image_size": 42},
        text_config=foreign.TEXT,
        feature_levels=[1, 4],
        difference_head_dim=HEAD,
        difference_mlp_dim=20,
        **settings,
    )
    module = DifferenceModule(config).double().eval()
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.3)
    return module


@pytest.fixture
def levels():
    return torch.randn(2, 3, 2, TOKENS, WIDTH, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def test_it_computes_its_equations(module, levels):
    oracle = Oracle(module)
    with torch.no_grad():
        found = module(levels)
    for pair in range(levels.shape[1]):
        a, b, q, gates = oracle(levels[:, pair].numpy())
        assert np.allclose(found.image_a[pair], a, atol=1e-9)
        assert np.allclose(found.image_b[pair], b, atol=1e-9)
        assert np.allclose(found.change[pair], q, atol=1e-9)
        assert np.allclose(found.gates[:, pair], gates, atol=1e-9)


def test_pairs_of_a_batch_do_not_touch_each_other(module, levels):
    with torch.no_grad():
        together, alone = module(levels), module(levels[:, 1:2])
    for found, expected in zip(together[:3], alone[:3], strict=True):
        assert torch.allclose(found[1], expected[0], atol=1e-12)


def test_dates_are_not_interchangeable(module, levels):
    with torch.no_grad():
        forth, back = module(levels), module(levels.flip(2))
    assert not torch.allclose(forth.change, back.change, atol=1e-3)


def test_the_fused_change_does_not_know_the_order_of_the_levels(module, levels):
    with torch.no_grad():
        assert torch.allclose(module(levels).change, module(levels.flip(0)).change, atol=1e-12)


def test_without_layers_the_last_level_goes_on_as_it_is(levels):
    config = CCExpertConfig(
        vision_config=foreign.TOWER | {"hidden_size": WIDTH, "image_size": 42},
        text_config=foreign.TEXT,
        feature_levels=[1, 4],
        difference_depth=0,
        difference_head_dim=HEAD,
    )
    bare = DifferenceModule(config)
    found = bare(levels)
    assert not list(bare.parameters())
    assert torch.equal(torch.stack([found.image_a, found.image_b], dim=1), levels[-1])
    assert torch.equal(found.change, levels[-1, :, 1] - levels[-1, :, 0])
    assert found.gates.shape == levels.shape[:2]


def test_a_norm_frees_the_change_of_the_strength_of_the_features(module, levels):
    normed = make_module(difference_norm=True)
    with torch.no_grad():
        found, louder = normed(levels), normed(20 * levels)
    assert torch.allclose(found.change, louder.change, atol=1e-4)  # the norm's epsilon
    assert not {name for name in module.state_dict() if name.startswith("norm")}  # the published module has none


@pytest.mark.parametrize("grid", [1, 4, 27])
def test_the_table_is_the_formula(grid):
    width = 16
    table = sine_position_table(grid, width=width)
    assert table.shape == (grid * grid, width)
    assert table.dtype == torch.float32
    assert np.allclose(table, slow_table(grid, width), atol=1e-5)


def slow_table(grid, width):
    table = np.zeros((grid * grid, width))
    for row in range(grid):
        for column in range(grid):
            for channel in range(width):
                along, c = (row, channel) if channel < width // 2 else (column, channel - width // 2)
                angle = (along + 1 - 0.5) / (grid + 1e-6) * 2 * math.pi / 10000 ** (2 * (c // 2) / (width // 2))
                table[row * grid + column, channel] = math.cos(angle) if c % 2 else math.sin(angle)
    return table


class Oracle:
    """The equations of CCExpert for one pair, with loops where the module has tensors."""

    def __init__(self, module):
        self.w = {name: parameter.detach().numpy() for name, parameter in module.named_parameters()}
        self.table = sine_position_table(GRID, width=WIDTH).double().numpy()

    def __call__(self, levels):
        refined = [self.level(*level) for level in levels]
        gates = np.array([self.gate(*level) for level in refined])
        a, b, q = (
            sum(g * x for g, x in zip(gates, xs, strict=True)) / (gates.sum() + 1e-6)
            for xs in zip(*refined, strict=True)
        )
        return a + levels[-1][0], b + levels[-1][1], q, gates

    def level(self, a, b):
        q = None
        for depth in range(2):
            change = self.change(a, b)
            q = change if q is None else q + change
            a, b, q = self.layer(f"layers.{depth}.", a, b, q)
        return a, b, q

    def change(self, a, b):
        ga = a * sigmoid(self.linear("extractor.gate", np.hstack([a, b])))
        gb = b * sigmoid(self.linear("extractor.gate", np.hstack([b, a])))
        return self.linear("extractor.proj", np.hstack([ga, gb, ga - gb]))

    def layer(self, name, a, b, q):
        pe, w = self.table, self.w
        ea, eb, ec = (w[f"{name}flag_{flag}.weight"] for flag in ("a", "b", "change"))
        q = self.norm(f"{name}norm1", q + self.attend(f"{name}self_attention", q + pe, q + pe, q))
        keys, values = np.vstack([a + pe + ea, b + pe + eb, q + pe + ec]), np.vstack([a, b, q])
        q = self.norm(f"{name}norm2", q + self.attend(f"{name}change_to_images", q + pe + ec, keys, values))
        inner = gelu(self.linear(f"{name}mlp.lin1", q))
        q = self.norm(f"{name}norm3", q + self.linear(f"{name}mlp.lin2", inner))
        images = []
        for image, flag in ((a, ea), (b, eb)):
            query = image + pe + flag
            keys, values = np.vstack([query, q + pe + ec]), np.vstack([image, q])
            images.append(query + self.attend(f"{name}image_to_change", query, keys, values))
        return *images, q

    def gate(self, a, b, q):
        mean = np.concatenate([a.mean(0), b.mean(0), q.mean(0)])
        return sigmoid(self.linear("fusion.lin2", gelu(self.linear("fusion.lin1", mean))))[0]

    def linear(self, name, x):
        return x @ self.w[f"{name}.weight"].T + self.w[f"{name}.bias"]

    def norm(self, name, x):
        centred = x - x.mean(-1, keepdims=True)
        return (
            centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5) * self.w[f"{name}.weight"]
            + self.w[f"{name}.bias"]
        )

    def attend(self, name, query, key, value):
        q, k, v = (self.linear(f"{name}.{part}_proj", x) for part, x in (("q", query), ("k", key), ("v", value)))
        out = np.zeros_like(q)
        for start in range(0, WIDTH, HEAD):
            part = slice(start, start + HEAD)
            for i in range(len(q)):
                scores = np.array([q[i, part] @ row for row in k[:, part]]) / math.sqrt(HEAD)
                weights = np.exp(scores - scores.max())
                out[i, part] = weights / weights.sum() @ v[:, part]
        return self.linear(f"{name}.out_proj", out)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def gelu(x):
    return x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))
