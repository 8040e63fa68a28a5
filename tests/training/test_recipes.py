"""The recipes against what was published, and the settings that they refuse."""

import pytest

from geocc.errors import InputError
from geocc.training import PARTS, Stage1, Stage2, Stage3

# reference.md 1.5, from the reference's launch script.
PUBLISHED = {
    Stage1: {
        "train": ("difference_module", "projector"),
        "captions": "flatten_list",
        "epochs": 1,
        "batch_size": 64,
        "micro_batch_size": 4,
        "checkpoint_every": 1000,
    },
    Stage2: {
        "train": PARTS,
        "captions": "flatten_list",
        "epochs": 1,
        "batch_size": 256,
        "micro_batch_size": 2,
        "checkpoint_every": 250,
    },
    Stage3: {
        "train": PARTS,
        "captions": "random_choice",
        "epochs": 50,
        "batch_size": 256,
        "micro_batch_size": 2,
        "checkpoint_every": "epoch",
    },
}
SHARED = {
    "learning_rate": 1e-5,
    "schedule": "cosine",
    "warmup_fraction": 0.03,
    "weight_decay": 0.0,
    "bf16": True,
    "gradient_checkpointing": True,
    "compile": True,
    "max_length": 32768,
    "seed": 42,
    "padding_side": "right",
    "max_steps": None,
}


@pytest.mark.parametrize("stage", PUBLISHED, ids=lambda stage: stage.__name__)
def test_a_preset_is_the_published_recipe(stage):
    found = stage().model_dump()
    expected = PUBLISHED[stage] | SHARED
    assert {key: found[key] for key in expected} == expected


@pytest.mark.parametrize("stage", [Stage2, Stage3], ids=lambda stage: stage.__name__)
def test_the_tower_has_its_own_rate_unless_the_reference_is_followed_to_the_letter(stage):
    assert stage().rate_of("vision_tower") == 2e-6
    assert stage(learning_rate_rule="reference_flat_lr").rate_of("vision_tower") == 1e-5
    assert {stage().rate_of(part) for part in PARTS[:3]} == {1e-5}


def test_every_field_is_documented_with_its_source():
    from geocc.training.recipes import Stage

    documented = Stage.__doc__.split("Attributes:")[1]
    assert [field for field in Stage.model_fields if f"        {field}: " not in documented] == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"learning_rate": 0}, "learning rate of difference_module, projector, language_model is 0"),
        ({"part_learning_rates": {"vision_tower": 0}}, "learning rate of vision_tower is 0"),
        ({"learning_rate": -1e-5}, "'learning_rate' is -1e-05"),
        ({"learning_rate": float("nan")}, "'learning_rate' is nan"),
        ({"learning_rat": 1e-5}, "there is no key 'learning_rat'; expected one of stage, train"),
        ({"train": ["tower"]}, "'train.0' is 'tower'"),
        ({"train": []}, "train is []"),
        ({"train": ["projector", "projector"]}, "each once"),
        ({"epochs": 0}, "'epochs' is 0"),
        ({"batch_size": 0}, "'batch_size' is 0"),
        ({"warmup_fraction": 1}, "'warmup_fraction' is 1"),
        ({"checkpoint_every": "sometimes"}, "sometimes"),
        ({"captions": "packed", "pad_to_multiple_of": 64}, "pad_to_multiple_of does not go with captions='packed'"),
    ],
)
def test_a_setting_that_cannot_be_meant_is_named(settings, message):
    with pytest.raises(InputError) as raised:
        Stage2(**settings)
    assert message in str(raised.value)


def test_a_rate_of_zero_is_no_fault_for_a_part_that_stays_frozen():
    assert Stage1(part_learning_rates={"vision_tower": 0}).rate_of("projector") == 1e-5
