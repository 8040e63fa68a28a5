import json
import pickle

import pytest
import torch
from support import foreign, tiny_ccexpert
from transformers import LlavaOnevisionConfig, LlavaOnevisionForConditionalGeneration

from geocc.errors import CheckpointError, UnsafeCheckpointError
from geocc.model import load_checkpoint
from geocc.model.chat import END_OF_TURN


def load(folder, **settings):
    return load_checkpoint(folder, vision_config=foreign.TOWER, **settings)


def same(model, expected):
    found, wanted = model.state_dict(), expected.state_dict()
    assert found.keys() == wanted.keys()
    return all(torch.equal(found[name], wanted[name]) for name in wanted)


@pytest.mark.parametrize("tie", [True, False], ids=["tied", "untied"])
@pytest.mark.parametrize("form", ["single", "sharded", "bin", "sharded bin"])
def test_the_references_layout_loads_in_every_form(tmp_path, form, tie):
    model = foreign.model(tie=tie)
    config, state = foreign.reference_config(tie=tie), foreign.reference_state(model)
    if form == "single":
        foreign.write(tmp_path, config=config, state=state)
    elif form == "bin":
        (tmp_path / "config.json").write_text(json.dumps(config))
        torch.save(state, tmp_path / "pytorch_model.bin")
    else:
        foreign.write_shards(tmp_path, config=config, state=state, pickled=form == "sharded bin")
    loaded, processor, report = load(tmp_path)
    assert same(loaded, model)
    assert loaded.config.feature_levels == [1, 2, 3, 4]
    assert loaded.config.text_config.rope_parameters["rope_theta"] == 1_000_000
    assert processor is None
    assert len(report.dropped) == 7 + 16
    assert report.fresh == report.missing == report.unknown == []
    assert not loaded.training


def test_a_head_that_is_a_copy_of_the_embedding_is_dropped(tmp_path):
    model = foreign.model(tie=True)
    state = foreign.reference_state(model)
    state["lm_head.weight"] = state["model.embed_tokens.weight"].clone()
    loaded, _, report = load(foreign.write(tmp_path, config=foreign.reference_config(tie=True), state=state))
    assert same(loaded, model)
    assert "tied" in report.dropped["lm_head.weight"]
    assert loaded.lm_head.weight is loaded.get_input_embeddings().weight


def test_a_tied_head_that_differs_from_the_embedding_is_refused(tmp_path):
    state = foreign.reference_state(foreign.model(tie=True))
    state["lm_head.weight"] = state["model.embed_tokens.weight"] + 1
    with pytest.raises(CheckpointError, match="set tie_word_embeddings to false"):
        load(foreign.write(tmp_path, config=foreign.reference_config(tie=True), state=state))


def test_a_config_that_does_not_say_ties_where_there_is_no_head(tmp_path):
    config = foreign.reference_config(tie=True)
    del config["tie_word_embeddings"]
    model = foreign.model(tie=True)
    assert load(
        foreign.write(tmp_path / "tied", config=config, state=foreign.reference_state(model))
    ).model.config.tie_word_embeddings
    model = foreign.model(tie=False)
    untied = load(foreign.write(tmp_path / "untied", config=config, state=foreign.reference_state(model))).model
    assert same(untied, model)


def test_a_tower_already_cut_to_the_blocks_it_needs_loads_too(tmp_path):
    model = foreign.model()
    state = {
        k: v for k, v in foreign.reference_state(model).items() if f"encoder.layers.{foreign.LAYERS - 1}." not in k
    }
    assert same(load(foreign.write(tmp_path, config=foreign.reference_config(tie=True), state=state)).model, model)


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod."])
def test_prefixes_of_wrappers_do_not_matter(tmp_path, prefix):
    state = {prefix + name: tensor for name, tensor in foreign.reference_state(foreign.model()).items()}
    assert same(
        load(foreign.write(tmp_path, config=foreign.reference_config(tie=True), state=state)).model, foreign.model()
    )


@pytest.mark.parametrize("rows", [280, 320])
def test_a_vocabulary_cropped_or_padded_keeps_its_rows_and_says_so(tmp_path, rows):
    state = foreign.reference_state(foreign.model(tie=False))
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        state[name] = torch.zeros(rows, 16)
    loaded, _, report = load(foreign.write(tmp_path, config=foreign.reference_config(tie=False), state=state))
    assert loaded.config.text_config.vocab_size == rows
    assert f"config.json says vocab_size 300, the weights have {rows} rows" in str(report)


