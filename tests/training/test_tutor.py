"""Lessons from change masks: what they teach, and that no model carries them away."""

import json
import math

import numpy as np
import pytest
import torch
from PIL import Image
from support import training

from geocc.errors import InputError, ReadError
from geocc.model import CCExpertForConditionalGeneration
from geocc.training import Augmentation, Data, PairDataset, train
from geocc.training.change_maps import ChangeImages, change_map
from geocc.training.data import open_mixture
from geocc.training.tutor import TUTOR_FILE, attach_tutor


@pytest.fixture
def masked(tmp_path):
    path = training.save_records(tmp_path / "masked")
    records = json.loads(path.read_text())
    for record in records:
        if record["change_flag"]:
            mask = np.zeros((16, 16), np.uint8)
            mask[4:12, 4:12] = 255
            Image.fromarray(mask).save(path.parent / f"{record['uid']}.png")
            record["mask_path"] = f"{record['uid']}.png"
    path.write_text(json.dumps(records))
    return path


def taught(base, records, output, **more):
    recipe = {"change_map_weight": 2.0} | more.pop("recipe", {})
    return training.config(base, records, output, recipe=recipe, **more)


@pytest.mark.parametrize("scale", [1, 3])
@pytest.mark.parametrize("kind", ["L", "1"])
def test_a_map_is_the_share_of_each_token_up_to_a_twelfth(scale, kind):
    mask = np.zeros((16, 16), bool)
    mask[0, 0] = True  # a sixteenth of the first token
    mask[4:8, 12:16] = True
    image = Image.fromarray(np.kron(mask, np.ones((scale, scale), bool))).convert(kind)
    found = change_map(ChangeImages(image), changed=True, grid=4).reshape(4, 4)
    expected = torch.zeros(4, 4)
    expected[0, 0] = (1 / 16) / 0.08
    expected[1, 3] = 1
    assert torch.allclose(found, expected, atol=1e-6)


def test_without_a_mask_only_an_unchanged_pair_is_known():
    assert change_map(ChangeImages(), changed=True, grid=2).isnan().all()
    assert not change_map(ChangeImages(), changed=False, grid=2).any()


def test_labels_tell_what_came_and_what_went():
    before, after = np.zeros((2, 8, 8), np.uint8)
    before[:4, :4], after[:4, :4] = 1, 3
    before[4:, 4:], after[4:, 4:] = 2, 1
    labels = Image.fromarray(before), Image.fromarray(after)
    found = change_map(ChangeImages(labels=labels, classes=(1, 3)), changed=True, grid=2, classes=3)
    assert found.shape == (4, 7)
    nan = torch.nan
    # changed, then new 1 2 3, then gone 1 2 3; of class 2 nothing is known, and without a mask nothing of the whole
    expected = torch.tensor([[nan, 0, nan, 1, 1, nan, 0], [nan, 0, nan, 0, 0, nan, 0], [nan, 1, nan, 0, 0, nan, 0]])
    assert torch.allclose(found[[0, 1, 3]], expected, equal_nan=True)
    assert not change_map(ChangeImages(labels=labels), changed=False, grid=2, classes=3).any()


