"""Many devices: two processes on a CPU, and the configurations that ship."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from support import ddp_worker, tiny_ccexpert, training
from transformers.models.qwen2.modeling_qwen2 import Qwen2DecoderLayer

import geocc.training
from geocc.training import load_config
from geocc.training.tutor import TUTOR_FILE

CONFIGS = Path(geocc.training.__file__).parent / "configs"
ACCELERATE = ["ddp", "fsdp", "zero2", "zero3"]


@pytest.mark.slow
def test_two_processes_have_the_gradients_of_one_with_twice_the_batch(base, records, tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    script = Path(ddp_worker.__file__)
    processes = [
        subprocess.Popen(
            [sys.executable, script, base, records, tmp_path / "two", tmp_path / f"{rank}.pt"],
            env=os.environ
            | {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
            | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    errors = [process.communicate()[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], errors
    expected, loss = ddp_worker.step(base, records, tmp_path / "one", micro_batch_size=4)
    for rank in range(2):
        found = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        assert found["gradients"].keys() == expected.keys()
        for name, gradient in expected.items():
            assert (found["gradients"][name] - gradient).abs().max() < 1e-5, name
        assert found["loss"] == pytest.approx(loss, abs=1e-5)


@pytest.mark.slow
def test_two_processes_write_one_result_with_the_heads_of_training(base, records, tmp_path):
    recipe = {"captions": "none", "change_map_weight": 1.0, "max_steps": 2, "bf16": True, "bf16_weights": True}
    recipe |= {"train": ["vision_tower", "difference_module"], "micro_batch_size": 2, "optimizer": "muon"}
    listed = json.loads(records.read_text())
    for record in listed:
        record["mask_path"] = record["img1_path"]
    masked = records.with_name("masked.json")
    masked.write_text(json.dumps(listed))
    file = tmp_path / "run.yaml"
    file.write_text(yaml.safe_dump(training.settings(base, masked, tmp_path / "out", recipe=recipe)))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    done = subprocess.run(
        [*command, "--module", "geocc", "train", file],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Written to") == 1
    assert {"model.safetensors", TUTOR_FILE} <= {path.name for path in (tmp_path / "out/model").iterdir()}


@pytest.mark.parametrize("name", ACCELERATE)
def test_accelerate_reads_what_ships(name):
    from accelerate.commands.config.config_args import load_config_from_file

    config = load_config_from_file(str(CONFIGS / f"{name}.yaml"))
    assert config.num_processes == 8
    assert config.mixed_precision == "bf16"


def test_the_layers_that_fsdp_wraps_exist():
    content = yaml.safe_load((CONFIGS / "fsdp.yaml").read_text())
    named = content["fsdp_config"]["fsdp_transformer_layer_cls_to_wrap"].split(",")
    model, _ = tiny_ccexpert.make()
    assert set(named) <= {type(module).__name__ for module in model.modules()}
    assert Qwen2DecoderLayer.__name__ in named


@pytest.mark.parametrize("name", ["zero2", "zero3"])
def test_deepspeed_brings_no_optimizer_of_its_own(name):
    # The one in the reference's zero2.json undid the vision tower's learning rate.
    assert "optimizer" not in yaml.safe_load((CONFIGS / f"{name}.yaml").read_text())["deepspeed_config"]


@pytest.mark.parametrize("name", ["stage1", "stage2", "stage3"])
def test_the_stages_ship_as_files_that_are_the_published_recipe(name):
    recipe = load_config(CONFIGS / f"{name}.yaml").recipe
    assert recipe == type(recipe)()
    assert recipe.stage == int(name[-1])


def test_the_lora_file_is_read():
    assert load_config(CONFIGS / "lora.yaml").lora.rank == 16
