"""Training a scout: what it is shown, and that it learns from that."""

from collections import Counter

import numpy as np
import pytest
import torch
from PIL import Image

from geocc.data.records import Record
from geocc.errors import CheckpointError, InputError, ModelNotFoundError, ReadError
from geocc.model.scout import COVERS, ChangeScout, ChangeScoutConfig
from geocc.training.scout import ScoutExample, ScoutRecipe, StoredPairs, read_example, store_pairs, train_scout

SIDE = 32
SIZES = ChangeScoutConfig(image_size=SIDE, stem_width=8, widths=(16, 16), depths=(1, 1), merged_width=8)


def example(rng, *, changed):
    """Noise, seen again a little brighter; perhaps with a white square in it."""
    before = rng.integers(0, 200, (SIDE, SIDE, 3), dtype=np.uint8)
    after = (before + 20).astype(np.uint8)
    mask = np.zeros((SIDE, SIDE), bool)
    if changed:
        mask[8:20, 4:16] = True
        after[mask] = 255
    labels = [mask.astype(np.uint8) * 3, mask.astype(np.uint8) * 5]
    images = [Image.fromarray(before), Image.fromarray(after)]
    return ScoutExample.of(images, changed=changed, mask=mask, labels=labels, side=SIDE)


def test_masks_become_shares_of_cells_and_labels_what_stands_in_their_middle():
    shown = example(np.random.default_rng(0), changed=True)
    assert shown.images.shape == (2, 3, SIDE, SIDE)
    expected = np.zeros((8, 8), np.uint8)
    expected[2:5, 1:4] = 254
    np.testing.assert_array_equal(shown.mask, expected)
    np.testing.assert_array_equal(shown.labels, np.stack([(expected > 0) * 3, (expected > 0) * 5]))


def test_without_a_mask_a_changed_pair_is_unknown_and_an_unchanged_one_known():
    images = [Image.new("RGB", (20, 20))] * 2
    assert (ScoutExample.of(images, changed=True, side=SIDE).mask == 255).all()
    assert (ScoutExample.of(images, changed=False, side=SIDE).mask == 0).all()


