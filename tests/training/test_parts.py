"""Which parameters train, and in which group, against the reference's own lists."""

import json

import pytest
from support import golden, tiny_ccexpert

from geocc.errors import InputError
from geocc.model import load_checkpoint
from geocc.model.checkpoints.names import dead_reason, own_name
from geocc.training import PARTS, Stage1, Stage2, Stage3, count_parameters, parameter_groups, part_of, set_trainable

FOLDER = golden.ROOT / "public"
STAGES = {"stage1": Stage1, "stage2": Stage2, "stage3": Stage3}


@pytest.fixture
def parity():
    if not (FOLDER / "trainable.json").is_file():
        pytest.skip(f"no parity files in {FOLDER}")
    model = load_checkpoint(FOLDER / "checkpoint", vision_config=FOLDER / "vision_tower").model
    return model, json.loads((FOLDER / "trainable.json").read_text())


def live(names, model):
    """geocc's names of the reference's parameters, without the dead ones; tied embeddings count once, as theirs do."""
    layers = model.config.vision_config.num_hidden_layers
    dead = {name for name in names if dead_reason(name, vision_layers=layers)}
    found = {own_name(name) for name in names if name not in dead}
    assert None not in found
    return found - {"lm_head.weight"}


@pytest.mark.shared
@pytest.mark.parametrize("name", STAGES)
def test_the_parameters_that_train_are_the_reference_s(parity, name):
    model, expected = parity
    trained = set_trainable(model, STAGES[name]().train)
    frozen = {own for own, parameter in model.named_parameters() if not parameter.requires_grad}
    assert set(trained) == live(expected[name]["trainable"], model)
    assert frozen == live(expected[name]["frozen"], model)


@pytest.mark.shared
@pytest.mark.parametrize("name", STAGES)
def test_the_optimizer_s_groups_are_the_reference_s(parity, name):
    model, expected = parity
    recipe = STAGES[name]()
    set_trainable(model, recipe.train)
    wanted = [
        (group["lr"], group["weight_decay"], live(group["names"], model))
        for group in expected[name]["LLaVATrainer_create_optimizer_groups"]
    ]
    assert [(g["lr"], g["weight_decay"], set(g["names"])) for g in parameter_groups(model, recipe)] == wanted


@pytest.mark.shared
def test_the_flat_rule_is_one_group_of_everything(parity):
    model, expected = parity
    recipe = Stage2(learning_rate_rule="reference_flat_lr")
    set_trainable(model, recipe.train)
    (group,) = parameter_groups(model, recipe)
    assert (group["lr"], group["weight_decay"]) == (1e-5, 0)
    assert set(group["names"]) == live(expected["stage2"]["trainable"], model)


def test_decay_spares_biases_and_layer_norms():
    model, _ = tiny_ccexpert.make()
    set_trainable(model, PARTS)
    groups = parameter_groups(model, Stage2(weight_decay=0.1))
    spared = {name for group in groups if group["weight_decay"] == 0 for name in group["names"]}
    assert {name for name, _ in model.named_parameters() if name.endswith("bias")} < spared
    assert "model.vision_tower.layers.0.layer_norm1.weight" in spared
    assert "model.language_model.layers.0.self_attn.q_proj.weight" not in spared


def test_every_part_can_have_its_own_rate():
    model, _ = tiny_ccexpert.make()
    set_trainable(model, PARTS)
    rates = {part: 10.0**-power for power, part in enumerate(PARTS, start=2)}
    groups = parameter_groups(model, Stage2(part_learning_rates=rates))
    assert {part_of(name): group["lr"] for group in groups for name in group["names"]} == rates


def test_the_change_head_learns_with_the_difference_module():
    model, _ = tiny_ccexpert.make(change_head=True)
    trained = set_trainable(model, ["difference_module"])
    assert any(name.startswith("model.change_head.") for name in trained)
    assert {part_of(name) for name in trained} == {"difference_module"}


@pytest.mark.parametrize("wrapped", ["base_model.model.{}", "_orig_mod.{}", "module._orig_mod.{}", "{}"])
def test_wrappers_do_not_hide_the_part(wrapped):
    name = "model.vision_tower.layers.0._fsdp_wrapped_module.mlp.fc1.weight"
    assert part_of(wrapped.format(name)) == "vision_tower"


def test_parameters_are_counted_once():
    model, _ = tiny_ccexpert.make()
    set_trainable(model, ["projector"])
    counts = count_parameters(model.named_parameters())
    assert sum(every for every, _ in counts.values()) == sum(p.numel() for p in model.parameters())
    assert {part: trained for part, (_, trained) in counts.items() if trained} == {"projector": counts["projector"][0]}


@pytest.mark.parametrize("parts", [["tower"], []])
def test_an_unknown_part_is_named(parts):
    with pytest.raises(InputError, match="difference_module, projector, language_model, vision_tower"):
        set_trainable(tiny_ccexpert.make()[0], parts)


def test_a_parameter_of_another_model_is_refused():
    with pytest.raises(InputError, match=r"transformer\.h\.0"):
        part_of("transformer.h.0.attn.weight")
