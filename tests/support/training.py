"""A small model on disk, small records with images, and a run over both."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image
from support import tiny_ccexpert

from geocc.training import CCExpertTrainer, TrainingConfig, train

UNCHANGED = ["the scene is the same as before", "there is no difference"]
CHANGED = ["a bright house appears", "a house has been built on the field"]


def save_model(folder, *, change_head=False, seed=0):
    """Write a tiny random model with its processor."""
    model, processor = tiny_ccexpert.make(change_head=change_head, seed=seed)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def save_records(folder, count=8, *, split=None, name="records.json", seed=0):
    """Write pairs of 16-pixel images; in every second pair a bright square appears."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    records = []
    for number in range(count):
        before = rng.integers(0, 120, (16, 16, 3), dtype=np.uint8)
        after, changed = before.copy(), number % 2
        if changed:
            after[4:12, 4:12] = 255
        names = [f"{seed}_{number}_{date}.png" for date in "ab"]
        for image, file in zip((before, after), names, strict=True):
            Image.fromarray(image).save(folder / file)
        records.append(
            {
                "uid": f"pair-{seed}-{number}",
                "change_flag": changed,
                "img1_path": names[0],
                "img2_path": names[1],
                "change_caption": CHANGED if changed else UNCHANGED,
            }
            | ({} if split is None else {"split": split})
        )
    (folder / name).write_text(json.dumps(records))
    return folder / name


def settings(model, records, output, **more):
    """Settings of a run that takes seconds on a CPU."""
    recipe = {
        "stage": 1,
        "batch_size": 4,
        "micro_batch_size": 2,
        "learning_rate": 1e-2,
        "bf16": False,
        "compile": False,
        "gradient_checkpointing": False,
        "checkpoint_every": 2,
    } | more.pop("recipe", {})
    return {
        "model": str(model),
        "output": str(output),
        "recipe": recipe,
        "data": {"train": str(records)} | more.pop("data", {}),
        "log_every": 1,
        "device": "cpu",
    } | more


def config(model, records, output, **more):
    """The same as an object."""
    return TrainingConfig(**settings(model, records, output, **more))


def losses(result):
    """The losses of a run's steps."""
    return [line["loss"] for line in result.log if "loss" in line]


def train_until(settings, *, step):
    """Train, and be killed in the middle of the optimizer step after this one."""
    original = CCExpertTrainer.training_step

    def interrupted(self, *args, **kwargs):
        if self.state.global_step == step:
            raise KeyboardInterrupt
        return original(self, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CCExpertTrainer, "training_step", interrupted)
        train(settings)
