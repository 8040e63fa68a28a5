import pytest
import torch
from support import foreign, tiny_ccexpert
from transformers import AutoConfig, AutoModelForImageTextToText, AutoProcessor, GenerationConfig

from geocc.errors import CheckpointError, ModelNotFoundError, WriteError
from geocc.model import convert_checkpoint


@pytest.fixture
def source(tmp_path):
    model = foreign.model()
    return foreign.write(
        tmp_path / "src", config=foreign.reference_config(tie=True), state=foreign.reference_state(model)
    )


def test_what_is_converted_is_a_transformers_checkpoint(source, tmp_path):
    words = tiny_ccexpert.tokenizer()
    report = convert_checkpoint(source, tmp_path / "dst", vision_config=foreign.TOWER, tokenizer=words)
    assert "used: " in str(report)
    model = AutoModelForImageTextToText.from_pretrained(tmp_path / "dst")
    expected = foreign.model().state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in model.state_dict().items())
    processor = AutoProcessor.from_pretrained(tmp_path / "dst")
    config = AutoConfig.from_pretrained(tmp_path / "dst")
    assert config.image_token_id == processor.image_token_id
    assert config.vision_config.num_hidden_layers == 4
    settings = GenerationConfig.from_pretrained(tmp_path / "dst")
    assert settings.eos_token_id == words.eos_token_id
    assert not settings.do_sample


def test_the_dtype_may_be_chosen(source, tmp_path):
    convert_checkpoint(source, tmp_path / "dst", vision_config=foreign.TOWER, dtype="bfloat16")
    assert AutoModelForImageTextToText.from_pretrained(tmp_path / "dst").dtype == torch.bfloat16


def test_an_empty_folder_is_filled_and_a_full_one_refused(source, tmp_path):
    (tmp_path / "dst").mkdir()
    convert_checkpoint(source, tmp_path / "dst", vision_config=foreign.TOWER)
    before = sorted(path.name for path in (tmp_path / "dst").iterdir())
    with pytest.raises(WriteError, match="exists already"):
        convert_checkpoint(source, tmp_path / "dst", vision_config=foreign.TOWER)
    assert sorted(path.name for path in (tmp_path / "dst").iterdir()) == before


def test_nothing_is_left_behind_when_it_fails(source, tmp_path, monkeypatch):
    with pytest.raises(CheckpointError):
        convert_checkpoint(source, tmp_path / "dst")
    monkeypatch.setattr("transformers.GenerationConfig.save_pretrained", fail)
    with pytest.raises(WriteError, match="no space left"):
        convert_checkpoint(source, tmp_path / "dst", vision_config=foreign.TOWER)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["src"]


def fail(*_, **__):
    raise OSError("no space left")


def test_bars_of_transformers_stay_off_the_screen(source, tmp_path, capfd):
    convert_checkpoint(source, tmp_path / "dst", vision_config=foreign.TOWER)
    assert "%" not in capfd.readouterr().err


def test_a_name_that_is_nowhere_is_refused(tmp_path):
    with pytest.raises(ModelNotFoundError):
        convert_checkpoint("nowhere", tmp_path / "dst")
