import numpy as np
import pytest
import torch
from support import tiny_vlm

from geocc.errors import CaptionError, CheckpointError, ModelNotFoundError
from geocc.inference import TileBatch, TransformersCaptioner
from geocc.inference.captioner import Captioner


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny-vlm")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        tiny_vlm.save(folder)
    return folder


@pytest.fixture(scope="module")
def batch():
    images = np.random.default_rng(0).integers(0, 256, (3, 2, 3, 20, 20), dtype=np.uint8)
    return TileBatch(images=images, tile_ids=("a", "b", "c"))


def test_any_image_text_to_text_model_is_a_captioner(folder, batch):
    captioner = TransformersCaptioner.from_pretrained(folder, dtype="float32", max_new_tokens=5)
    assert isinstance(captioner, Captioner)
    captions = captioner.caption(batch)
    assert len(captions) == 3
    assert all(0 < caption.confidence <= 1 for caption in captions)


def test_a_batch_says_what_its_tiles_say_alone(folder, batch):
    captioner = TransformersCaptioner.from_pretrained(folder, dtype="float32", max_new_tokens=5)
    alone = [
        captioner.caption(TileBatch(images=batch.images[i : i + 1], tile_ids=batch.tile_ids[i : i + 1]))[0]
        for i in range(3)
    ]
    together = captioner.caption(batch)
    assert [caption.text for caption in together] == [caption.text for caption in alone]
    assert [caption.confidence for caption in together] == pytest.approx([caption.confidence for caption in alone])


def test_a_model_that_overflowed_is_an_error(folder, batch):
    captioner = TransformersCaptioner.from_pretrained(folder, dtype="float32", max_new_tokens=5)
    torch.nn.init.constant_(captioner._model.lm_head.weight, float("nan"))
    with pytest.raises(CaptionError, match="3 of 3 tiles is not a number"):
        captioner.caption(batch)


def test_the_fingerprint_follows_the_prompt(folder):
    first, second = (
        TransformersCaptioner.from_pretrained(folder, dtype="float32", prompt=prompt) for prompt in ("What?", "Why?")
    )
    assert first.fingerprint != second.fingerprint


def test_a_processor_without_a_chat_template_is_refused(folder):
    made = TransformersCaptioner.from_pretrained(folder, dtype="float32")
    made._processor.chat_template = None
    with pytest.raises(CheckpointError, match="no chat template"):
        TransformersCaptioner(made._model, made._processor)


def test_a_folder_without_a_model_is_named(tmp_path):
    with pytest.raises(ModelNotFoundError, match=tmp_path.name):
        TransformersCaptioner.from_pretrained(tmp_path)
