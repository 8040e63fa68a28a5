"""Whole runs on a tiny model: what trains, what is written, what happens after a kill, and what is refused first."""

import json
import math
import os
import random
import shutil

import pytest
import torch
from support import training
from support.training import config, losses, train_until

from geocc.errors import CheckpointError, InputError, TrainingError, WriteError
from geocc.model import load_checkpoint, modeling
from geocc.training import latest_checkpoint, load_config, part_of, train

TRAINED = {1: {"difference_module", "projector"}}


@pytest.fixture(scope="module")
def run(base, records, tmp_path_factory):
    output = tmp_path_factory.mktemp("run")
    settings = config(base, records, output, recipe={"epochs": 2})
    return settings, train(settings)


def test_a_run_changes_the_parts_of_its_stage_and_no_other(run, base):
    _, result = run
    before, after = (dict(load_checkpoint(path).model.named_parameters()) for path in (base, result.folder))
    moved = {part_of(name) for name in before if not torch.equal(before[name], after[name])}
    assert moved == TRAINED[1]


def test_rates_rise_for_three_percent_of_the_steps_and_fall_as_a_cosine(run):
    _, result = run
    rates = [line["learning_rate"] for line in result.log if "learning_rate" in line]
    # 16 captions / 4 = 4 steps per epoch, 8 in all, ceil(0.03 * 8) = 1 of them warm-up.
    assert len(rates) == 8
    expected = [
        1e-2 * step if step < 1 else 1e-2 * 0.5 * (1 + math.cos(math.pi * (step - 1) / 7)) for step in range(1, 9)
    ]
    assert rates == pytest.approx(expected, abs=1e-9) or rates == pytest.approx([0.0, *expected[:-1]], abs=1e-9)


def test_a_checkpoint_says_where_it_comes_from(run, base):
    settings, result = run
    told = json.loads((result.folder / "geocc_training.json").read_text())
    assert (told["stage"], told["step"], told["base"]) == (1, 8, str(base))
    assert told["data"]["records"] == 8
    assert told["data"]["samples"] == 16
    assert len(told["data"]["fingerprint"]) == 64
    assert {"geocc", "torch", "transformers", "python"} <= told["versions"].keys()
    assert len(told["git"]["commit"]) == 40
    assert load_config(result.folder / "geocc_training.yaml") == settings
    assert not list(settings.output.rglob("*.bin"))


def test_only_the_last_checkpoints_are_kept(run):
    settings, _ = run
    assert {path.name for path in settings.output.iterdir()} == {"checkpoint-6", "checkpoint-8", "model"}


@pytest.mark.parametrize("at", [2, 3, 5])
def test_a_killed_run_goes_on_as_if_nothing_had_been(run, base, records, tmp_path, at):
    settings, whole = run
    cut = config(base, records, tmp_path, recipe={"epochs": 2, "checkpoint_every": at})
    with pytest.raises(KeyboardInterrupt):
        train_until(cut, step=at + 1)
    again = train(cut, resume=True)
    assert losses(again) == pytest.approx(losses(whole), abs=1e-6)
    ended = load_checkpoint(again.folder).model.state_dict()
    for name, value in load_checkpoint(whole.folder).model.state_dict().items():
        assert torch.allclose(ended[name], value, atol=1e-6), name
    assert settings.output != cut.output


def test_a_run_killed_before_its_result_was_written_only_writes_it(base, records, tmp_path):
    cut = config(base, records, tmp_path)
    whole = train(cut)
    before = load_checkpoint(whole.folder).model.state_dict()
    shutil.rmtree(whole.folder)
    again = train(cut, resume=True)
    assert again.steps == whole.steps
    assert losses(again) == losses(whole)
    for name, value in load_checkpoint(again.folder).model.state_dict().items():
        assert torch.equal(before[name], value), name


def test_a_checkpoint_cut_short_is_passed_over(run, tmp_path):
    (tmp_path / "checkpoint-4").mkdir()
    assert latest_checkpoint(tmp_path) is None
    assert latest_checkpoint(run[0].output).name == "checkpoint-8"


def test_a_used_output_is_not_written_over(run):
    with pytest.raises(WriteError, match="--resume"):
        train(run[0])


def test_other_settings_or_data_are_not_resumed(run, tmp_path):
    settings, _ = run
    other = settings.model_copy(update={"recipe": settings.recipe.model_copy(update={"learning_rate": 1.0})})
    with pytest.raises(CheckpointError, match="other settings of recipe"):
        train(other, resume=True)
    fewer = training.save_records(tmp_path, 6)
    moved = settings.model_copy(update={"data": settings.data.model_copy(update={"train": str(fewer)})})
    with pytest.raises(InputError, match="the data are not those"):
        train(moved, resume=True)


def test_a_loss_that_is_no_number_stops_with_the_records(base, records, tmp_path, monkeypatch):
    original = modeling.target_loss
    monkeypatch.setattr(modeling, "target_loss", lambda *a, **k: [one * math.nan for one in original(*a, **k)])
    with pytest.raises(
        TrainingError, match=r"the loss is nan at step 1, in the batch of records 'pair-0-\d', 'pair-0-\d'"
    ):
        train(config(base, records, tmp_path))


def test_nothing_global_is_left_changed(base, records, tmp_path):
    from transformers.utils import logging

    before = (random.getstate(), torch.get_rng_state().tolist(), dict(os.environ), logging.get_verbosity())
    train(config(base, records, tmp_path, recipe={"max_steps": 1}))
    after = (random.getstate(), torch.get_rng_state().tolist(), dict(os.environ), logging.get_verbosity())
    assert before == after


def test_the_change_head_learns_from_the_flags(tmp_path, records):
    model = training.save_model(tmp_path / "base", change_head=True)
    # The first step of a warm-up has a rate of zero.
    result = train(config(model, records, tmp_path / "run", recipe={"max_steps": 2}))
    before, after = (load_checkpoint(path).model.model.change_head for path in (model, result.folder))
    assert not torch.equal(before.pair_2.weight, after.pair_2.weight)
    assert load_checkpoint(result.folder).report.fresh == []


@pytest.mark.parametrize("workers", [2])
def test_workers_do_not_change_the_order(run, base, records, tmp_path, workers):
    again = train(config(base, records, tmp_path, recipe={"epochs": 2}, data={"workers": workers}))
    assert losses(again) == losses(run[1])


@pytest.mark.parametrize("how", ["tokens", "micro_batch"])
def test_gradient_checkpointing_changes_nothing(base, records, tmp_path, how):
    plain, frugal = (
        train(
            config(
                base,
                records,
                tmp_path / str(wanted),
                recipe={"max_steps": 2, "gradient_checkpointing": wanted, "loss_average": how},
            )
        )
        for wanted in (False, True)
    )
    assert losses(frugal) == pytest.approx(losses(plain), abs=1e-6)