@pytest.mark.parametrize("tie", [True, False], ids=["tied", "untied"])
def test_the_original_llava_onevision_is_a_start_with_a_fresh_difference_module(tmp_path, tie):
    model = foreign.model(tie=tie)
    config = foreign.reference_config(tie=tie) | {"model_type": "llava", "mm_vision_select_layer": -2}
    del config["cc_expert_args"], config["mm_resampler_type"]
    loaded, _, report = load(foreign.write(tmp_path, config=config, state=foreign.base_state(model)))
    check_base(loaded, model, report)


@pytest.mark.parametrize("tie", [True, False], ids=["tied", "untied"])
@pytest.mark.parametrize("names", [foreign.OLD_TRANSFORMERS_NAMES, foreign.NEW_TRANSFORMERS_NAMES], ids=["old", "new"])
def test_transformers_llava_onevision_is_a_start_with_a_fresh_difference_module(tmp_path, names, tie):
    model = foreign.model(tie=tie)
    state = foreign.transformers_state(model, names)
    loaded, _, report = load_checkpoint(
        foreign.write(tmp_path, config=foreign.transformers_config(tie=tie), state=state)
    )
    check_base(loaded, model, report)
    assert loaded.config.image_token_id == 298
    assert loaded.generation_config.suppress_tokens == [298]


def check_base(loaded, model, report):
    assert loaded.config.feature_levels == [0, 1, 4]
    assert loaded.config.difference_mlp_dim == 4608
    ours = {name: tensor for name, tensor in model.state_dict().items() if ".difference." not in name}
    assert all(torch.equal(loaded.state_dict()[name], tensor) for name, tensor in ours.items())
    assert sorted(report.fresh) == sorted(name for name in loaded.state_dict() if ".difference." in name)
    assert "FRESH" in str(report)
    layer = loaded.model.difference.layers[0]
    assert layer.mlp.lin1.weight.std().item() == pytest.approx(0.02, rel=0.02)
    assert layer.flag_a.weight.std().item() == pytest.approx(0.02, rel=0.25)
    assert torch.all(layer.mlp.lin1.bias == 0)
    assert torch.all(layer.norm1.weight == 1)


def test_what_transformers_itself_saves_is_read_and_computes_the_same(tmp_path):
    torch.manual_seed(1)
    base = LlavaOnevisionForConditionalGeneration(LlavaOnevisionConfig(**foreign.transformers_config(tie=False))).eval()
    base.save_pretrained(tmp_path)
    loaded, _, report = load_checkpoint(tmp_path)
    assert report.fresh
    pixels = torch.rand(3, 3, 28, 28)
    ids = torch.randint(0, 290, (2, 7))
    with torch.no_grad():
        tower = base.model.vision_tower(pixels, output_hidden_states=True).hidden_states[-1]
        assert torch.allclose(loaded.model.vision_tower(pixels)[-1], tower, atol=1e-6)
        assert torch.allclose(loaded.model.projector(tower), base.model.multi_modal_projector(tower), atol=1e-6)
        assert torch.allclose(loaded(input_ids=ids).logits, base(input_ids=ids).logits, atol=1e-6)


def test_our_own_layout_comes_back_with_its_processor(tmp_path):
    model, processor = tiny_ccexpert.make()
    model.save_pretrained(tmp_path, max_shard_size="10KB")
    processor.save_pretrained(tmp_path)
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    loaded, again, report = load_checkpoint(tmp_path)
    assert same(loaded, model)
    assert again.prompt_ids() == processor.prompt_ids()
    assert report.dropped == {}
    assert loaded.config.change_head


def test_a_folder_that_was_saved_by_the_processor_last_still_fits_only_its_own_model(tmp_path):
    model, processor = tiny_ccexpert.make()
    model.save_pretrained(tmp_path)
    processor.tokens_per_image = 4
    processor.save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match=r"4 tokens of id .* the model reads 16"):
        load_checkpoint(tmp_path)


def test_a_tokenizer_makes_the_processor_of_a_foreign_checkpoint(tmp_path):
    folder = foreign.write(
        tmp_path, config=foreign.reference_config(tie=True), state=foreign.reference_state(foreign.model())
    )
    words = tiny_ccexpert.tokenizer()
    loaded, processor, _ = load(folder, tokenizer=words)
    assert loaded.config.image_token_id == processor.image_token_id == words.convert_tokens_to_ids("<image>")
    assert processor.tokens_per_image == 4
    assert loaded.generation_config.eos_token_id == words.convert_tokens_to_ids(END_OF_TURN)
    words.save_pretrained(tmp_path / "words")
    assert load(folder, tokenizer=tmp_path / "words").processor.prompt_ids() == processor.prompt_ids()
    words.save_pretrained(folder)  # as an archive brings it
    assert load(folder).processor.prompt_ids() == processor.prompt_ids()


