"""Against numbers that CCExpert's own code gave, for every golden set and checkpoint form under ../shared/parity."""

import functools
import json

import pytest
import torch
from safetensors.torch import load_file
from support import golden
from support.golden import Golden
from transformers import AutoModelForImageTextToText

from geocc.model import convert_checkpoint, load_checkpoint
from geocc.model.checkpoints.names import dead_reason, own_name
from geocc.model.difference import sine_position_table

pytestmark = pytest.mark.shared

FORMS = [form for folder in golden.sets() for form in golden.forms(folder)]
if not FORMS:
    pytest.skip(f"no golden numbers in {golden.ROOT}", allow_module_level=True)


def name(path):
    return f"{path.parent.name}/{path.name}"


@functools.cache
def load(form, dtype="float32"):
    return load_checkpoint(form, vision_config=form.parent / "vision_tower", dtype=dtype).model


@functools.cache
def numbers(folder):
    return Golden(folder)


@pytest.fixture(params=FORMS, ids=name)
def form(request):
    return request.param


@pytest.fixture
def data(form):
    return numbers(form.parent)


@pytest.fixture
def model(form):
    return load(form)


@functools.cache
def stages(form):
    """Every tensor that the golden files list, as our model computes it."""
    model, data = load(form), numbers(form.parent)
    batch = data.batch(model.config)
    with torch.no_grad():
        levels = model.model.vision_tower(data.pixel_values().flatten(0, 1)).unflatten(1, (-1, 2))
        difference = model.model.difference(levels)
        features = model.get_image_features(data.pixel_values())
        embeds = model.model.embed(batch["input_ids"], image_features=features.image_features)
        output = model(pixel_values=data.pixel_values(), **batch)
    found = {f"hidden/{'AB'[t]}/level{i}": levels[i, :, t] for i in range(len(levels)) for t in range(2)}
    found |= {f"projector/{'AB'[t]}": features.image_features[:, t] for t in range(2)}
    return found | {
        "diff/image_A": difference.image_a,
        "diff/image_B": difference.image_b,
        "diff/change_fused": difference.change,
        "diff/gate": difference.gates,
        "prepare/inputs_embeds": embeds,
        "prepare/attention_mask": batch["attention_mask"].bool(),
        "prepare/labels": batch["labels"],
        "logits": output.logits,
        "loss": output.loss[None],
    }


def worst(found, expected, mask):
    if found.shape[:2] == mask.shape:
        found, expected = found[mask], expected[mask]  # what stands at padding means nothing
    return (found - expected).abs().max().item()


def test_every_stage_equals_the_reference(form, data):
    found = stages(form)
    mask = data.expected["prepare/attention_mask"]
    expected = {key: value for key, value in data.expected.items() if not key.startswith("generate/")}
    del expected["prepare/position_ids_if_requested"]
    assert found.keys() == expected.keys()
    exact = {key for key, value in expected.items() if not value.is_floating_point()}
    assert all(torch.equal(found[key], expected[key]) for key in exact)
    differences = {key: worst(found[key], expected[key], mask) for key in expected.keys() - exact}
    assert {key: value for key, value in differences.items() if value > data.tolerance(key)} == {}


def test_the_loss_is_within_a_hundred_thousandth(form, data):
    assert stages(form)["loss"].item() == pytest.approx(data.expected["loss"].item(), abs=1e-5)


def test_the_difference_module_alone_is_exact_in_double_precision(form, model):
    path = form.parent / "expected_float64.safetensors"
    expected = load_file(path)
    n_levels = len(model.config.feature_levels)
    levels = torch.stack(
        [torch.stack([expected[f"hidden/{t}/level{i}"] for t in "AB"], dim=1) for i in range(n_levels)]
    )
    with torch.no_grad():
        found = load(form, "float64").model.difference(levels)
    assert (found.image_a - expected["diff/image_A"]).abs().max() < 3e-6
    assert (found.image_b - expected["diff/image_B"]).abs().max() < 3e-6
    assert (found.change - expected["diff/change_fused"]).abs().max() < 1e-6
    assert (found.gates - expected["diff/gate"]).abs().max() < 1e-7


