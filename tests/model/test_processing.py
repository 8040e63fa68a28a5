import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from support import golden, tiny_ccexpert
from transformers import AutoProcessor, AutoTokenizer

from geocc.errors import InputError
from geocc.model import PROMPT, CCExpertConfig, CCExpertProcessor

PREPROCESS = golden.ROOT / "preprocess"
DATA = golden.ROOT.parent / "data"
needs_shared = pytest.mark.skipif(not PREPROCESS.is_dir(), reason=f"no golden numbers in {PREPROCESS}")


@pytest.fixture(scope="module")
def processor():
    return tiny_ccexpert.make()[1]


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (2, 2, 3, 20, 24), dtype=np.uint8)


def pillow(images):
    return [tuple(Image.fromarray(np.moveaxis(image, 0, -1)) for image in pair) for pair in images]


def test_pixels_are_pillows_bicubic_and_the_formula(processor, images):
    values = processor.pixel_values(images)
    assert values.shape == (2, 2, 3, 32, 32)
    assert values.dtype == torch.float32
    for pair, expected in zip(values, pillow(images), strict=True):
        for found, image in zip(pair, expected, strict=True):
            small = np.asarray(image.resize((32, 32), Image.Resampling.BICUBIC))
            formula = ((small / 255).astype(np.float32) - np.float32(0.5)) / np.float32(0.5)
            assert np.array_equal(found.numpy(), np.moveaxis(formula, -1, 0))


def test_arrays_tensors_and_pillow_images_are_the_same(processor, images):
    values = processor.pixel_values(images)
    assert torch.equal(processor.pixel_values(torch.from_numpy(images)), values)
    assert torch.equal(processor.pixel_values(pillow(images)), values)


def test_other_modes_become_rgb_as_pillow_does_it(processor):
    rgb = Image.fromarray(np.random.default_rng(1).integers(0, 256, (9, 7, 3), dtype=np.uint8))
    clear = rgb.copy()
    clear.putalpha(7)
    grey = rgb.convert("L")
    values = processor.pixel_values(
        [(rgb, clear), (grey, grey.convert("RGB")), (rgb.convert("P"), rgb.convert("P").convert("RGB"))]
    )
    assert all(torch.equal(pair[0], pair[1]) for pair in values)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((1, 3, 3, 8, 8), np.uint8), r"\(1, 3, 3, 8, 8\)"),
        (np.zeros((1, 2, 8, 8, 3), np.uint8), r"\(B, T=2, C=3, H, W\)"),
        (np.zeros((1, 2, 3, 8, 8), np.uint16), "dtype uint16"),
        (np.zeros((1, 2, 3, 8, 8), np.float32), "dtype float32"),
        (np.zeros((2, 3, 8, 8), np.uint8), "T=2"),
        ([Image.new("RGB", (8, 8))], "item 0 of images is no pair"),
        ([(Image.new("RGB", (8, 8)),)], "item 0 of images is no pair"),
        ([(Image.new("RGB", (8, 8)), Image.new("I;16", (8, 8)))], "'I;16', deeper than eight bits"),
    ],
)
def test_images_of_another_form_are_refused(processor, images, message):
    with pytest.raises(InputError, match=message):
        processor.pixel_values(images)


def test_a_batch_to_answer_is_padded_on_the_left(processor, images):
    prompts = ["<image><image>", "<image> and then <image>"]
    batch = processor(images, prompt=prompts)
    assert set(batch) == {"input_ids", "attention_mask", "pixel_values"}
    for row, mask, prompt in zip(batch["input_ids"], batch["attention_mask"].bool(), prompts, strict=True):
        assert row[mask].tolist() == processor.prompt_ids(prompt)
        assert mask[-1]
        assert set(row[~mask].tolist()) <= {processor.pad_token_id}