def test_a_record_is_read_with_its_mask_and_its_labels(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(tmp_path / f"{name}.png")
    mask = np.zeros((16, 16), np.uint8)
    mask[:8] = 1
    for name, value in (("mask", 255), ("l1", 2), ("l2", 7)):
        Image.fromarray(mask * np.uint8(value)).save(tmp_path / f"{name}.png")
    record = Record(
        uid="one",
        change_flag=1,
        img1_path=tmp_path / "a.png",
        img2_path=tmp_path / "b.png",
        change_caption=["something is new"],
        source="test",
        split="train",
        mask_path=tmp_path / "mask.png",
        label1_path=tmp_path / "l1.png",
        label2_path=tmp_path / "l2.png",
    )
    shown = read_example(record, side=SIDE)
    assert shown.changed
    assert set(shown.mask[:4].flat) == {254}
    assert set(shown.mask[4:].flat) == {0}
    assert shown.labels[:, 0, 0].tolist() == [2, 7]


def test_what_was_not_written_whole_is_refused(tmp_path):
    with pytest.raises(InputError, match="no pairs"):
        store_pairs([], tmp_path / "none")
    store_pairs([example(np.random.default_rng(0), changed=True)], tmp_path / "some")
    assert len(StoredPairs(tmp_path / "some")) == 1
    (tmp_path / "some" / "whole").unlink()
    with pytest.raises(ReadError, match="store_pairs"):
        StoredPairs(tmp_path / "some")


@pytest.mark.parametrize("settings", [{"steps": 0}, {"batch_size": 1}, {"colour": 1.5}, {"covers": 3}, {"stps": 3}])
def test_a_recipe_that_cannot_be_is_refused(settings):
    with pytest.raises(InputError):
        ScoutRecipe(**settings)


def test_a_scout_learns_to_tell_a_new_thing_from_other_light_and_the_run_can_be_resumed(tmp_path):
    rng = np.random.default_rng(0)
    pairs = [
        store_pairs([example(rng, changed=changed) for _ in range(24)], tmp_path / str(changed)) for changed in (0, 1)
    ]
    recipe = ScoutRecipe(steps=120, batch_size=16, warmup_steps=2, learning_rate=5e-3, checkpoint_every=60)
    scout = train_scout(pairs, tmp_path / "run", config=SIZES, recipe=recipe)
    fresh = [example(rng, changed=changed) for changed in (False, True) for _ in range(8)]
    with torch.inference_mode():
        found = scout(scout.pixel_values(torch.from_numpy(np.stack([one.images for one in fresh]))))
    assert found.change_logits[8:].min() > found.change_logits[:8].max()
    inside = torch.from_numpy(np.stack([one.mask for one in fresh[8:]]) > 0)
    assert found.map_logits[8:][inside].mean() > found.map_logits[8:][~inside].mean()
    told = found.cover_logits[8:].argmax(dim=2).movedim(1, -1)[inside].tolist()
    ((before, after), _) = Counter(map(tuple, told)).most_common(1)[0]
    assert (COVERS[before], COVERS[after]) == ("ground", "road")  # 3 and 5
    again = ChangeScout.from_pretrained(tmp_path / "run" / "model").eval()
    resumed = train_scout(
        pairs, tmp_path / "run", config=SIZES, recipe=recipe, resume=True
    )  # there is nothing left to do
    for one, other in zip(again.parameters(), resumed.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


@pytest.mark.parametrize("numbers", [(1, 2), (2, 1)])  # whichever of the two a head begins with
def test_what_lies_on_ground_that_did_not_change_is_learned_too(tmp_path, numbers):
    rng = np.random.default_rng(0)
    sides = [np.zeros((SIDE, SIDE), np.uint8) for _ in range(2)]
    for side, number in zip(sides, numbers, strict=True):
        side[:, : SIDE // 2] = number  # the right half is not known
    rows = []
    for _ in range(24):
        images = [
            Image.fromarray((rng.integers(0, 60, (SIDE, SIDE, 3)) + level).astype(np.uint8)) for level in (40, 180)
        ]
        rows.append(ScoutExample.of(images, changed=False, mask=np.zeros((SIDE, SIDE), bool), labels=sides, side=SIDE))
    recipe = ScoutRecipe(
        steps=60, batch_size=16, warmup_steps=2, learning_rate=5e-3, covers=("one", "other"), cover_weight=0.5
    )
    scout = train_scout([store_pairs(rows, tmp_path / "pairs")], tmp_path / "run", config=SIZES, recipe=recipe)
    with torch.inference_mode():
        found = scout(scout.pixel_values(torch.from_numpy(np.stack([one.images for one in rows[:8]]))))
    told = found.cover_logits.argmax(dim=2)
    right = [(told[:, date] == number - 1).float().mean().item() for date, number in enumerate(numbers)]
    assert min(right) > 0.9
    assert found.change_logits.max() < 0


def test_label_images_of_classes_that_have_no_name_are_refused_and_need_not_be_learned(tmp_path):
    rng = np.random.default_rng(0)
    pairs = [store_pairs([example(rng, changed=True) for _ in range(4)], tmp_path / "pairs")]
    short = {"steps": 1, "batch_size": 4, "warmup_steps": 0}
    with pytest.raises(InputError, match=r"hold the class 5, and there are 2 covers.*ScoutRecipe\(covers="):
        train_scout(pairs, tmp_path / "no", config=SIZES, recipe=ScoutRecipe(**short, covers=("roof", "lawn")))
    scout = train_scout(pairs, tmp_path / "none", config=SIZES, recipe=ScoutRecipe(**short, covers=()))
    assert scout.config.covers == []
    named = tuple("abcde")
    scout = train_scout(
        pairs, tmp_path / "named", start=tmp_path / "none/model", recipe=ScoutRecipe(**short, covers=named)
    )
    assert scout.config.covers == list(named)
    again = train_scout(pairs, tmp_path / "again", start=tmp_path / "named/model", recipe=ScoutRecipe(**short))
    assert again.config.covers == list(named)


def test_a_scout_goes_on_from_another_and_has_its_sizes(tmp_path):
    rng = np.random.default_rng(0)
    pairs = [
        store_pairs([example(rng, changed=changed) for _ in range(8)], tmp_path / str(changed)) for changed in (0, 1)
    ]
    first = train_scout(
        pairs, tmp_path / "first", config=SIZES, recipe=ScoutRecipe(steps=2, batch_size=8, warmup_steps=1)
    )
    slow = ScoutRecipe(steps=1, batch_size=8, warmup_steps=0, learning_rate=1e-7, weight_decay=0, changed_weight=3)
    second = train_scout(pairs, tmp_path / "second", start=tmp_path / "first/model", recipe=slow)
    assert second.config.widths == SIZES.widths
    for one, other in zip(first.parameters(), second.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-6)


def test_a_scout_goes_on_with_larger_images_and_refuses_pairs_of_another_size(tmp_path):
    pairs = [store_pairs([example(np.random.default_rng(0), changed=True) for _ in range(4)], tmp_path / "pairs")]
    short = {"steps": 1, "batch_size": 4, "warmup_steps": 0}
    small = ChangeScoutConfig(**SIZES.to_dict() | {"image_size": SIDE // 2})
    with pytest.raises(InputError, match=r"sides of 32 pixels.*looks at 16.*side=16.*image_size=32"):
        train_scout(pairs, tmp_path / "no", config=small, recipe=ScoutRecipe(**short))
    first = train_scout(pairs, tmp_path / "first", config=small, recipe=ScoutRecipe(**short, image_size=SIDE))
    assert first.config.image_size == SIDE
    first.seeing(SIDE // 2).save_pretrained(tmp_path / "less")
    again = train_scout(
        pairs,
        tmp_path / "more",
        start=tmp_path / "less",
        recipe=ScoutRecipe(**short, learning_rate=1e-9, image_size=SIDE),
    )
    assert again.config.image_size == SIDE
    for one, other in zip(first.parameters(), again.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-6)


def test_a_scout_cannot_start_from_another_and_have_other_sizes_nor_from_what_is_none(tmp_path):
    pairs = [store_pairs([example(np.random.default_rng(0), changed=True)], tmp_path / "pairs")]
    with pytest.raises(InputError, match="leave one of them out"):
        train_scout(pairs, tmp_path / "run", start="geocc-scout", config=SIZES)
    with pytest.raises(CheckpointError, match="change scout"):
        train_scout(pairs, tmp_path / "run", start="geocc-mini")
    with pytest.raises(ModelNotFoundError, match="no model"):
        train_scout(pairs, tmp_path / "run", start="nobody/nothing/nowhere")
    assert not (tmp_path / "run").exists()
