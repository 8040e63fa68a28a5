import itertools
import math
import shutil

import numpy as np
import pytest
import torch
from support import tiny_ccexpert

from geocc.errors import CaptionError, InputError
from geocc.inference import NO_CHANGE_SENTENCES, CCExpertCaptioner, TileBatch
from geocc.inference.captioner import Captioner
from geocc.inference.decoding import answer_probability, read_prompts
from geocc.inference.drafts import AnswerTree


@pytest.fixture(scope="module")
def batch():
    images = np.random.default_rng(3).integers(0, 256, (5, 2, 3, 20, 20), dtype=np.uint8)
    return TileBatch(images=images, tile_ids=tuple("abcde"))


@pytest.fixture(scope="module", params=[True, False], ids=["change head", "no change head"])
def parts(request):
    return tiny_ccexpert.make(change_head=request.param)


def one(batch, i):
    return TileBatch(images=batch.images[i : i + 1], tile_ids=batch.tile_ids[i : i + 1])


def test_it_is_a_captioner(parts):
    assert isinstance(CCExpertCaptioner(*parts), Captioner)


def test_a_batch_says_what_its_tiles_say_alone(parts, batch):
    captioner = CCExpertCaptioner(*parts, max_new_tokens=8)
    together = captioner.caption(batch)
    alone = [captioner.caption(one(batch, i))[0] for i in range(5)]
    assert [caption.text for caption in together] == [caption.text for caption in alone]
    for name in ("change_probability", "confidence"):
        expected = [getattr(caption, name) for caption in alone]
        assert [getattr(caption, name) for caption in together] == pytest.approx(expected, rel=1e-4)


def test_the_change_head_speaks_where_there_is_one(batch):
    model, processor = tiny_ccexpert.make()
    captions = CCExpertCaptioner(model, processor, max_new_tokens=4).caption(batch)
    with torch.inference_mode():
        logits = model.get_image_features(processor.pixel_values(batch.images)).change_logits
    assert [caption.change_probability for caption in captions] == pytest.approx(logits.sigmoid().tolist(), rel=1e-4)
    assert [caption.changed for caption in captions] == (logits >= 0).tolist()


def test_without_a_head_changed_follows_the_text(batch, monkeypatch):
    model, processor = tiny_ccexpert.make(change_head=False)
    captioner = CCExpertCaptioner(model, processor, max_new_tokens=4)
    says = iter(["The scene is the same as before.", "a house appears", "", "no change has occurred", "x"])
    monkeypatch.setattr(processor, "batch_decode", lambda *_, **__: list(itertools.islice(says, 5)))
    assert [caption.changed for caption in captioner.caption(batch)] == [False, True, True, False, True]


def test_tiles_below_the_gate_are_not_decoded(batch):
    model, processor = tiny_ccexpert.make()
    free = CCExpertCaptioner(model, processor, max_new_tokens=4).caption(batch)
    middle = float(np.median([caption.change_probability for caption in free]))
    gated = CCExpertCaptioner(model, processor, max_new_tokens=4, skip_unchanged=middle + 1e-6).caption(batch)
    for spoken, caption in zip(free, gated, strict=True):
        assert caption.decoded == (spoken.change_probability > middle)
        assert caption.text == (spoken.text if caption.decoded else NO_CHANGE_SENTENCES[0])
        assert math.isnan(caption.confidence) != caption.decoded
    assert not all(caption.decoded for caption in gated)


def test_a_gate_that_spares_every_tile_needs_no_language_model(batch):
    captioner = CCExpertCaptioner(*tiny_ccexpert.make(), skip_unchanged=1.0)
    assert {caption.decoded for caption in captioner.caption(batch)} == {False}


def test_confidence_is_the_geometric_mean_of_the_tokens_probabilities(batch):
    model, processor = tiny_ccexpert.make()
    caption = CCExpertCaptioner(model, processor, max_new_tokens=6, agreeing=False).caption(one(batch, 2))[0]
    # One forward pass over prompt and answer, instead of the captioner's step by step.
    inputs = processor(batch.images[2:3])
    with torch.inference_mode():
        ids = model.generate(**inputs, do_sample=False, max_new_tokens=6)
        full = model(input_ids=ids, pixel_values=inputs["pixel_values"]).logits.log_softmax(-1)
    start = inputs["input_ids"].shape[1]
    tokens = ids[0, start:]
    chosen = full[0, start - 1 : -1].gather(-1, tokens[:, None])
    assert caption.confidence == pytest.approx(chosen.mean().exp().item(), rel=1e-4)