def test_a_tokenizer_with_more_words_than_the_model_is_refused(tmp_path):
    folder = foreign.write(
        tmp_path, config=foreign.reference_config(tie=True), state=foreign.reference_state(foreign.model())
    )
    words = tiny_ccexpert.tokenizer()
    words.add_tokens([f"word{i}" for i in range(100)])
    with pytest.raises(CheckpointError, match="counts to 359, but the model has 300 words"):
        load(folder, tokenizer=words)


def test_a_tokenizer_that_brings_code_is_not_run(tmp_path):
    folder = foreign.write(
        tmp_path, config=foreign.reference_config(tie=True), state=foreign.reference_state(foreign.model())
    )
    auto_map = {"AutoTokenizer": ["evil.Tokenizer", None]}
    (folder / "tokenizer_config.json").write_text(json.dumps({"auto_map": auto_map, "tokenizer_class": "Evil"}))
    (folder / "evil.py").write_text("raise SystemExit('the code was run')")
    with pytest.raises(CheckpointError, match="tokenizer"):
        load(folder)


@pytest.mark.parametrize("dtype", [None, "float32", torch.float64])
def test_the_dtype_is_the_stored_one_unless_asked_otherwise(tmp_path, dtype):
    state = {name: tensor.bfloat16() for name, tensor in foreign.reference_state(foreign.model()).items()}
    state["model.norm.weight"] = state["model.norm.weight"].float()  # one stray tensor does not decide
    loaded = load(foreign.write(tmp_path, config=foreign.reference_config(tie=True), state=state), dtype=dtype).model
    assert loaded.dtype == {None: torch.bfloat16, "float32": torch.float32}.get(dtype, dtype)


def test_a_file_beside_its_config_will_do(tmp_path):
    model = foreign.model()
    foreign.write_shards(tmp_path, config=foreign.reference_config(tie=True), state=foreign.reference_state(model))
    assert same(load(tmp_path / "model.safetensors.index.json").model, model)
    (tmp_path / "sub").mkdir()
    foreign.write(tmp_path / "sub", config=foreign.reference_config(tie=True), state=foreign.reference_state(model))
    assert same(load(tmp_path / "sub" / "model.safetensors").model, model)


def test_what_is_missing_is_named(tmp_path):
    state = foreign.reference_state(foreign.model())
    del state["model.vision_resampler.layers.1.norm3.bias"], state["model.layers.0.mlp.up_proj.weight"]
    with pytest.raises(CheckpointError) as caught:
        load(foreign.write(tmp_path, config=foreign.reference_config(tie=True), state=state))
    assert "missing: 2 tensors" in str(caught.value)
    assert "model.difference.layers.1.norm3.bias" in str(caught.value)
    assert "fetch all files" in str(caught.value)


def test_a_missing_head_is_missed_where_the_config_says_untied(tmp_path):
    folder = foreign.write(
        tmp_path, config=foreign.reference_config(tie=False), state=foreign.reference_state(foreign.model())
    )
    with pytest.raises(CheckpointError, match=r"missing: 1 tensors\n +lm_head.weight"):
        load(folder)


def test_a_base_with_half_a_difference_module_is_not_completed_in_silence(tmp_path):
    config = foreign.reference_config(tie=True) | {"model_type": "llava"}
    del config["mm_resampler_type"]
    state = {k: v for k, v in foreign.reference_state(foreign.model()).items() if "resampler.layers.1" not in k}
    with pytest.raises(CheckpointError, match="missing"):
        load(foreign.write(tmp_path, config=config, state=state))


def test_shapes_that_differ_are_shown_side_by_side(tmp_path):
    state = foreign.reference_state(foreign.model())
    state["model.mm_projector.0.weight"] = torch.zeros(16, 64)
    with pytest.raises(CheckpointError, match=r"mm_projector.0.weight: expected \[16, 128\] .*found \[16, 64\]"):
        load(foreign.write(tmp_path, config=foreign.reference_config(tie=True), state=state))


def test_what_is_unknown_is_named_and_counted(tmp_path):
    state = foreign.reference_state(foreign.model()) | {f"model.surprise.{i}": torch.zeros(1) for i in range(20)}
    with pytest.raises(CheckpointError, match="unknown: 20 tensors") as caught:
        load(foreign.write(tmp_path, config=foreign.reference_config(tie=True), state=state))
    assert "... and 8 more" in str(caught.value)


