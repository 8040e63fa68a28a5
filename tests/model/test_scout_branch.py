"""A change scout inside a CCExpert model: what of it reaches which tokens, and what becomes of it in files and in training."""

import numpy as np
import pytest
import torch
from support import tiny_ccexpert

from geocc.errors import CheckpointError, InputError
from geocc.inference import CCExpertCaptioner, EncodeOnce, TileBatch
from geocc.model import CCExpertConfig, load_checkpoint
from geocc.training import PARTS, count_parameters, set_trainable
from geocc.training.adapters import add_adapters
from geocc.training.configuration import Lora


@pytest.fixture
def model():
    return tiny_ccexpert.make(scout=True)[0]


@pytest.fixture
def pixels():
    return torch.rand(3, 2, 3, 32, 32, generator=torch.Generator().manual_seed(1)) * 2 - 1


def told(model, pixels):
    with torch.inference_mode():
        return model.get_image_features(pixels)


def scout_says(model, pixels):
    scout = model.model.scout_branch.scout
    with torch.inference_mode():
        return scout((pixels / 2 + 0.5 - scout.config.image_mean) / scout.config.image_std)


def read_nothing(model):
    """Let the branch add nothing anywhere."""
    branch = model.model.scout_branch
    for layer in (branch.change, branch.image_a, branch.image_b, branch.pair):
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    if branch.covers is not None:
        torch.nn.init.zeros_(branch.covers.weight)


def test_a_branch_that_adds_nothing_leaves_the_model_as_it_is_without_one(model, pixels):
    read_nothing(model)
    plain = tiny_ccexpert.make()[0]
    shared = {name: tensor for name, tensor in model.state_dict().items() if "scout_branch" not in name}
    plain.load_state_dict(shared)
    for name, expected in told(plain, pixels).items():
        torch.testing.assert_close(told(model, pixels)[name], expected)


def test_every_token_gets_the_cells_that_it_covers(model, pixels):
    before = told(model, pixels).change_features
    read_nothing(model)
    without = told(model, pixels).change_features
    assert not torch.allclose(before, without)
    cells = scout_says(model, pixels).map_logits
    assert cells.shape == (3, 8, 8)  # 4 x 4 tokens of 2 x 2 cells
    # Channels of a token: four normed features, the map, the pair; of each the four cells.
    weight = model.model.scout_branch.change.weight.data
    weight[0, 4 * 4 : 5 * 4] = 1
    found = told(model, pixels).change_features - without
    expected = 0.2 * cells.reshape(3, 4, 2, 4, 2).sum(dim=(2, 4)).flatten(1)
    torch.testing.assert_close(found[..., 0], expected, atol=1e-5, rtol=1e-5)
    assert not found[..., 1:].any()


@pytest.mark.parametrize("side", [32, 48])
def test_every_token_is_told_what_its_ground_was_and_became(pixels, side):
    model, _ = tiny_ccexpert.make(scout=side, covers=("water", "trees", "road"))
    seen = torch.nn.functional.interpolate(pixels.flatten(0, 1), size=side).unflatten(0, (3, 2))
    read_nothing(model)
    without = told(model, seen).change_features
    found = scout_says(model, seen)
    sure = found.map_logits.sigmoid()[:, None, None] * found.cover_logits.softmax(dim=2)  # B, T=2, covers, cells, cells
    cells = side // 4 // 4  # of a token's side
    squares = (
        sure.unfold(3, cells, cells).unfold(4, cells, cells).flatten(5).flatten(3, 4)
    )  # ..., tokens, cells of each
    weight = model.model.scout_branch.covers.weight.data
    assert weight.shape == (16, 2 * 2 * 3)
    # Channels: the shares of three covers at the earlier date and at the later one, then the surest cell of each.
    weight[0, 4] = 1  # trees that came
    weight[1, 6 + 2] = 1  # a road that went
    more = told(model, seen).change_features - without
    torch.testing.assert_close(more[..., 0], squares[:, 1, 1].mean(dim=-1).sqrt(), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(more[..., 1], squares[:, 0, 2].amax(dim=-1), atol=1e-5, rtol=1e-5)
    assert not more[..., 2:].any()


def test_its_logit_adds_to_the_pair_s(model, pixels):
    read_nothing(model)
    without = told(model, pixels).change_logits
    model.model.scout_branch.pair.weight.data.fill_(0.5)
    expected = without + 0.5 * scout_says(model, pixels).change_logits
    torch.testing.assert_close(told(model, pixels).change_logits, expected)


def test_features_alone_are_refused(model, pixels):
    levels = model.model.vision_tower(pixels.flatten(0, 1)).unflatten(1, (-1, 2))
    torch.testing.assert_close(
        model.model.compare_dates(levels, pixel_values=pixels).change_logits, told(model, pixels).change_logits
    )
    with pytest.raises(InputError, match="give it pixel_values too"):
        model.model.compare_dates(levels)


def test_it_is_saved_and_loaded_with_the_model(model, pixels, tmp_path):
    model.save_pretrained(tmp_path)
    loaded = load_checkpoint(tmp_path).model
    found = loaded.config.scout_config.to_dict()
    assert {name: found[name] for name in tiny_ccexpert.SCOUT} == tiny_ccexpert.SCOUT
    torch.testing.assert_close(told(loaded, pixels).change_logits, told(model, pixels).change_logits)


def test_a_scout_whose_weights_are_missing_is_refused(model, tmp_path):
    plain = tiny_ccexpert.make()[0]
    plain.config.scout_config = model.config.scout_config
    plain.save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match="scout_branch"):
        load_checkpoint(tmp_path)