def test_the_probability_of_no_change_is_the_sum_over_the_sentences(batch):
    model, processor = tiny_ccexpert.make(change_head=False)
    sentences = processor.answer_ids(["ab", "c", "dogs"])
    prompt = torch.tensor(processor.prompt_ids())
    expected = []
    with torch.inference_mode():
        features = model.get_image_features(processor.pixel_values(batch.images)).image_features
        tree = AnswerTree.from_answers(sentences)
        measured = answer_probability(read_prompts(model, prompt.expand(5, -1), features, tree=tree))
        for i in range(5):
            total = 0.0
            for sentence in sentences:
                ids = torch.cat([prompt, torch.tensor(sentence)])[None]
                logits = model(input_ids=ids, image_features=features[i : i + 1]).logits[0].log_softmax(-1)
                total += sum(logits[len(prompt) - 1 + j, token].item() for j, token in enumerate(sentence)).__rpow__(
                    math.e
                )
            expected.append(total)
    assert measured.tolist() == pytest.approx(expected, rel=1e-3)


def test_the_fingerprint_follows_prompt_decoding_and_weights():
    model, processor = tiny_ccexpert.make()
    made = [
        CCExpertCaptioner(model, processor, **options)
        for options in (
            {},
            {"max_new_tokens": 5},
            {"prompt": "<image><image>?"},
            {"revision": "other"},
            {"skip_unchanged": 0.5},
        )
    ]
    assert len({captioner.fingerprint for captioner in made}) == 5
    assert made[0].fingerprint == CCExpertCaptioner(model, processor).fingerprint


def test_compiling_is_asked_of_the_parts_that_gain_and_shows_in_the_details(monkeypatch):
    parts = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self, **_: parts.append(type(self).__name__))
    captioner = CCExpertCaptioner(*tiny_ccexpert.make(), compiled=True)
    assert parts == ["FeatureTower", "DifferenceModule"]
    assert captioner.details["compiled"]


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch compiles for a CPU by g++")
def test_compiled_parts_say_what_the_plain_ones_say_whatever_the_batch(batch):
    model, processor = tiny_ccexpert.make()
    sizes = (3, 5)
    parts = [TileBatch(images=batch.images[:size], tile_ids=batch.tile_ids[:size]) for size in sizes]
    plain = CCExpertCaptioner(model, processor, max_new_tokens=4)
    expected = [plain.caption(part) for part in parts]
    quick = CCExpertCaptioner(model, processor, max_new_tokens=4, compiled=True)
    for part, wanted in zip(parts, expected, strict=True):
        said = quick.caption(part)
        assert [caption.text for caption in said] == [caption.text for caption in wanted]
        found = [caption.change_probability for caption in said]
        assert found == pytest.approx([caption.change_probability for caption in wanted], abs=1e-5)


@pytest.mark.parametrize("skip_unchanged", [None, 0.5])
def test_a_change_head_that_overflowed_is_an_error_and_not_an_unchanged_tile(batch, skip_unchanged):
    model, processor = tiny_ccexpert.make()
    torch.nn.init.constant_(model.model.change_head.pair_2.bias, math.nan)
    captioner = CCExpertCaptioner(model, processor, max_new_tokens=4, skip_unchanged=skip_unchanged)
    with pytest.raises(CaptionError, match=r"5 of 5 tiles is not a number \(NaN\) in float32.*dtype='bfloat16'"):
        captioner.caption(batch)


@pytest.mark.parametrize("change_head", [True, False])
def test_words_of_a_model_that_overflowed_are_an_error(batch, change_head):
    model, processor = tiny_ccexpert.make(change_head=change_head)
    torch.nn.init.constant_(model.model.language_model.norm.weight, math.nan)
    with pytest.raises(CaptionError, match="is not a number"):
        CCExpertCaptioner(model, processor, max_new_tokens=4).caption(batch)


def test_a_gate_needs_a_change_head():
    with pytest.raises(InputError, match=r"skip_unchanged=0.5 needs a model with a change head.*geocc-mini"):
        CCExpertCaptioner(*tiny_ccexpert.make(change_head=False), skip_unchanged=0.5)


def test_a_prompt_needs_two_slots():
    with pytest.raises(InputError, match="holds 1 <image>"):
        CCExpertCaptioner(*tiny_ccexpert.make(), prompt="What is in <image>?")


def test_captions_need_room():
    with pytest.raises(InputError, match="max_new_tokens is 0"):
        CCExpertCaptioner(*tiny_ccexpert.make(), max_new_tokens=0)


def test_a_folder_is_a_captioner(tmp_path, batch):
    model, processor = tiny_ccexpert.make()
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    loaded = CCExpertCaptioner.from_pretrained(tmp_path, device="cpu", dtype="float32", max_new_tokens=4)
    expected = CCExpertCaptioner(model, processor, max_new_tokens=4)
    assert loaded.caption(batch) == expected.caption(batch)
    assert loaded.input_size == 32
    assert loaded.bytes_free() > loaded.bytes_per_pair > 0