def test_two_names_for_one_tensor_are_refused(tmp_path):
    state = foreign.reference_state(foreign.model())
    state["language_model.model.norm.weight"] = state["model.norm.weight"].clone()
    with pytest.raises(CheckpointError, match="unknown: 1"):
        load(foreign.write(tmp_path, config=foreign.reference_config(tie=True), state=state))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"model_type": "llama", "mm_resampler_type": None, "mm_vision_tower": None, "num_key_value_heads": None},
            "projector",
        ),
        ({"mm_projector_type": "linear"}, "mm_projector_type is 'linear'"),
        ({"cc_expert_args": {"downsample_ratio": 2}}, "downsample_ratio is 2"),
        ({"cc_expert_args": {"embedding_dim": 64}}, "64 wide but the tower 128"),
        ({"mm_vision_select_layer": "[-2,-5]"}, "must be ascending"),
    ],
)
def test_models_that_geocc_does_not_build_are_refused(tmp_path, change, message):
    config = foreign.reference_config(tie=True) | change
    if "model_type" in change:
        config = config | {"mm_projector_type": None}
    with pytest.raises(CheckpointError, match=message):
        load(foreign.write(tmp_path, config=config, state=foreign.reference_state(foreign.model())))


@pytest.mark.parametrize(
    ("part", "change", "message"),
    [
        ("vision_config", {"model_type": "clip_vision_model"}, "'clip_vision_model' with 'qwen2'"),
        ("text_config", {"model_type": "llama"}, "'siglip_vision_model' with 'llama'"),
        (None, {"vision_feature_layer": [1, 2]}, r"vision_feature_layer is \[1, 2\]"),
    ],
)
def test_bases_of_other_parts_are_refused(tmp_path, part, change, message):
    config = foreign.transformers_config(tie=True)
    (config if part is None else config[part]).update(change)
    state = foreign.transformers_state(foreign.model(), foreign.OLD_TRANSFORMERS_NAMES)
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(foreign.write(tmp_path, config=config, state=state))


def test_another_kind_of_model_is_refused_by_its_type(tmp_path):
    with pytest.raises(CheckpointError, match="of type 'bert'"):
        load(foreign.write(tmp_path, config={"model_type": "bert"}, state={"x": torch.zeros(1)}))


def test_an_unknown_tower_asks_for_its_config(tmp_path):
    folder = foreign.write(
        tmp_path, config=foreign.reference_config(tie=True), state=foreign.reference_state(foreign.model())
    )
    with pytest.raises(CheckpointError, match=r"'google/siglip-tiny'.*--vision-config"):
        load_checkpoint(folder)


class Canary:
    """Would touch a file when unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize("sharded", [False, True])
def test_weights_that_would_run_code_are_refused_and_not_run(tmp_path, sharded):
    canary = tmp_path / "canary"
    (tmp_path / "config.json").write_text(json.dumps(foreign.reference_config(tie=True)))
    file = tmp_path / ("pytorch_model-00001-of-00001.bin" if sharded else "pytorch_model.bin")
    torch.save({"model.norm.weight": torch.zeros(1), "x": Canary(canary)}, file)
    if sharded:
        (tmp_path / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": {"x": file.name}}))
    with pytest.raises(UnsafeCheckpointError, match="would run code"):
        load(tmp_path)
    assert not canary.exists()


def test_a_bare_pickle_is_refused_and_not_run(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(foreign.reference_config(tie=True)))
    (tmp_path / "pytorch_model.bin").write_bytes(pickle.dumps(Canary(tmp_path / "canary"), protocol=2))
    with pytest.raises(UnsafeCheckpointError):
        load(tmp_path)
    assert not (tmp_path / "canary").exists()


def test_no_kernel_is_fetched_that_a_checkpoint_names(tmp_path):
    config = foreign.transformers_config(tie=True) | {
        "attn_implementation": "evil/kernel",
        "auto_map": {"AutoModel": "x.y"},
    }
    config["text_config"] |= {"attn_implementation": "evil/kernel"}
    config["vision_config"] |= {"_attn_implementation": "evil/kernel"}
    state = foreign.transformers_state(foreign.model(), foreign.OLD_TRANSFORMERS_NAMES)
    loaded = load_checkpoint(foreign.write(tmp_path, config=config, state=state)).model
    assert {part.config._attn_implementation for part in (loaded, loaded.model.language_model)} == {"sdpa"}
    assert not hasattr(loaded.config, "auto_map")


def test_quantized_weights_are_refused(tmp_path):
    config = foreign.reference_config(tie=True) | {"quantization_config": {"quant_method": "gptq"}}
    with pytest.raises(CheckpointError, match="quantized"):
        load(foreign.write(tmp_path, config=config, state=foreign.reference_state(foreign.model())))


def test_a_processor_without_its_tokenizer_is_refused(tmp_path):
    model, processor = tiny_ccexpert.make()
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    for path in tmp_path.glob("tokenizer*"):
        path.unlink()
    with pytest.raises(CheckpointError, match="tokenizer"):
        load_checkpoint(tmp_path)


def test_there_must_be_something(tmp_path):
    with pytest.raises(CheckpointError, match="there is no checkpoint"):
        load_checkpoint(tmp_path / "nothing")
