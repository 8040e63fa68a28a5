import pytest
from support import foreign, tiny_ccexpert

from geocc.errors import CheckpointError, ModelNotFoundError
from geocc.model import load_captioning_checkpoint


@pytest.fixture
def folder(tmp_path):
    model, processor = tiny_ccexpert.make()
    model.save_pretrained(tmp_path / "own")
    processor.save_pretrained(tmp_path / "own")
    return tmp_path / "own"


def test_a_folder_is_all_a_captioner_needs(folder):
    loaded = load_captioning_checkpoint(folder, dtype="bfloat16", device="cpu")
    assert str(loaded.model.dtype) == "torch.bfloat16"
    assert loaded.processor.tokens_per_image == 16
    assert loaded.report.missing == []


def test_the_revision_follows_the_weights(folder, tmp_path):
    first = load_captioning_checkpoint(folder).revision
    assert len(first) == 64
    assert load_captioning_checkpoint(folder / "model.safetensors").revision == first
    model, processor = tiny_ccexpert.make(seed=1)
    model.save_pretrained(tmp_path / "other")
    processor.save_pretrained(tmp_path / "other")
    assert load_captioning_checkpoint(tmp_path / "other").revision != first


def test_without_a_tokenizer_no_caption_can_be_read(tmp_path):
    model, _ = tiny_ccexpert.make()
    model.save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match="--tokenizer"):
        load_captioning_checkpoint(tmp_path)


def test_a_start_for_training_does_not_caption(tmp_path):
    state = foreign.transformers_state(foreign.model(), foreign.NEW_TRANSFORMERS_NAMES)
    foreign.write(tmp_path, config=foreign.transformers_config(tie=True), state=state)
    tiny_ccexpert.tokenizer().save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match="a start for training"):
        load_captioning_checkpoint(tmp_path)


def test_a_name_that_is_nowhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelNotFoundError):
        load_captioning_checkpoint("nothing")
