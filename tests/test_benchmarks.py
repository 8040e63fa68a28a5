"""The speed benchmarks run from end to end, on a model that is hardly there."""

import importlib
import math
import sys
from pathlib import Path

import pytest
import torch

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
TINY = {
    "vision_config": {
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 3,
        "num_attention_heads": 2,
        "image_size": 32,
        "patch_size": 8,
    },
    "text_config": {
        "vocab_size": 1100,
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "tie_word_embeddings": True,
    },
    "feature_levels": [1, 2, 3],
    "difference_head_dim": 8,
    "difference_mlp_dim": 64,
    "image_token_id": 1099,
}


@pytest.fixture
def load(monkeypatch):
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])

    def load(name):
        module = importlib.import_module(name)
        if hasattr(module, "_SMALL"):
            monkeypatch.setattr(module, "_SMALL", TINY)
        return module

    return load


def test_the_work_of_a_pair_is_that_of_the_architecture(load):
    flops = load("flops")
    config = importlib.import_module("geocc.model").CCExpertConfig.ccexpert("0.5b")
    assert flops.tower(config) == pytest.approx(1283.6e9, rel=0.002)
    assert flops.module(config) == pytest.approx(760.4e9, rel=0.001)
    assert flops.projector(config) == pytest.approx(5.35e9, rel=0.01)
    assert flops.reading(config, tokens=1502) == pytest.approx((1074.9 + 97.0 + 0.27) * 1e9, rel=0.002)


def test_the_reference_way_says_the_same(load, monkeypatch, capsys):
    bench = load("inference_cpu")
    monkeypatch.setattr(bench.flops, "product_rate", lambda *_, **__: 1e9)
    monkeypatch.setattr(sys, "argv", ["inference_cpu.py", "--small", "--rounds", "1", "--batch", "2", "--equal", "4"])
    bench.main()
    said = capsys.readouterr().out
    assert "4 of 4 answers equal the reference's" in said
    assert "| bfloat16, ours, batch 2, draft right |" in said
    assert "| float32, plain LLaVA-OneVision |" in said


def test_plain_llava_reads_both_images_and_says_what_generate_says(load):
    plain, cpu = load("plain_llava"), load("inference_cpu")
    model = cpu.make_model(small=True, dtype=torch.float32)
    prompt, pixels = cpu.prompt_of(model.config), torch.rand(1, 2, 3, 32, 32)
    answers = [plain.PlainLlava(model).answer(seen, prompt, tokens=4) for seen in (pixels, pixels.flip(1))]
    assert all(len(answer) == 4 for answer in answers)
    ids = plain._with_separators(prompt[0], image=model.config.image_token_id)
    assert int((ids == model.config.image_token_id).sum()) == 2 * (model.config.tokens_per_image + 1)
    assert ids[ids != model.config.image_token_id].tolist() == list(range(1000, 1044))


def test_the_allocator_is_chosen_before_anything_is_measured(load, monkeypatch):
    cpu, started = load("inference_cpu"), []
    monkeypatch.setattr(cpu.os, "execve", lambda *args: started.append(args))
    for name in cpu.KEEPING:
        monkeypatch.delenv(name, raising=False)
    cpu._use("default")
    assert started == []
    cpu._use("keeping")
    assert cpu.KEEPING.items() <= started[0][2].items()
    for name, value in cpu.KEEPING.items():
        monkeypatch.setenv(name, value)
    cpu._use("keeping")
    assert len(started) == 1
    cpu._use("default")
    assert not cpu.KEEPING.keys() & started[1][2].keys()


def test_everything_that_a_gpu_would_run_runs(load):
    gpu = load("gpu")
    report = gpu.main(
        ["--device", "cpu", "--small", "--no-compile", "--batches", "1", "2", "--training", "1", "--minutes", "9"]
    )
    lines = report["small"]
    assert all("skipped" not in str(value) for value in lines.values())
    assert {"batch 1", "batch 2", "vision tower", "prompt", "training, batch 1"} < lines.keys()
    assert torch.get_default_dtype() == torch.float32
    assert math.isfinite(lines["matrix product, TFLOP/s"])


def test_what_comes_after_the_last_minute_is_skipped(load):
    gpu = load("gpu")
    report = gpu.main(["--device", "cpu", "--small", "--no-compile", "--minutes", "0"])
    assert report["small"]["batch 1"] == "skipped: out of time"
