"""Where runs start: stages in their order, grafts, plans."""

import pytest
import torch
from support import tiny_ccexpert, training
from support.training import config

from geocc.errors import CheckpointError, InputError, ModelNotFoundError
from geocc.model import load_checkpoint
from geocc.training import graft, part_of, plan_training, save_part
from geocc.training.arguments import accumulation_steps
from geocc.training.provenance import Provenance
from geocc.training.start import load_start


@pytest.fixture(scope="module")
def ends(tmp_path_factory):
    """The ends of the three stages."""
    folders = {}
    for stage in (1, 2, 3):
        folder = training.save_model(tmp_path_factory.mktemp(f"stage{stage}"))
        settings = config("x", "y", "z", recipe={"stage": stage})
        Provenance(stage, list(settings.recipe.train), "x", {}, {}).write(folder, settings)
        folders[stage] = folder
    return folders


@pytest.mark.parametrize(("start", "stage"), [(1, 2), (2, 3), (3, 3)])
def test_a_stage_starts_from_the_one_before(ends, records, tmp_path, start, stage):
    load_start(config(ends[start], records, tmp_path, recipe={"stage": stage}))


@pytest.mark.parametrize(("start", "stage"), [(1, 1), (1, 3), (2, 2), (3, 2), (3, 1)])
def test_another_order_is_refused_unless_it_is_meant(ends, records, tmp_path, start, stage):
    with pytest.raises(
        CheckpointError, match=rf"stage {stage} follows .* is the end of stage {start}.*start_from: any"
    ):
        load_start(config(ends[start], records, tmp_path, recipe={"stage": stage}))
    load_start(config(ends[start], records, tmp_path, recipe={"stage": stage}, start_from="any"))


def test_a_graft_replaces_one_part_and_no_other(base, tmp_path):
    other, _ = tiny_ccexpert.make(change_head=False, seed=7)
    save_part(other, tmp_path / "part.safetensors", parts=["difference_module"])
    model = load_checkpoint(base).model
    before = {name: value.clone() for name, value in model.named_parameters()}
    replaced = graft(model, tmp_path / "part.safetensors")
    theirs = dict(other.named_parameters())
    for name, value in model.named_parameters():
        source = theirs if part_of(name) == "difference_module" else before
        assert torch.equal(value, source[name]), name
    assert {part_of(name) for name in replaced} == {"difference_module"}


def test_a_graft_can_come_from_a_whole_checkpoint_and_several_parts(base, tmp_path):
    donor = training.save_model(tmp_path / "donor", seed=9)
    model = load_checkpoint(base).model
    graft(model, donor, parts=["difference_module", "projector"])
    assert torch.equal(
        model.model.projector.linear_1.weight, load_checkpoint(donor).model.model.projector.linear_1.weight
    )


def test_a_graft_that_does_not_fit_changes_nothing(base, tmp_path):
    model = load_checkpoint(base).model
    before = {name: value.clone() for name, value in model.named_parameters()}
    from safetensors.torch import load_file, save_file

    save_part(model, tmp_path / "part.safetensors", parts=["difference_module"])
    tensors = load_file(tmp_path / "part.safetensors")
    tensors["model.difference.extractor.proj.bias"] = torch.zeros(3)
    del tensors["model.difference.extractor.gate.bias"]
    save_file(tensors, tmp_path / "other.safetensors")
    with pytest.raises(CheckpointError, match=r"1 tensors are missing and 1 are of another shape.*gate\.bias: missing"):
        graft(model, tmp_path / "other.safetensors")
    assert all(torch.equal(value, before[name]) for name, value in model.named_parameters())


def test_a_graft_stands_in_the_settings(base, records, tmp_path):
    donor, _ = tiny_ccexpert.make(change_head=False, seed=7)
    save_part(donor, tmp_path / "part.safetensors", parts=["difference_module"])
    start = load_start(config(base, records, tmp_path / "run", graft=str(tmp_path / "part.safetensors")))
    assert torch.equal(start.model.model.difference.fusion.lin1.weight, donor.model.difference.fusion.lin1.weight)


def test_a_start_that_is_not_there_is_named(records, tmp_path):
    with pytest.raises(ModelNotFoundError, match="nowhere"):
        load_start(config(tmp_path / "nowhere", records, tmp_path))


def test_a_plan_counts_without_reading_weights(base, records, tmp_path, monkeypatch):
    def refuse(*_args, **_kwargs):
        raise AssertionError("weights were read")

    monkeypatch.setattr("geocc.model.checkpoints.files.WeightFiles.read", refuse)
    plan = plan_training(config(base, records, tmp_path, recipe={"epochs": 3, "warmup_fraction": 0.25}))
    model, _ = tiny_ccexpert.make(change_head=False)
    assert sum(every for every, _ in plan.parameters.values()) == sum(p.numel() for p in model.parameters())
    assert {part for part, (_, trained) in plan.parameters.items() if trained} == {"difference_module", "projector"}
    assert (plan.samples, plan.steps, plan.warmup_steps, plan.accumulation) == (16, 12, 3, 2)
    assert plan.state_bytes == 4 * sum(p.numel() for p in model.parameters()) + 12 * sum(
        trained for _, trained in plan.parameters.values()
    )
    assert "difference_module" in str(plan)
    assert "4 = 2 x 2 accumulated x 1 device(s)" in str(plan)


def test_a_plan_counts_adapters(base, records, tmp_path):
    plan = plan_training(config(base, records, tmp_path, lora={"rank": 1}))
    assert 0 < plan.trainable_share < 0.2


def test_a_batch_that_cannot_be_shared_out_is_refused():
    assert accumulation_steps(batch_size=256, micro_batch_size=2, world_size=8) == 16
    assert accumulation_steps(batch_size=64, micro_batch_size=4, world_size=8) == 2
    with pytest.raises(InputError, match="expected a multiple of 24"):
        accumulation_steps(batch_size=64, micro_batch_size=3, world_size=8)