def test_a_scout_may_look_at_finer_pixels_than_the_tower():
    model, processor = tiny_ccexpert.make(scout=48)
    images = np.random.default_rng(0).integers(0, 256, (3, 2, 3, 60, 60), dtype=np.uint8)
    pixels = processor.pixel_values(images)
    assert pixels.shape == (3, 2, 3, 48, 48)
    assert model.config.input_size == CCExpertCaptioner(model, processor).input_size == 48
    # What it is told counts in full, as that of a scout which looks at the tower's own pixels.
    logits = scout_says(model, pixels).change_logits
    before = told(model, pixels).change_logits
    model.model.scout_branch.pair.weight.data.add_(1)
    torch.testing.assert_close(told(model, pixels).change_logits, before + logits)
    # The tower sees what it would have seen of the same images at its own size.
    small = tiny_ccexpert.make()[1]
    smooth = np.kron(
        np.random.default_rng(1).integers(0, 256, (3, 2, 3, 4, 4), dtype=np.uint8), np.ones((15, 15), np.uint8)
    )
    for seen, close in ((images, 0.75), (smooth, 0.97)):
        own = model.model.encode_images(processor.pixel_values(seen).flatten(0, 1))
        levels = model.model.vision_tower(small.pixel_values(seen).flatten(0, 1))
        assert torch.cosine_similarity(own.flatten(), levels.flatten(), dim=0) > close


def test_cells_of_finer_pixels_lie_where_the_tokens_that_get_them_lie(pixels):
    model, _ = tiny_ccexpert.make(scout=64)
    fine = torch.nn.functional.interpolate(pixels.flatten(0, 1), scale_factor=2).unflatten(0, (3, 2))
    read_nothing(model)
    without = told(model, fine).change_features
    cells = scout_says(model, fine).map_logits
    assert cells.shape == (3, 16, 16)
    model.model.scout_branch.change.weight.data[0, 4 * 4 : 5 * 4] = 1
    found = (told(model, fine).change_features - without)[..., 0].unflatten(1, (4, 4))
    # An antialiased filter reaches over the edges of a token; what it finds goes with the mean of the token's own cells.
    expected = 0.2 * 4 * cells.reshape(3, 4, 4, 4, 4).mean(dim=(2, 4))
    both = torch.stack([found.flatten(), expected.flatten()])
    assert torch.corrcoef(both)[0, 1] > 0.9
    turned = torch.stack([found.flip(-1).flatten(), expected.flatten()])
    assert torch.corrcoef(turned)[0, 1] < 0.7


def test_pixels_of_the_tower_s_size_are_refused_by_a_model_whose_scout_looks_closer(pixels):
    model, _ = tiny_ccexpert.make(scout=48)
    with pytest.raises(InputError, match=r"\(32, 32\).*\(48, 48\).*from_config"):
        told(model, pixels)


@pytest.mark.parametrize("change", [{"image_size": 16}, {"image_size": 0}, {"widths": []}])
def test_a_scout_that_does_not_fit_the_tower_is_refused(model, change):
    settings = model.config.to_dict()
    settings["scout_config"] |= change
    with pytest.raises(InputError, match=r"image_size|widths"):
        CCExpertConfig.from_dict(settings)


def test_tokens_that_cut_through_cells_are_refused(model):
    settings = model.config.to_dict()
    settings["vision_config"]["patch_size"] = 10
    with pytest.raises(InputError, match="3 tokens per side"):
        CCExpertConfig.from_dict(settings)


def test_weights_in_bfloat16_take_pixels_in_float32(model, pixels):
    expected = told(model, pixels).change_logits
    found = told(model.bfloat16(), pixels).change_logits
    torch.testing.assert_close(found.float(), expected, atol=0.5, rtol=0.1)


@pytest.mark.parametrize("side", [32, 48])
def test_dates_encoded_once_are_shown_to_the_scout_as_well(side):
    model, processor = tiny_ccexpert.make(scout=side)
    captioner = CCExpertCaptioner(model, processor, max_new_tokens=4)
    images = np.random.default_rng(0).integers(0, 256, (4, 2, 3, 32, 32), dtype=np.uint8)
    batch = TileBatch(images=images, tile_ids=tuple("abcd"))
    once = EncodeOnce(captioner, keep=8)
    for found, expected in zip(once.caption(batch), captioner.caption(batch), strict=True):
        assert found.text == expected.text
        assert found.change_probability == pytest.approx(expected.change_probability, abs=1e-6)


def test_the_scout_stays_as_it_is_while_all_else_trains(model):
    trained = set(set_trainable(model, PARTS))
    frozen = {name for name, _ in model.named_parameters()} - trained
    assert frozen
    assert {name for name in frozen if not name.startswith("model.scout_branch.scout.")} == set()
    counts = count_parameters(model.named_parameters())
    every, learns = counts["difference_module"]
    assert every - learns == sum(parameter.numel() for parameter in model.model.scout_branch.scout.parameters())


@pytest.mark.parametrize("covers", [(), ("water", "trees")])
def test_adapters_go_onto_what_reads_the_scout_and_not_into_it(covers):
    model, _ = tiny_ccexpert.make(scout=True, covers=covers)
    wrapped = add_adapters(model, Lora(rank=2), train=["difference_module"], base="tiny")
    adapted = {name.split(".lora_A")[0] for name, _ in wrapped.named_parameters() if ".lora_A" in name}
    inside = {name.removeprefix("base_model.model.model.") for name in adapted if "scout_branch" in name}
    told = {"covers"} if covers else set()
    assert inside == {f"scout_branch.{name}" for name in {"change", "image_a", "image_b", "pair"} | told}
