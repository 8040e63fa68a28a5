"""Weights in bfloat16 learn as finely as float32 ones."""

import pytest
import torch
from support import training
from torch import nn

from geocc.errors import InputError
from geocc.model import CCExpertForConditionalGeneration
from geocc.training import train
from geocc.training.master_weights import MasterWeights


def test_steps_too_small_for_a_bfloat16_weight_add_up():
    weight = nn.Parameter(torch.ones(4, dtype=torch.bfloat16))
    groups = [{"params": [weight], "lr": 1e-4}]
    optimizer = MasterWeights(groups, torch.optim.SGD)
    for _ in range(100):
        weight.grad = torch.full_like(weight, -1)
        optimizer.step()
        optimizer.zero_grad()
    assert weight.grad is None
    assert weight.tolist() == [torch.tensor(1.01, dtype=torch.bfloat16).item()] * 4


def test_its_state_takes_up_where_it_was_left():
    def make(value):
        weight = nn.Parameter(torch.full((3,), value, dtype=torch.bfloat16))
        return weight, MasterWeights([{"params": [weight], "lr": 1e-3}], torch.optim.AdamW)

    def step(weight, optimizer):
        weight.grad = torch.tensor([1.0, -2.0, 0.5], dtype=torch.bfloat16)
        optimizer.step()

    one, first = make(1.0)
    for _ in range(5):
        step(one, first)
    other, second = make(7.0)
    second.load_state_dict(first.state_dict())
    for _ in range(5):
        step(one, first)
        step(other, second)
    assert torch.equal(one, other)
    for mine, its in zip(first.state_dict()["masters"], second.state_dict()["masters"], strict=True):
        assert torch.equal(mine, its)


def test_a_schedule_reaches_the_copies():
    weight = nn.Parameter(torch.ones(2, dtype=torch.bfloat16))
    optimizer = MasterWeights([{"params": [weight], "lr": 1.0}], torch.optim.SGD)
    torch.optim.lr_scheduler.LambdaLR(optimizer, lambda _: 0.0)
    weight.grad = torch.ones_like(weight)
    optimizer.step()
    assert weight.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_a_run_in_bfloat16_learns_like_one_in_float32(base, records, tmp_path, optimizer):
    losses = {}
    for bf16 in (False, True):
        recipe = {"bf16": bf16, "bf16_weights": bf16, "optimizer": optimizer, "max_steps": 6}
        config = training.config(base, records, tmp_path / str(bf16), recipe=recipe)
        result = train(config)
        losses[bf16] = training.losses(result)
        dtype = next(CCExpertForConditionalGeneration.from_pretrained(result.folder, dtype="auto").parameters()).dtype
        assert dtype == (torch.bfloat16 if bf16 else torch.float32)
    assert losses[True] == pytest.approx(losses[False], rel=0.05)
    assert losses[True][-1] < losses[True][0]


def test_it_asks_for_bfloat16_and_for_whole_weights(base, records, tmp_path):
    with pytest.raises(InputError, match="bf16=false"):
        training.config(base, records, tmp_path, recipe={"bf16_weights": True})
    with pytest.raises(InputError, match="lora"):
        training.config(base, records, tmp_path, recipe={"bf16": True, "bf16_weights": True}, lora={})
