import json

import pytest
import torch
from safetensors.torch import save_file

from geocc.errors import CheckpointError
from geocc.model.checkpoints.files import WeightFiles, read_json

STATE = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.ones(4, dtype=torch.bfloat16), "n": torch.tensor([1, 2])}


def test_safetensors_go_before_pickles(tmp_path):
    save_file(STATE, tmp_path / "model.safetensors")
    torch.save({"other": torch.zeros(1)}, tmp_path / "pytorch_model.bin")
    torch.save({"other": torch.zeros(1)}, tmp_path / "training_args.bin")
    files = WeightFiles(tmp_path)
    assert files.shapes == {"a": (2, 3), "b": (4,), "n": (2,)}
    assert [files.dtypes[name] for name in "abn"] == [torch.float32, torch.bfloat16, None]
    assert torch.equal(dict(files.read(["a"]))["a"], STATE["a"])


@pytest.mark.parametrize("legacy", [False, True])
def test_pickled_tensors_are_read_with_or_without_the_zip_form(tmp_path, legacy):
    torch.save(STATE, tmp_path / "pytorch_model.bin", _use_new_zipfile_serialization=not legacy)
    files = WeightFiles(tmp_path)
    assert files.shapes == {"a": (2, 3), "b": (4,), "n": (2,)}
    assert {name: tensor.tolist() for name, tensor in files.read(["a", "b"])} == {
        "a": [[0, 1, 2], [3, 4, 5]],
        "b": [1, 1, 1, 1],
    }


def test_an_empty_folder_says_what_it_holds(tmp_path):
    (tmp_path / "adapter_model.safetensors").touch()
    with pytest.raises(CheckpointError, match=r"no weights in .*found \['adapter_model.safetensors'\]"):
        WeightFiles(tmp_path)


@pytest.mark.parametrize(
    ("index", "message"),
    [
        ({"weight_map": {"a": "../a.safetensors"}}, "points out of its folder"),
        ({"weight_map": {"a": "/etc/passwd"}}, "points out of its folder"),
        ({"weight_map": {"a": "model-00001-of-00002.safetensors"}}, "are missing"),
        ({"weight_map": {"a": 1}}, "no weight_map"),
        ({}, "no weight_map"),
        ([], "holds a list"),
        ("{", "holds a str"),
    ],
)
def test_a_bad_index_is_refused(tmp_path, index, message):
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(CheckpointError, match=message):
        WeightFiles(tmp_path)


def test_one_name_in_two_files_is_refused(tmp_path):
    save_file({"a": torch.zeros(1)}, tmp_path / "model-1.safetensors")
    save_file({"a": torch.ones(1)}, tmp_path / "model-2.safetensors")
    with pytest.raises(CheckpointError, match=r"a lies both in model-1.safetensors and in model-2.safetensors"):
        WeightFiles(tmp_path)


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_a_truncated_file_is_refused(tmp_path, name):
    whole = tmp_path / "whole"
    if name.endswith("bin"):
        torch.save(STATE, whole)
    else:
        save_file(STATE, whole)
    (tmp_path / name).write_bytes(whole.read_bytes()[:-50])
    with pytest.raises(CheckpointError, match="damaged"):
        WeightFiles(tmp_path)


def test_a_pickle_of_something_else_is_refused(tmp_path):
    torch.save([1, 2], tmp_path / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="holds no table of tensors"):
        WeightFiles(tmp_path)


def test_json_that_is_none_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="is missing"):
        read_json(tmp_path / "config.json")
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(CheckpointError, match="cannot be read as JSON"):
        read_json(tmp_path / "config.json")
