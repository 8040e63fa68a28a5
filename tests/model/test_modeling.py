import ast
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from support import foreign, tiny_ccexpert
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy
from transformers import AutoModel, AutoModelForImageTextToText

import geocc.model
import geocc.model.checkpoints
from geocc.errors import InputError
from geocc.model import CCExpertConfig, CCExpertForConditionalGeneration, CCExpertModel


@pytest.fixture(scope="module")
def parts():
    return tiny_ccexpert.make()


@pytest.fixture(scope="module")
def model(parts):
    return parts[0]


@pytest.fixture(scope="module")
def inputs(parts):
    """Three pairs with prompts of different length, padded on the left."""
    processor = parts[1]
    prompts = ["<image> <image>", "what about <image> and <image>, a longer question?", "<image>\n<image> so?"]
    images = torch.randint(0, 256, (3, 2, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return processor(images, prompt=prompts)


def row(inputs, i):
    mask = inputs["attention_mask"][i].bool()
    return {"input_ids": inputs["input_ids"][i : i + 1, mask], "pixel_values": inputs["pixel_values"][i : i + 1]}


@torch.no_grad()
def test_a_left_padded_batch_generates_what_its_rows_generate(model, inputs):
    together = model.generate(**inputs, max_new_tokens=8, do_sample=False)[:, inputs["input_ids"].shape[1] :]
    for i in range(3):
        alone = model.generate(**row(inputs, i), max_new_tokens=8, do_sample=False)
        alone = alone[0, row(inputs, i)["input_ids"].shape[1] :].tolist()
        assert together[i].tolist()[: len(alone)] == alone


@torch.no_grad()
@pytest.mark.parametrize("settings", [{"use_cache": False}, {"num_beams": 2}, {"cache_implementation": "static"}])
def test_other_ways_to_generate_see_the_images(model, inputs, settings):
    settings = {"max_new_tokens": 4, "do_sample": False} | settings
    together = model.generate(**inputs, **settings)
    darker = model.generate(**inputs | {"pixel_values": inputs["pixel_values"] * 0}, **settings)
    assert together.shape == darker.shape
    if "num_beams" not in settings:
        assert torch.equal(together, model.generate(**inputs, max_new_tokens=4, do_sample=False))


@torch.no_grad()
def test_pixels_are_seen_once(model, inputs, monkeypatch):
    calls = []
    encode = model.model.get_image_features
    monkeypatch.setattr(model.model, "get_image_features", lambda pixels: calls.append(1) or encode(pixels))
    model.generate(**inputs, max_new_tokens=5, min_new_tokens=5, do_sample=False)
    assert calls == [1]


@torch.no_grad()
def test_features_encoded_before_do_as_well_as_pixels(model, inputs):
    features = model.get_image_features(inputs["pixel_values"])
    assert features.image_features.shape == (3, 2, 16, 16)
    assert features.change_features.shape == (3, 16, 16)
    assert features.change_logits.shape == (3,)
    assert features.change_token_logits.shape == (3, 16)
    assert features.gates.shape == (4, 3)
    text = {name: inputs[name] for name in ("input_ids", "attention_mask")}
    given = model(**text, image_features=features.image_features)
    assert torch.equal(given.logits, model(**inputs).logits)
    assert given.change_logits is None
    kept = torch.tensor([True, False, True])
    some = model.generate(
        **{name: tensor[kept] for name, tensor in text.items()},
        image_features=features.image_features[kept],
        max_new_tokens=4,
        do_sample=False,
    )
    assert torch.equal(some, model.generate(**inputs, max_new_tokens=4, do_sample=False)[kept])


@torch.no_grad()
def test_the_place_of_an_image_may_lie_outside_the_vocabulary(inputs):
    model, _ = tiny_ccexpert.make()
    expected = model(**inputs).logits
    old, model.config.image_token_id = model.config.image_token_id, 10**6
    moved = inputs["input_ids"].masked_fill(inputs["input_ids"] == old, 10**6)
    assert torch.equal(model(**inputs | {"input_ids": moved}).logits, expected)


@torch.no_grad()
def test_logits_are_kept_where_asked(model, inputs):
    everything = model(**inputs).logits
    # A product of fewer rows may be rounded otherwise, on some processors.
    torch.testing.assert_close(model(**inputs, logits_to_keep=2).logits, everything[:, -2:])
    torch.testing.assert_close(model(**inputs, logits_to_keep=torch.tensor([0, 3])).logits, everything[:, [0, 3]])


@torch.no_grad()
def test_the_loss_is_the_mean_over_targets_plus_that_of_the_change_head(parts):
    model, processor = parts
    images = torch.randint(0, 256, (2, 2, 3, 32, 32), dtype=torch.uint8)
    batch = processor(images, captions=["a", "a longer answer"])
    change = torch.tensor([0.0, 1.0])
    output = model(**batch, change_labels=change)
    targets, logits = batch["labels"][:, 1:], output.logits[:, :-1]
    words = cross_entropy(logits[targets != -100], targets[targets != -100])
    head = binary_cross_entropy_with_logits(output.change_logits, change)
    assert output.loss.item() == pytest.approx((words + head).item(), rel=1e-5)
    assert model(**batch).loss.item() == pytest.approx(words.item(), rel=1e-5)
    del batch["labels"]
    assert model(**batch, change_labels=change).loss.item() == pytest.approx(head.item(), rel=1e-5)


@torch.no_grad()
def test_accumulated_losses_add_up_as_the_trainer_counts_them(parts):
    """The trainer gives the number of targets of all accumulated batches, and adds the losses."""
    model, processor = parts
    images = torch.randint(0, 256, (4, 2, 3, 32, 32), dtype=torch.uint8)
    change = torch.tensor([0.0, 1.0, 1.0, 1.0])
    batches = [
        processor(images[i : i + 2], captions=["abc", "def"]) | {"change_labels": change[i : i + 2]} for i in (0, 2)
    ]
    items = sum(int((batch["labels"][:, 1:] != -100).sum()) for batch in batches)
    parts_of_it = [model(**batch, num_items_in_batch=torch.tensor(items)).loss for batch in batches]
    whole = model(**processor(images, captions=["abc", "def"] * 2), change_labels=change).loss
    assert sum(parts_of_it).item() == pytest.approx(whole.item(), rel=1e-5)


def test_every_parameter_learns_and_checkpointing_changes_no_gradient(inputs):
    model, _ = tiny_ccexpert.make()
    labels = inputs["input_ids"].masked_fill(inputs["input_ids"] == model.config.image_token_id, -100)

    def gradients():
        model.zero_grad()
        output = model(**inputs, labels=labels, change_labels=torch.ones(3))
        (output.loss + output.change_token_logits.mean()).backward()
        return {name: parameter.grad.clone() for name, parameter in model.named_parameters()}

    model.train()
    plain = gradients()
    # Renamed in Transformers 5.2x.
    getattr(model, "activation_checkpointing_enable", model.__class__.gradient_checkpointing_enable.__get__(model))()
    checkpointed = gradients()
    assert model.model.difference.layers[0].gradient_checkpointing
    assert all(torch.allclose(plain[name], checkpointed[name], atol=1e-6) for name in plain)


def test_fresh_weights_are_the_references_rule():
    model = foreign.model()
    state = model.state_dict()
    assert state["model.difference.layers.0.self_attention.q_proj.weight"].std().item() == pytest.approx(0.02, rel=0.05)
    assert state["model.difference.layers.1.flag_change.weight"].std().item() == pytest.approx(0.02, rel=0.3)
    difference = {name: tensor for name, tensor in state.items() if ".difference." in name}
    assert all(torch.all(tensor == 0) for name, tensor in difference.items() if name.endswith("bias"))
    assert all(
        torch.all(tensor == 1) for name, tensor in difference.items() if "norm" in name and name.endswith("weight")
    )


@torch.no_grad()
def test_pixels_beyond_the_last_whole_patch_are_never_seen():
    """As in the reference, whose 384 pixels are 27 patches of 14 and 6 pixels over."""
    model, processor = tiny_ccexpert.make()
    config = CCExpertConfig(
        **model.config.to_dict() | {"vision_config": model.config.vision_config.to_dict() | {"image_size": 35}}
    )
    assert config.tokens_per_image == processor.tokens_per_image
    model = CCExpertForConditionalGeneration(config).eval()
    pixels = torch.rand(1, 2, 3, 35, 35)
    other = pixels.clone()
    other[..., 32:, :] = other[..., :, 32:] = 0
    assert torch.equal(*(model.get_image_features(x).image_features for x in (pixels, other)))


def test_nothing_dead_is_built():
    names = " ".join(foreign.model().state_dict())
    assert "post_layernorm" not in names
    assert "head.probe" not in names
    assert "norm4" not in names
    assert "vision_tower.layers.3." in names
    assert "vision_tower.layers.4." not in names
    assert "change_head" not in names


@pytest.mark.parametrize("tie", [True, False])
def test_it_comes_back_from_a_folder(tmp_path, tie):
    model = foreign.model(tie=tie)
    model.save_pretrained(tmp_path)
    again, info = AutoModelForImageTextToText.from_pretrained(tmp_path, output_loading_info=True)
    assert isinstance(again, CCExpertForConditionalGeneration)
    assert not any(info.values())
    assert (again.lm_head.weight is again.get_input_embeddings().weight) == tie
    assert all(torch.equal(tensor, again.state_dict()[name]) for name, tensor in model.state_dict().items())
    body = AutoModel.from_pretrained(tmp_path)
    assert isinstance(body, CCExpertModel)
    assert torch.equal(body.projector.linear_1.weight, model.model.projector.linear_1.weight)


@pytest.mark.parametrize("tie", [True, False])
def test_the_vocabulary_may_grow(tie):
    model = foreign.model(tie=tie)
    model.resize_token_embeddings(310, mean_resizing=False)
    assert model.lm_head.weight.shape == model.get_input_embeddings().weight.shape == (310, 16)
    assert (model.lm_head.weight is model.get_input_embeddings().weight) == tie
    assert model.get_output_embeddings() is model.lm_head
    assert model.config.text_config.vocab_size == 310


@torch.no_grad()
def test_attention_may_be_computed_eagerly(model, inputs, tmp_path):
    model.save_pretrained(tmp_path)
    eager = CCExpertForConditionalGeneration.from_pretrained(tmp_path, attn_implementation="eager").eval()
    assert eager.model.vision_tower.config._attn_implementation == "eager"
    assert model.model.vision_tower.config._attn_implementation == "sdpa"
    real = inputs["attention_mask"].bool()
    assert torch.allclose(eager(**inputs).logits[real], model(**inputs).logits[real], atol=1e-4)


@torch.no_grad()
def test_half_precision_runs(inputs):
    model, _ = tiny_ccexpert.make()
    model.bfloat16()
    output = model(**inputs)
    assert output.logits.dtype == torch.bfloat16
    assert torch.isfinite(output.logits).all()


def test_placeholders_and_features_must_be_equally_many(model, inputs):
    ids = inputs["input_ids"].clone()
    first = (ids[1] == model.config.image_token_id).nonzero()[0]
    ids[1, first] = 5
    with pytest.raises(InputError, match=r"\[32, 31, 32\] image placeholders .* 32 features \(16 per date\)"):
        model(**inputs | {"input_ids": ids})
    with pytest.raises(InputError, match="2 pairs"):
        model(**inputs | {"pixel_values": inputs["pixel_values"][:2]})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pixel_values": None}, "neither pixel_values nor image_features"),
        ({"pixel_values": torch.zeros(3, 3, 32, 32)}, r"\(3, 3, 32, 32\) .* \(B, T=2, C, H, W\)"),
        ({"pixel_values": torch.zeros(3, 3, 3, 32, 32)}, "T=2"),
        ({"pixel_values": torch.zeros(3, 2, 3, 24, 32)}, r"\(3, 24, 32\) .* \(3, 32, 32\)"),
        ({"image_features": torch.zeros(3, 2, 16, 16)}, "and not both"),
        ({"input_ids": None}, "either input_ids or inputs_embeds"),
        ({"input_ids": None, "inputs_embeds": torch.zeros(3, 4, 16)}, "inputs_embeds show no placeholders"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(model, inputs, change, message):
    with pytest.raises(InputError, match=message):
        model(**inputs | change)


def test_change_labels_need_a_change_head(inputs):
    model, _ = tiny_ccexpert.make(change_head=False)
    with pytest.raises(InputError, match="CCExpertConfig\\(change_head=True\\)"):
        model(**inputs, change_labels=torch.zeros(3))
    assert model(**inputs).change_logits is None


@torch.no_grad()
def test_embeddings_may_be_given_in_the_place_of_ids(model, inputs):
    features = model.get_image_features(inputs["pixel_values"]).image_features
    embeds = model.model.embed(inputs["input_ids"], image_features=features)
    given = model(inputs_embeds=embeds, attention_mask=inputs["attention_mask"])
    assert torch.equal(given.logits, model(**inputs).logits)


def test_names_that_need_no_torch_bring_none():
    code = """if True:
        import sys, geocc.model
        geocc.model.list_models(), geocc.model.PROMPT, geocc.model.ConversionReport, dir(geocc.model)
        assert not {"torch", "transformers", "rasterio"} & sys.modules.keys()
    """
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_neural_half_never_imports_the_geospatial_one():
    forbidden = {"rasterio", "rioxarray", "geopandas", "torchgeo", "xarray", "odc", "shapely"}
    imported = set()
    for path in Path(geocc.model.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            imported |= {alias.name for alias in node.names} if isinstance(node, ast.Import) else set()
            imported |= {node.module} if isinstance(node, ast.ImportFrom) else set()
    assert not {name for name in imported if name.split(".")[0] in forbidden}
    assert {name.split(".")[1] for name in imported if name.startswith("geocc.")} <= {"errors", "model", "training"}


def test_a_name_that_is_not_there_is_an_attribute_error():
    for module in (geocc.model, geocc.model.checkpoints):
        with pytest.raises(AttributeError, match="nothing_like_it"):
            module.nothing_like_it  # noqa: B018
        assert dir(module) == sorted(module.__all__)