def test_the_loss_is_the_captions_and_the_known_tokens(base):
    model = CCExpertForConditionalGeneration.from_pretrained(base)
    grid = model.config.grid_size
    pixels = torch.randn(2, 2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    words = torch.tensor([model.config.image_token_id] * 2 * grid**2 + [1, 2]).expand(2, -1)
    batch = {"input_ids": words, "pixel_values": pixels, "labels": words.where(words < 3, -100)}
    maps = torch.stack([torch.linspace(0, 1, grid**2), torch.full((grid**2,), torch.nan)])[..., None]
    bare = model(**batch).loss
    attach_tutor(model, weight=3.0, seed=0, start=base)
    images, tutor = model.get_image_features(pixels), model.change_tutor
    change = tutor.seen(tutor.norm(images.change_features))[0, :, 0]
    told = tutor.told(torch.cat([images.image_features[:, 0], images.image_features[:, 1]], dim=-1))[0, :, 0]
    expected = 0.0
    for logits in (change, told):
        p = torch.sigmoid(logits)
        truth = maps[0, :, 0]
        expected += -(4 * truth * p.log() + (1 - truth) * (1 - p).log()).mean()
    places = tutor.place(images.image_features).unflatten(-1, (2, grid)).log_softmax(dim=-1)
    for token in range(grid**2):
        row, column = divmod(token, grid)
        expected -= (places[:, :, token, 0, row] + places[:, :, token, 1, column]).mean() / 2 / 4 / grid**2
    assert torch.allclose(model(**batch, change_maps=maps).loss, bare + 3 * expected, atol=1e-5)


def test_fresh_heads_expect_no_class_so_that_unchanged_ground_teaches_them_little(base):
    pixels = torch.randn(2, 2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    losses = []
    for classes in (0, 13):
        model = CCExpertForConditionalGeneration.from_pretrained(base)
        attach_tutor(model, weight=1.0, seed=0, start=base, classes=classes)
        maps = torch.zeros(2, model.config.grid_size**2, 1 + 2 * classes)
        losses.append(model.change_tutor(model.get_image_features(pixels), maps).item())
    # At even odds each of the 26 would add a quarter of log 2, twice.
    assert losses[1] - losses[0] < 0.2 * 26 * 0.5 * math.log(2)


def test_the_heads_stay_out_of_the_model_and_wait_beside_it(base, masked, tmp_path):
    first = train(taught(base, masked, tmp_path / "one"))
    model, notes = CCExpertForConditionalGeneration.from_pretrained(first.folder, output_loading_info=True)
    assert model.change_tutor is None
    assert not notes["unexpected_keys"]
    assert not notes["missing_keys"]
    assert (first.folder / TUTOR_FILE).is_file()
    attach_tutor(model, weight=1.0, seed=99, start=first.folder)
    fresh = CCExpertForConditionalGeneration.from_pretrained(base)
    attach_tutor(fresh, weight=1.0, seed=99, start=base)
    assert not torch.equal(model.change_tutor.seen.weight, fresh.change_tutor.seen.weight)
    second = train(taught(first.folder, masked, tmp_path / "two", recipe={"stage": 2}))
    assert second.steps > 0


def test_a_killed_run_goes_on_with_its_heads(base, masked, tmp_path):
    whole = train(taught(base, masked, tmp_path / "whole"))
    cut = taught(base, masked, tmp_path / "cut")
    with pytest.raises(KeyboardInterrupt):
        training.train_until(cut, step=3)
    again = train(cut, resume=True)
    assert training.losses(again)[-1] == pytest.approx(training.losses(whole)[-1], abs=1e-6)


def test_masks_are_asked_for_before_the_first_step(base, records, masked, tmp_path):
    with pytest.raises(InputError, match="mask_path"):
        train(taught(base, records, tmp_path / "none"))
    next(masked.parent.glob("pair-*.png")).unlink()
    with pytest.raises(ReadError, match="mask_path"):
        train(taught(base, masked, tmp_path / "lost"))


@pytest.mark.parametrize("captions", ["flatten_list", "packed"])
def test_a_flip_turns_the_mask_with_the_pair(masked, captions):
    records = json.loads(masked.read_text())
    lit = next(record for record in records if record["change_flag"])
    mask = np.zeros((16, 16), np.uint8)
    mask[:4, :8] = 255
    Image.fromarray(mask).save(masked.parent / lit["mask_path"])
    masked.write_text(json.dumps([lit | {"change_caption": ["a house appears on the left"]}]))
    samples = open_mixture(Data(train=str(masked))).samples(captions="random_choice", seed=0)
    turned = PairDataset(
        samples,
        augmentation=Augmentation(horizontal_flip=1, vertical_flip=1, location_words="swap", colour=0.2),
        packed=captions == "packed",
        masks=True,
    )[0]
    assert np.array_equal(np.asarray(turned.truth.mask), mask[::-1, ::-1])


def labelled(path):
    """Give changed records label images: class 2 became class 1 where the mask is."""
    records = json.loads(path.read_text())
    for record in records:
        if record["change_flag"]:
            mask = np.asarray(Image.open(path.parent / record["mask_path"])) > 0
            for key, value in (("label1", 2), ("label2", 1)):
                Image.fromarray(np.where(mask, value, 0).astype(np.uint8)).save(
                    path.parent / f"{record['uid']}-{key}.png"
                )
                record[f"{key}_path"] = f"{record['uid']}-{key}.png"
    path.write_text(json.dumps(records))
    return path


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_the_eye_alone_learns_from_labels_without_a_word(base, masked, tmp_path, optimizer):
    recipe = {
        "captions": "none",
        "train": ["vision_tower", "difference_module", "projector"],
        "change_classes": 2,
        "optimizer": optimizer,
        "max_steps": 6,
        "learning_rate": 1e-2,
    }
    config = taught(base, labelled(masked), tmp_path / "eye", recipe=recipe)
    result = train(config)
    losses = training.losses(result)
    assert losses[-1] < losses[0]
    before, after = (
        CCExpertForConditionalGeneration.from_pretrained(path).state_dict() for path in (base, result.folder)
    )
    moved = {name.split(".")[1] for name in before if not torch.equal(before[name], after[name])}
    assert {"vision_tower", "difference", "projector"} <= moved
    assert not {"language_model", "weight"} & moved


@pytest.mark.parametrize("recipe", [{}, {"bf16": True, "bf16_weights": True}], ids=["float32", "bfloat16"])
def test_a_run_by_muon_goes_on_where_it_was_killed(base, masked, tmp_path, recipe):
    recipe = {"optimizer": "muon"} | recipe
    whole = train(taught(base, masked, tmp_path / "whole", recipe=recipe))
    cut = taught(base, masked, tmp_path / "cut", recipe=recipe)
    with pytest.raises(KeyboardInterrupt):
        training.train_until(cut, step=3)
    again = train(cut, resume=True)
    one, two = (CCExpertForConditionalGeneration.from_pretrained(run.folder).state_dict() for run in (whole, again))
    assert all(torch.allclose(one[name], two[name], atol=1e-6) for name in one)


def test_a_label_image_in_colours_is_refused(base, masked, tmp_path):
    path = labelled(masked)
    next(path.parent.glob("*-label1.png")).write_bytes(b"")
    recipe = {"change_classes": 2}
    with pytest.raises(ReadError, match="label1_path"):
        train(taught(base, path, tmp_path / "broken", recipe=recipe))
    coloured = next(path.parent.glob("*-label1.png"))
    Image.new("RGB", (16, 16)).save(coloured)
    with pytest.raises(ReadError, match="one channel"):
        train(taught(base, path, tmp_path / "coloured", recipe=recipe))


@pytest.mark.parametrize(
    "recipe", [{"captions": "none", "change_map_weight": 0.0}, {"captions": "none", "train": ["language_model"]}]
)
def test_a_stage_without_words_must_teach_something(base, masked, tmp_path, recipe):
    with pytest.raises(InputError, match="captions is 'none'"):
        taught(base, masked, tmp_path / "nothing", recipe=recipe)


def test_packed_pairs_learn_from_masks_too(base, masked, tmp_path):
    result = train(taught(base, masked, tmp_path / "packed", recipe={"captions": "packed"}))
    assert (result.folder / TUTOR_FILE).is_file()


def test_an_adapter_cannot_carry_them(base, masked, tmp_path):
    with pytest.raises(InputError, match="change_map_weight"):
        taught(base, masked, tmp_path / "lora", lora={})