def test_the_layers_inside_the_difference_module_equal_the_reference(form, model, data):
    path = form.parent / "intermediates.safetensors"
    if not path.is_file():
        pytest.skip("this set lists no intermediates")
    expected = load_file(path)
    seen = {}
    hooks = [
        layer.register_forward_hook(lambda _m, _i, output, number=number: seen.update({number: output}))
        for number, layer in enumerate(model.model.difference.layers)
    ]
    with torch.no_grad():
        model.get_image_features(data.pixel_values())
    for hook in hooks:
        hook.remove()
    for number, states in seen.items():
        for key, state in zip(("image_A", "image_B", "change"), states, strict=True):
            assert (state - expected[f"layer{number}/{key}"]).abs().max() < data.tolerance("diff/image_A")
    table = sine_position_table(model.config.grid_size, width=model.config.vision_config.hidden_size)
    assert (
        torch.equal(table, expected["pe"][0].flatten(1).T)
        or (table - expected["pe"][0].flatten(1).T).abs().max() < 1e-6
    )


def test_generated_tokens_equal_the_reference_one_by_one(model, data):
    for i, prompt in enumerate(data.prompts(model.config)):
        output = generate(model, prompt[None], pixel_values=data.pixel_values()[i : i + 1])
        assert output.sequences[:, len(prompt) :].tolist() == data.expected[f"generate/ids_{i}"].tolist()
        steps = torch.cat(output.logits)
        assert (steps - data.expected[f"generate/step_logits_{i}"]).abs().max() < data.tolerance(
            "generate/step_logits_0"
        )


def test_generated_tokens_equal_the_reference_in_a_padded_batch(model, data):
    prompts = data.prompts(model.config)
    longest = max(map(len, prompts))
    with torch.no_grad():
        features = model.get_image_features(data.pixel_values()).image_features
    output = generate(
        model,
        torch.stack([golden.left(prompt, longest, 0) for prompt in prompts]),
        attention_mask=torch.stack([golden.left(torch.ones_like(prompt), longest, 0) for prompt in prompts]),
        image_features=features,
    )
    for i in range(len(prompts)):
        assert output.sequences[i, longest:].tolist() == data.expected[f"generate/ids_{i}"][0].tolist()


def generate(model, ids, **inputs):
    inputs.setdefault("attention_mask", torch.ones_like(ids))
    settings = {"max_new_tokens": 10, "do_sample": False, "output_logits": True, "return_dict_in_generate": True}
    return model.generate(input_ids=ids, **inputs, **settings)


def test_logits_of_a_padded_batch_equal_those_of_each_pair_alone(form, model, data):
    batch, together = data.batch(model.config), stages(form)["logits"]
    for i, mask in enumerate(batch["attention_mask"].bool()):
        with torch.no_grad():
            alone = model(
                input_ids=batch["input_ids"][i : i + 1, mask], pixel_values=data.pixel_values()[i : i + 1]
            ).logits
        assert (alone[0] - together[i, mask]).abs().max() < data.tolerance("logits")


def test_gradients_equal_the_reference(form, data):
    if not (form.parent / "gradients.json").is_file():
        pytest.skip("this set lists no gradients")
    norms = json.loads((form.parent / "gradients.json").read_text())["grad_norm"]
    small = load_file(form.parent / "gradients_small.safetensors")
    model = load(form, "float64")
    model(pixel_values=data.pixel_values().double(), **data.batch(model.config)).loss.backward()
    found = {name: parameter.grad for name, parameter in model.named_parameters()}
    model.zero_grad()
    layers = max(model.config.feature_levels)
    for theirs, norm in norms.items():
        if norm is None:
            # No gradient in the reference: dead, and so absent here.
            assert dead_reason(theirs, vision_layers=layers)
            continue
        gradient = found.pop(own_name(theirs))
        assert gradient.norm().item() == pytest.approx(norm, rel=1e-5, abs=1e-9), theirs
        if theirs in small:
            assert (gradient - small[theirs]).abs().max() <= 3e-5 * max(norm, 1e-4), theirs
    assert found == {}


def test_converting_changes_no_bit(form, model, data, tmp_path):
    convert_checkpoint(form, tmp_path / "own", vision_config=form.parent / "vision_tower", max_shard_size="4MB")
    assert len(list((tmp_path / "own").glob("*.safetensors"))) > 1
    again = AutoModelForImageTextToText.from_pretrained(tmp_path / "own", dtype="float32")
    assert again.state_dict().keys() == model.state_dict().keys()
    with torch.no_grad():
        output = again.eval()(pixel_values=data.pixel_values(), **data.batch(again.config))
    assert torch.equal(output.logits, stages(form)["logits"])
