"""One process of a data-parallel step: trains for one step and writes down its gradients."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from transformers import TrainerCallback

sys.path.insert(0, str(Path(__file__).parents[1]))

from support import training

from geocc.training import CCExpertTrainer, Data, PairDataset, set_trainable
from geocc.training.data import open_mixture
from geocc.training.processes import leave_group
from geocc.training.start import load_start


class Recorder(TrainerCallback):
    """Keeps the gradients that the optimizer sees."""

    def __init__(self):
        self.gradients = {}

    def on_pre_optimizer_step(self, args, state, control, model=None, **_):  # noqa: ARG002  # Transformers'
        named = getattr(model, "module", model).named_parameters()
        self.gradients = {name: p.grad.clone() for name, p in named if p.grad is not None}


def step(base, records, output, *, micro_batch_size):
    """Take one step of four pairs and return its gradients and its loss."""
    recipe = {"max_steps": 1, "batch_size": 4, "micro_batch_size": micro_batch_size, "max_grad_norm": 0}
    config = training.config(base, records, output, recipe=recipe)
    start = load_start(config)
    set_trainable(start.model, config.recipe.train)
    samples = open_mixture(Data(train=str(records))).samples(captions="flatten_list", seed=3)
    recorder = Recorder()
    trainer = CCExpertTrainer(
        start.model, config, processor=start.processor, train_dataset=PairDataset(samples), callbacks=[recorder]
    )
    trainer.train()
    return recorder.gradients, trainer.state.log_history[0]["loss"]


if __name__ == "__main__":
    base, records, output, target = sys.argv[1:]
    torch.set_num_threads(1)
    gradients, loss = step(base, records, output, micro_batch_size=2)
    torch.save({"gradients": gradients, "loss": loss}, target)
    leave_group()
