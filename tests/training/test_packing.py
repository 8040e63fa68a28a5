"""Packed captions against the same captions as samples of their own: loss for loss and gradient for gradient."""

import random

import numpy as np
import pytest
import torch
from PIL import Image
from support import tiny_ccexpert, training
from support.training import config, losses

from geocc.data import Mixture
from geocc.data.mixture import Entry
from geocc.errors import InputError
from geocc.model.packing import branch_mask, branch_positions
from geocc.training import CCExpertTrainer, Lora, PairCollator, add_adapters, train
from geocc.training.augmentation import Augmentation, augment_captions
from geocc.training.dataset import PackedSample, PairDataset, PairSample
from geocc.training.packing import PackedCollator

WORDS = ("a house", "there is no difference", "x", "a road has been built beside the river at the top of the scene")


def pairs(*counts, seed=0):
    """Pairs of noise with so many captions each, of different lengths."""
    rng = np.random.default_rng(seed)
    images = [[Image.fromarray(rng.integers(0, 255, (16, 16, 3), dtype=np.uint8)) for _ in "ab"] for _ in counts]
    return [
        PackedSample(f"pair-{at}", tuple(images[at]), tuple(WORDS[(at + n) % 4] * (1 + n // 4) for n in range(count)), at % 2 > 0)
        for at, count in enumerate(counts)
    ]  # fmt: skip


def one_by_one(samples):
    return [PairSample(s.uid, s.images, caption, s.changed) for s in samples for caption in s.captions]


def collate(kind, processor, samples, **options):
    batch = kind(processor, **options)(samples)
    return {name: value for name, value in batch.items() if name != "record_ids"}


def gradients(model, batch, **options):
    model.zero_grad()
    loss = model(**batch, **options).loss
    loss.backward()
    return loss.item(), {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def compare(model, processor, samples, *, tolerance=1e-5, side="right", change_labels=False, **options):
    # Filled on the left, separate samples have a label that padding predicts (parity NOTES.md 19); packed ones never.
    reference = collate(PairCollator, processor, one_by_one(samples), change_labels=change_labels)
    packed = collate(PackedCollator, processor, samples, padding_side=side, change_labels=change_labels)
    targets = [int((batch["labels"][:, 1:] != -100).sum()) for batch in (reference, packed)]
    assert targets[0] == targets[1]
    dtype = next(model.parameters()).dtype
    for batch in (reference, packed):
        batch["pixel_values"] = batch["pixel_values"].to(dtype)
    expected, wanted = gradients(model, reference, **options)
    loss, found = gradients(model, packed, **options)
    assert loss == pytest.approx(expected, rel=tolerance)
    assert found.keys() == wanted.keys()
    whole = torch.cat([g.flatten() for g in wanted.values()]).norm()
    for name, gradient in wanted.items():
        difference = (found[name] - gradient).norm()
        assert difference <= tolerance * max(gradient.norm(), 1e-2 * whole), (name, difference, gradient.norm())


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("change_head", [False, True])
@pytest.mark.parametrize("counts", [(1,), (6,), (3, 1, 5)])
def test_gradients_are_those_of_separate_samples(side, change_head, counts):
    """Within 1e-5, and of parameters that hardly matter within 1e-7 of all gradients together."""
    model, processor = tiny_ccexpert.make(change_head=change_head)
    compare(model, processor, pairs(*counts), side=side, change_labels=change_head)


def test_in_double_precision_little_is_left_of_the_difference():
    model, processor = tiny_ccexpert.make(change_head=True)
    compare(model.double(), processor, pairs(4, 2), tolerance=1e-6, change_labels=True)


def test_the_loss_is_divided_by_the_targets_of_the_step():
    model, processor = tiny_ccexpert.make(change_head=True)
    compare(model, processor, pairs(2, 3), change_labels=True, num_items_in_batch=torch.tensor(1000))


def test_with_an_attention_that_adds_its_mask():
    model, processor = tiny_ccexpert.make(change_head=False)
    model.set_attn_implementation("eager")
    compare(model, processor, pairs(3, 1), side="left")


def test_with_gradient_checkpointing():
    model, processor = tiny_ccexpert.make(change_head=False)
    getattr(model, "activation_checkpointing_enable", model.gradient_checkpointing_enable)()
    compare(model.train(), processor, pairs(3, 2))


def test_with_adapters():
    model, processor = tiny_ccexpert.make(change_head=False)
    adapted = add_adapters(
        model, Lora(rank=2, alpha=2), train=("difference_module", "projector", "language_model"), base="tiny"
    )
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "lora_B" in name:  # zeros at first: then half of the gradients are
                parameter.normal_(std=0.05, generator=torch.Generator().manual_seed(0))
    compare(adapted.eval(), processor, pairs(3, 2))


@pytest.mark.parametrize("predicted", [False, True])
def test_scoring_targets_only_is_the_loss_of_all_logits(predicted):
    model, processor = tiny_ccexpert.make(change_head=False)
    batch = collate(PairCollator, processor, one_by_one(pairs(2, 3)), padding_side="left")
    expected, wanted = gradients(model, batch)
    if predicted:
        batch["predictors"] = torch.arange(batch["labels"].shape[1] - 1).expand(len(batch["labels"]), -1)
    loss, found = gradients(model, batch, targets_only=True)
    assert loss == pytest.approx(expected, rel=1e-6)
    for name, gradient in wanted.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-5, atol=1e-6)
    assert len(model(**batch, targets_only=True).logits) == int((batch["labels"][:, 1:] != -100).sum())


def test_positions_start_again_and_answers_do_not_see_each_other():
    branches = torch.tensor([[0, 0, 0, 1, 1, 2, -1], [-1, -1, 0, 0, 1, 2, 2]])
    assert branch_positions(branches).tolist() == [[0, 1, 2, 3, 4, 3, 0], [0, 0, 0, 1, 2, 2, 3]]
    seen = branch_mask(branches, implementation="sdpa", dtype=torch.float32)[:, 0].int().tolist()
    assert seen[0][4] == [1, 1, 1, 1, 1, 0, 0]
    assert seen[0][5] == [1, 1, 1, 0, 0, 1, 0]
    assert seen[0][6] == [0, 0, 0, 0, 0, 0, 1]
    assert seen[1][6] == [0, 0, 1, 1, 0, 1, 1]
    added = branch_mask(branches, implementation="eager", dtype=torch.float32)[:, 0]
    assert ((added == 0).int().tolist()) == seen


def test_an_attention_without_such_a_mask_is_refused():
    with pytest.raises(InputError, match="flash"):
        branch_mask(torch.zeros(1, 2), implementation="flash_attention_2", dtype=torch.float32)


def test_a_mask_beside_the_branches_is_refused():
    model, processor = tiny_ccexpert.make(change_head=False)
    batch = collate(PackedCollator, processor, pairs(2))
    with pytest.raises(InputError, match="leave those out"):
        model(**batch, attention_mask=torch.ones_like(batch["input_ids"]))


def test_a_caption_that_is_too_long_is_refused_and_many_short_ones_are_not():
    _, processor = tiny_ccexpert.make()
    (sample,) = pairs(4)
    alone = [len(processor(captions=[caption])["input_ids"][0]) for caption in sample.captions]
    batch = PackedCollator(processor, max_length=max(alone))([sample])
    assert batch["input_ids"].shape[1] > max(alone)
    with pytest.raises(InputError, match=r"'pair-0'.*max_length"):
        PackedCollator(processor, max_length=max(alone) - 1)([sample])


def test_a_step_of_a_run_is_the_step_of_separate_samples(base, records, tmp_path):
    both = [
        train(config(base, records, tmp_path / captions, recipe=shape | {"captions": captions, "max_steps": 1}))
        for captions, shape in (
            ("packed", {"batch_size": 8, "micro_batch_size": 2}),
            ("flatten_list", {"batch_size": 16, "micro_batch_size": 4}),
        )
    ]
    packed, separate = (next(line for line in result.log if "loss" in line) for result in both)
    assert packed["loss"] == pytest.approx(separate["loss"], rel=1e-5)
    assert packed["grad_norm"] == pytest.approx(separate["grad_norm"], rel=1e-4)


def test_a_packed_run_that_was_killed_goes_on_as_if_it_had_not_been(base, records, tmp_path):
    recipe = {"captions": "packed", "max_steps": 6, "batch_size": 4, "micro_batch_size": 2, "epochs": 3}
    straight = train(config(base, records, tmp_path / "straight", recipe=recipe))
    settings = config(base, records, tmp_path / "broken", recipe=recipe)
    with pytest.raises(KeyboardInterrupt):
        training.train_until(settings, step=3)
    resumed = train(settings, resume=True)
    assert losses(resumed) == losses(straight)


def test_each_pair_comes_once_with_all_captions_that_are_kept(records):
    entry = Entry(json_path=records, captions_per_pair=1)
    for kept, entries in ((2, [Entry(json_path=records)]), (1, [entry, entry])):
        samples = Mixture(entries).samples(captions="random_choice", seed=3)
        data = PairDataset(samples, packed=True)
        drawn = [data[at] for at in range(len(data))]
        assert {len(sample.captions) for sample in drawn} == {kept}
        assert sorted(sample.uid for sample in drawn) == sorted(f"pair-0-{n}" for n in range(8) for _ in entries)
    flat = Mixture([entry]).samples(captions="flatten_list", seed=3)
    (record, captions) = flat.with_all_captions(0)
    assert captions == (flat[0].caption,)
    assert record == flat[0].record


def test_a_pair_is_flipped_only_where_all_of_its_captions_stay_true():
    (sample,) = pairs(2)
    settings = Augmentation(horizontal_flip=1.0, location_words="keep_still")
    captions = ("a house appears", "a house appears on the left")
    images, said = augment_captions(sample.images, captions, changed=True, settings=settings, rng=random.Random(0))
    assert (images, said) == (sample.images, captions)
    images, said = augment_captions(sample.images, captions[:1], changed=True, settings=settings, rng=random.Random(0))
    assert images != sample.images


def test_the_trainer_packs_by_the_recipe(base, records, tmp_path):
    settings = config(base, records, tmp_path, recipe={"captions": "packed"})
    model, processor = tiny_ccexpert.make(change_head=False)
    trainer = CCExpertTrainer(model, settings, processor=processor, train_dataset=[])
    assert isinstance(trainer.data_collator, PackedCollator)
