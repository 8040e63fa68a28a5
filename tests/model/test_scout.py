"""The change scout: its sizes, and what it makes of pairs."""

import numpy as np
import pytest
import torch
from PIL import Image

from geocc.data.own_region import WATER as INDICES_WATER
from geocc.data.synthetic.cover import LABELS
from geocc.errors import InputError
from geocc.model.scout import COVERS, ChangeScout, ChangeScoutConfig, load_scout


def small_scout(**sizes):
    torch.manual_seed(0)
    given = {"image_size": 32, "stem_width": 4, "widths": (8, 8), "depths": (1, 2), "merged_width": 4} | sizes
    return ChangeScout(ChangeScoutConfig(**given)).eval()


@pytest.mark.parametrize("side", [32, 64])
@torch.inference_mode()
def test_it_gives_a_logit_for_each_pair_and_for_each_cell_of_four_pixels(side):
    scout = small_scout(image_size=side)
    images = torch.randint(0, 256, (3, 2, 3, 50, 50), dtype=torch.uint8)
    found = scout(scout.pixel_values(images))
    assert found.change_logits.shape == (3,)
    assert found.map_logits.shape == (3, side // 4, side // 4)
    assert found.features.shape == (3, 4, side // 4, side // 4)
    assert found.cover_logits is None


@torch.inference_mode()
def test_one_that_tells_covers_apart_says_what_stands_in_each_cell_at_either_date():
    images = torch.randint(0, 256, (3, 2, 3, 50, 50), dtype=torch.uint8)
    scout = small_scout(covers=["water", "trees", "road"], margin=8)
    found = scout(scout.pixel_values(images))
    assert found.cover_logits.shape == (3, 2, 3, 8, 8)
    head = scout.cover_head.weight.flatten(1)
    expected = torch.einsum("ok,bkhw->bohw", head, found.features) + scout.cover_head.bias[:, None, None]
    torch.testing.assert_close(found.cover_logits.flatten(1, 2), expected)


@torch.inference_mode()
def test_a_scout_can_be_made_to_know_covers_and_to_forget_them_with_the_other_weights_as_they_were():
    scout = small_scout()
    pixels = scout.pixel_values(torch.randint(0, 256, (2, 2, 3, 32, 32), dtype=torch.uint8))
    knowing = scout.knowing(["water", "trees"]).eval()
    assert knowing.config.covers == ["water", "trees"]
    assert knowing.knowing(("water", "trees")) is knowing
    others = knowing.knowing(["roof", "lawn", "sand"]).eval()
    for one in (knowing, others, others.knowing([]).eval()):
        torch.testing.assert_close(one(pixels).map_logits, scout(pixels).map_logits, rtol=0, atol=0)
    assert others(pixels).cover_logits.shape[2] == 3
    assert others.knowing([])(pixels).cover_logits is None


def test_geoccs_covers_have_the_numbers_of_its_label_images():
    assert all(COVERS[number - 1] == category for category, number in LABELS.items())
    assert set(COVERS) - {category.value for category in LABELS} == {"vegetation", "ground"}
    assert COVERS[INDICES_WATER - 1] == "water"


@torch.inference_mode()
def test_a_pair_says_the_same_alone_and_in_a_batch_and_whichever_date_comes_first_is_told_apart():
    scout = small_scout()
    pixels = scout.pixel_values(torch.randint(0, 256, (5, 2, 3, 32, 32), dtype=torch.uint8))
    together = scout(pixels).change_logits
    torch.testing.assert_close(together[2:3], scout(pixels[2:3]).change_logits)
    assert not torch.allclose(together, scout(pixels.flip(1)).change_logits)


@torch.inference_mode()
def test_with_a_margin_it_looks_at_the_tile_mirrored_outwards_and_maps_the_tile_alone():
    scout = small_scout(margin=8)
    images = torch.randint(0, 256, (3, 2, 3, 32, 32), dtype=torch.uint8)
    found = scout(scout.pixel_values(images))
    mirrored = torch.from_numpy(np.pad(images.numpy(), [(0, 0)] * 3 + [(8, 8)] * 2, mode="reflect"))
    plain = small_scout(image_size=48)
    plain.load_state_dict(scout.state_dict())
    expected = plain(plain.pixel_values(mirrored))
    torch.testing.assert_close(found.change_logits, expected.change_logits)
    torch.testing.assert_close(found.map_logits, expected.map_logits[:, 2:-2, 2:-2])
    torch.testing.assert_close(found.features, expected.features[:, :, 2:-2, 2:-2])


def test_pixels_are_pillows_bicubic_ones_normalised():
    scout = small_scout()
    picture = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    tile = torch.from_numpy(picture.transpose(2, 0, 1)).expand(1, 2, 3, 40, 40)
    resized = np.asarray(Image.fromarray(picture).resize((32, 32), Image.Resampling.BICUBIC)).transpose(2, 0, 1)
    expected = (resized / 255 - scout.config.image_mean) / scout.config.image_std
    np.testing.assert_allclose(scout.pixel_values(tile)[0, 1].numpy(), expected, atol=1e-6)


@pytest.mark.parametrize("shape", [(2, 3, 32, 32), (1, 3, 3, 32, 32), (1, 2, 4, 32, 32), (1, 2, 3, 32, 30)])
def test_what_is_no_square_pair_of_pictures_is_refused(shape):
    with pytest.raises(InputError, match="expected"):
        small_scout().pixel_values(torch.zeros(shape, dtype=torch.uint8))


@pytest.mark.parametrize(
    "sizes",
    [
        {"widths": ()},
        {"widths": (8,)},
        {"depths": (0, 1)},
        {"widths": (10**9, 8)},
        {"image_size": 36},
        {"margin": 6},
        {"margin": -4},
        {"margin": 32},
        {"covers": ["water"]},
        {"covers": ["water", "water"]},
        {"covers": ["water", ""]},
        {"covers": ["water", "tr\nees"]},
        {"covers": ["water", "x" * 65]},
        {"covers": ["water", 3]},
        {"covers": "water"},
        {"covers": list(map(str, range(255)))},
        {"image_size": 0},
        {"image_size": 2**20},
    ],
)
def test_sizes_that_make_no_network_are_refused(sizes):
    with pytest.raises(InputError, match=r"expected|need a multiple"):
        small_scout(**sizes)


@pytest.mark.parametrize("covers", [[], ["water", "trees"]])
@torch.inference_mode()
def test_it_is_the_same_after_a_round_through_a_folder(tmp_path, covers):
    scout = small_scout(covers=covers)
    scout.save_pretrained(tmp_path)
    again = ChangeScout.from_pretrained(tmp_path).eval()
    pixels = scout.pixel_values(torch.randint(0, 256, (2, 2, 3, 32, 32), dtype=torch.uint8))
    for theirs, ours in zip(again(pixels), scout(pixels), strict=True):
        torch.testing.assert_close(theirs, ours, rtol=0, atol=0)
    assert {file.name for file in tmp_path.iterdir()} == {"config.json", "model.safetensors"}


@torch.inference_mode()
def test_folded_it_says_the_same_without_a_norm_left_and_is_saved_so(tmp_path):
    scout = small_scout(margin=8, covers=["water", "trees"])
    for module in scout.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            for tensor in (module.running_mean, module.weight, module.bias):
                tensor.normal_()
            module.running_var.uniform_(0.5, 2)
    pixels = scout.pixel_values(torch.randint(0, 256, (3, 2, 3, 32, 32), dtype=torch.uint8))
    folded = scout.folded()
    for theirs, ours in zip(folded(pixels), scout(pixels), strict=True):
        torch.testing.assert_close(theirs, ours, atol=1e-5, rtol=1e-5)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in folded.modules())
    assert folded.folded() is folded
    folded.save_pretrained(tmp_path)
    torch.testing.assert_close(load_scout(tmp_path)(pixels).change_logits, folded(pixels).change_logits)