def test_a_batch_to_learn_is_padded_on_the_right(processor, images):
    batch = processor(images, captions=["a", "a longer one"])
    assert batch["attention_mask"][0].tolist() == sorted(batch["attention_mask"][0].tolist(), reverse=True)
    assert torch.all(batch["labels"][batch["attention_mask"] == 0] == -100)
    assert torch.all(batch["labels"][batch["input_ids"] == processor.image_token_id] == -100)
    other = processor(images, captions=["a", "a longer one"], padding_side="left")
    for name in ("input_ids", "labels"):
        for i in range(2):
            real, others = (x["attention_mask"][i].bool() for x in (batch, other))
            assert torch.equal(batch[name][i][real], other[name][i][others])


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_batch_can_be_filled_up_to_a_multiple(processor, images, side):
    captions = ["a", "a longer one"]
    plain = processor(images, captions=captions, padding_side=side)
    filled = processor(images, captions=captions, padding_side=side, pad_to_multiple_of=16)
    longest = plain["input_ids"].shape[1]
    assert filled["input_ids"].shape[1] == -(-longest // 16) * 16 != longest
    there = slice(-longest, None) if side == "left" else slice(longest)
    for name, fill in (("input_ids", processor.pad_token_id), ("attention_mask", 0), ("labels", -100)):
        rest = filled[name].clone()
        assert torch.equal(filled[name][:, there], plain[name])
        rest[:, there] = fill
        assert torch.all(rest == fill)


def test_without_images_there_are_no_pixels(processor):
    assert processor()["input_ids"].tolist() == [processor.prompt_ids()]
    assert (
        processor(captions=["x", "y"], return_tensors=None)["input_ids"][0][-1] == processor.tokenizer.encode("\n")[0]
    )


def test_answers_end_their_turn(processor):
    (ids,) = processor.answer_ids(["no change"])
    assert processor.batch_decode([ids], skip_special_tokens=True) == ["no change"]
    assert ids[-1] == processor.tokenizer.eos_token_id


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"captions": ["only one"]}, r"\[2, 1\]"),
        ({"prompt": ["<image><image>"] * 3}, r"\[2, 3\]"),
        ({"prompt": "<image>"}, "1 <image> markers"),
        ({"prompt": "<image><image><image>"}, "3 <image> markers"),
        ({"padding_side": "up"}, "'left' or 'right'"),
        ({"pad_to_multiple_of": 0}, "pad_to_multiple_of is 0"),
    ],
)
def test_calls_that_do_not_fit_are_refused(processor, images, settings, message):
    with pytest.raises(InputError, match=message):
        processor(images, **settings)


def test_it_comes_back_from_a_folder(images, tmp_path):
    words = tiny_ccexpert.tokenizer()
    config = tiny_ccexpert.make()[0].config
    made = CCExpertProcessor.from_config(config, tokenizer=words, prompt="before <image> after <image>")
    made.save_pretrained(tmp_path)
    for again in (CCExpertProcessor.from_pretrained(tmp_path), AutoProcessor.from_pretrained(tmp_path)):
        assert isinstance(again, CCExpertProcessor)
        assert again.prompt == made.prompt
        assert again.prompt_ids() == made.prompt_ids()
        assert again.image_processor.backend == "pil"
        assert torch.equal(again.pixel_values(images), made.pixel_values(images))


def test_a_tokenizer_without_an_end_of_text_still_pads():
    words = tiny_ccexpert.tokenizer()
    words.pad_token = None
    processor = CCExpertProcessor.from_config(tiny_ccexpert.make()[0].config, tokenizer=words)
    assert processor.pad_token_id == words.eos_token_id


@pytest.fixture(scope="module")
def published():
    if not (DATA / "qwen2_tokenizer").is_dir():
        pytest.skip("no Qwen2 tokenizer in ../shared/data")
    words = AutoTokenizer.from_pretrained(DATA / "qwen2_tokenizer")
    return CCExpertProcessor.from_config(CCExpertConfig(), tokenizer=words)


def collapsed(ids, processor):
    """Write every image slot as the reference's single -200."""
    out = []
    position = 0
    while position < len(ids):
        image = ids[position] == processor.image_token_id
        out.append(golden.REFERENCE_IMAGE if image else ids[position])
        position += processor.tokens_per_image if image else 1
    return out


@pytest.mark.shared
@needs_shared
def test_token_ids_and_labels_equal_the_reference(published):
    expected = json.loads((PREPROCESS / "tokens.json").read_text())
    assert expected["question"] == PROMPT
    assert collapsed(published.prompt_ids(), published) == expected["inference"]["input_ids"]
    assert published.pad_token_id == expected["pad_token_id"]
    for sample in expected["training"]["samples"]:
        batch = published(captions=[sample["caption"]])
        ids, labels = batch["input_ids"][0].tolist(), batch["labels"][0].tolist()
        assert collapsed(ids, published) == sample["input_ids"]
        spoken = [label for token, label in zip(ids, labels, strict=True) if token != published.image_token_id]
        theirs = zip(sample["input_ids"], sample["labels"], strict=True)
        assert spoken == [label for token, label in theirs if token != golden.REFERENCE_IMAGE]


@pytest.mark.shared
@needs_shared
def test_pixels_equal_the_reference_bit_for_bit(published):
    pairs = json.loads((PREPROCESS / "pixels.json").read_text())["pairs"]
    found = {hashlib.sha256(path.read_bytes()).hexdigest(): path for path in DATA.rglob("*.png")}
    compared = 0
    for pair in pairs.values():
        if not {pair["A"]["file_sha256"], pair["B"]["file_sha256"]} <= found.keys():
            continue
        with Image.open(found[pair["A"]["file_sha256"]]) as a, Image.open(found[pair["B"]["file_sha256"]]) as b:
            values = published.pixel_values([(a, b)])[0]
        for value, date in zip(values, "AB", strict=True):
            assert hashlib.sha256(value.numpy().tobytes()).hexdigest() == pair[date]["float32_chw_sha256"]
        compared += 1
    if not compared:
        pytest.skip(f"none of the pictures lie in {Path(DATA)}")
