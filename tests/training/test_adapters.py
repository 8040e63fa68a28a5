"""LoRA: what trains, what is saved, and that merging changes no answer."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from support import tiny_ccexpert, training
from support.training import config

import geocc.model
from geocc.errors import CheckpointError, InputError, WriteError
from geocc.inference import CCExpertCaptioner, TileBatch
from geocc.model import CCExpertConfig, CCExpertForConditionalGeneration, load_checkpoint
from geocc.training import (
    PARTS,
    Lora,
    add_adapters,
    count_parameters,
    is_adapter,
    load_adapter,
    merge_adapter,
    part_of,
    train,
)

MINI = Path(geocc.model.__file__).parent / "weights/geocc-mini"
EVERYTHING = {"stage": 3, "train": list(PARTS), "max_steps": 2, "checkpoint_every": 1}


@pytest.fixture(scope="module")
def adapter(base, records, tmp_path_factory):
    settings = config(base, records, tmp_path_factory.mktemp("lora"), recipe=EVERYTHING, lora={"rank": 2})
    return train(settings).folder


def logits(model, processor):
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (2, 2, 3, 32, 32), generator=generator, dtype=torch.uint8)
    batch = processor(images, captions=["a house appears", "no change"])
    with torch.no_grad():
        return model(**{key: batch[key] for key in ("input_ids", "attention_mask", "pixel_values")}).logits


@pytest.mark.parametrize("part", PARTS)
def test_only_the_linear_layers_of_the_named_parts_get_adapters(part):
    model, _ = tiny_ccexpert.make()
    wrapped = add_adapters(model, Lora(rank=2), train=[part], base="base")
    trained = [name for name, parameter in wrapped.named_parameters() if parameter.requires_grad]
    assert {part_of(name) for name in trained} == {part}
    assert all(".lora_A." in name or ".lora_B." in name for name in trained)
    skipped = ("flag_", "embed", "lm_head", "position")
    linear = [
        name
        for name, module in tiny_ccexpert.make()[0].named_modules()
        if isinstance(module, torch.nn.Linear) and name != "lm_head" and part_of(f"{name}.") == part
    ]
    assert len(trained) == 2 * len(linear)
    assert not any(word in name for name in trained for word in skipped)


def test_adapters_are_less_than_two_percent_of_the_half_billion_model():
    with torch.device("meta"):
        model = CCExpertForConditionalGeneration(CCExpertConfig.ccexpert("0.5b"))
        wrapped = add_adapters(model, Lora(), train=PARTS, base="base")
    every, trained = map(sum, zip(*count_parameters(wrapped.named_parameters()).values(), strict=True))
    assert every > 9e8
    assert 0.01 < trained / every < 0.02


def test_fresh_adapters_change_nothing():
    model, processor = tiny_ccexpert.make()
    before = logits(model, processor)
    wrapped = add_adapters(model, Lora(rank=2), train=PARTS, base="base")
    assert torch.allclose(logits(wrapped.eval(), processor), before, atol=1e-6)


def test_an_adapter_is_saved_as_peft_saves_it(adapter, base):
    assert is_adapter(adapter)
    assert not is_adapter(base)
    settings = json.loads((adapter / "adapter_config.json").read_text())
    assert (settings["peft_type"], settings["r"], settings["base_model_name_or_path"]) == ("LORA", 2, str(base))
    assert not (adapter / "model.safetensors").exists()


def test_loaded_merged_and_written_logits_are_equal(adapter, base, tmp_path):
    apart = load_adapter(adapter, merge=False)
    merged = load_adapter(adapter)
    written = load_checkpoint(merge_adapter(adapter, tmp_path / "merged")).model
    expected = logits(apart.model, apart.processor)
    assert (logits(merged.model, merged.processor) - expected).abs().max() < 1e-4
    assert (logits(written, merged.processor) - expected).abs().max() < 1e-4
    assert (logits(load_checkpoint(base).model, merged.processor) - expected).abs().max() > 1e-3
    assert (tmp_path / "merged" / "geocc_training.json").is_file()
    assert merged.revision != load_adapter(adapter, base=base).revision or merged.revision.count("+") == 1


def test_an_adapter_captions_wherever_a_model_does(adapter):
    captioner = CCExpertCaptioner.from_pretrained(adapter, device="cpu", dtype="float32", max_new_tokens=4)
    images = np.zeros((2, 2, 3, 32, 32), dtype=np.uint8)
    assert len(captioner.caption(TileBatch(images=images, tile_ids=("a", "b")))) == 2
    assert captioner.details["revision"] == load_adapter(adapter).revision


@pytest.mark.skipif(not MINI.is_dir(), reason="geocc-mini is not in this checkout")
def test_the_model_that_ships_is_fine_tuned_by_its_name(records, tmp_path):
    recipe = EVERYTHING | {"train": ["language_model"], "max_steps": 1}
    folder = train(config("geocc-mini", records, tmp_path / "run", recipe=recipe, lora={"rank": 2})).folder
    assert json.loads((folder / "adapter_config.json").read_text())["base_model_name_or_path"] == "geocc-mini"
    assert load_adapter(folder).model.config.change_head


def test_parts_can_train_whole_inside_an_adapter(base, records, tmp_path):
    settings = config(
        base, records, tmp_path / "run", recipe=EVERYTHING, lora={"rank": 2, "full": ["difference_module", "projector"]}
    )
    folder = train(settings).folder
    ours, theirs = load_adapter(folder).model, load_checkpoint(base).model
    assert not torch.equal(ours.model.difference.fusion.lin1.weight, theirs.model.difference.fusion.lin1.weight)
    assert not torch.equal(ours.model.difference.layers[0].norm1.weight, theirs.model.difference.layers[0].norm1.weight)
    assert torch.equal(ours.model.language_model.norm.weight, theirs.model.language_model.norm.weight)


def test_a_killed_adapter_run_goes_on_as_if_nothing_had_been(base, records, tmp_path):
    runs = [
        config(base, records, tmp_path / name, recipe=EVERYTHING | {"max_steps": steps}, lora={"rank": 2})
        for name, steps in (("whole", 3), ("cut", 3))
    ]
    whole = train(runs[0])
    from support.training import train_until

    with pytest.raises(KeyboardInterrupt):
        train_until(runs[1], step=2)
    assert training.losses(train(runs[1], resume=True)) == pytest.approx(training.losses(whole), abs=1e-6)


def test_an_adapter_is_no_start_for_a_stage(adapter, records, tmp_path):
    with pytest.raises(CheckpointError, match="geocc merge"):
        train(config(adapter, records, tmp_path / "run"))


def test_nothing_is_merged_over_something(adapter, tmp_path):
    with pytest.raises(WriteError, match="exists already"):
        merge_adapter(adapter, tmp_path)


def test_what_is_no_adapter_or_fits_another_model_is_refused(adapter, base, tmp_path):
    with pytest.raises(CheckpointError, match=r"holds no adapter_model\.safetensors"):
        load_adapter(base)
    import shutil

    copy = shutil.copytree(adapter, tmp_path / "copy")
    settings = json.loads((copy / "adapter_config.json").read_text())
    (copy / "adapter_config.json").write_text(json.dumps(settings | {"r": 3}))
    with pytest.raises(CheckpointError, match="does not fit"):
        load_adapter(copy)


@pytest.mark.skipif("bitsandbytes" in sys.modules, reason="is installed")
def test_four_bits_need_bitsandbytes(base, records, tmp_path):
    with pytest.raises(InputError, match="pip install bitsandbytes"):
        train(config(base, records, tmp_path / "run", recipe=EVERYTHING, lora={"quantize": "4bit"}))
