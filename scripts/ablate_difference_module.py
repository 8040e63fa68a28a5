"""The paper's ablation in small: the three stages with and without the difference module, same budget, same seeds.

    python scripts/ablate_difference_module.py /tmp/ablation --seeds 0 1 2

Without it, each image's last feature level goes to the projector as it is, as in plain LLaVA-OneVision, the paper's
baseline. Everything is made here: scenes by `geocc.data.synthetic`, a small model from scratch. About ten minutes a seed on two
cores.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from unittest import mock

import torch
from PIL import Image

from geocc.data.synthetic import training_pairs
from geocc.model import CCExpertConfig, CCExpertForConditionalGeneration, CCExpertProcessor
from geocc.model.difference import Difference, DifferenceModule
from geocc.training import TrainingConfig, train

TILE, PAIRS = 64, {"train": range(1200), "val": range(10_000, 10_300)}
STEPS = {1: 100, 2: 250, 3: 250}


def bypass(_module: DifferenceModule, levels: torch.Tensor) -> Difference:
    """Hand the last feature level on, as if there were no difference module."""
    a, b = levels[-1].unbind(1)
    return Difference(image_a=a, image_b=b, change=b - a, gates=levels.new_ones(levels.shape[:2]))


def save_scenes(folder: Path) -> None:
    """Write tiles of synthetic scenes as records, once; dates differ by what changed and by nothing else."""
    for split, seeds in PAIRS.items():
        (folder / split).mkdir(parents=True)
        records = []
        for number, pair in enumerate(training_pairs(seeds, tile_px=TILE, per_scene=4, nuisance=0, max_shift_px=0)):
            names = [f"{number}_{date}.png" for date in ("t1", "t2")]
            for name, image in zip(names, (pair.t1, pair.t2), strict=True):
                Image.fromarray(image.transpose(1, 2, 0)).save(folder / split / name)
            records.append(
                {
                    "uid": f"{split}-{number}",
                    "change_flag": int(pair.changed),
                    "img1_path": names[0],
                    "img2_path": names[1],
                    "change_caption": [pair.caption],
                    "split": split,
                }
            )
        (folder / split / "records.json").write_text(json.dumps(records))
        print(f"{split}: {len(records)} pairs", flush=True)


def save_start(folder: Path, *, seed: int) -> None:
    """Write a fresh small model with geocc-mini's tokenizer."""
    mini = CCExpertProcessor.from_pretrained(Path(__file__).parents[1] / "geocc/model/weights/geocc-mini")
    words = mini.tokenizer
    config = CCExpertConfig(
        vision_config={
            "hidden_size": 96, "intermediate_size": 192, "num_hidden_layers": 3, "num_attention_heads": 4,
            "image_size": TILE, "patch_size": 8,
        },
        text_config={
            "vocab_size": len(words), "hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 2,
            "num_attention_heads": 4, "num_key_value_heads": 2, "tie_word_embeddings": True,
            "pad_token_id": words.pad_token_id, "eos_token_id": words.eos_token_id,
        },
        feature_levels=[1, 2, 3],
        difference_head_dim=32,
        difference_mlp_dim=192,
        image_token_id=words.convert_tokens_to_ids("<image>"),
    )  # fmt: skip
    torch.manual_seed(seed)
    CCExpertForConditionalGeneration(config).save_pretrained(folder)
    CCExpertProcessor.from_config(config, tokenizer=words).save_pretrained(folder)


def run(folder: Path, *, seed: int, scenes: Path, metrics: list[str]) -> dict[str, float]:
    """Train the three stages and return the figures of the last evaluation."""
    start = folder / "start"
    save_start(start, seed=seed)
    for stage, steps in STEPS.items():
        evaluation = {
            "records": scenes / "val/records.json", "metrics": metrics, "best": "accuracy", "max_new_tokens": 40,
            "batch_size": 32,
        }  # fmt: skip
        config = TrainingConfig(
            model=str(start),
            output=folder / f"stage{stage}",
            recipe={
                "stage": stage, "max_steps": steps, "epochs": 1000, "batch_size": 16, "micro_batch_size": 16,
                "learning_rate": 1e-3, "part_learning_rates": {}, "checkpoint_every": steps, "bf16": False,
                "compile": False, "gradient_checkpointing": False, "seed": seed,
            },
            data={"train": str(scenes / "train/records.json"), "check_images": "none"},
            evaluation=evaluation if stage == 3 else None,
            log_every=50,
            device="cpu",
        )  # fmt: skip
        result = train(config)
        start = result.folder
    return {k.removeprefix("eval_"): v for line in result.log for k, v in line.items() if k.startswith("eval_")}


def main() -> None:
    """Train with and without the module for each seed, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--variants", nargs="+", default=["with", "without"])
    parser.add_argument("--metrics", nargs="+", default=["bleu", "meteor", "rouge", "cider"])
    arguments = parser.parse_args()
    scenes = arguments.folder / "scenes"
    if not scenes.exists():
        save_scenes(scenes)
    for seed in arguments.seeds:
        for variant in arguments.variants:
            began = time.perf_counter()
            folder = arguments.folder / f"{variant}-{seed}"
            if variant == "with":
                figures = run(folder, seed=seed, scenes=scenes, metrics=arguments.metrics)
            else:
                with mock.patch.object(DifferenceModule, "forward", bypass):
                    figures = run(folder, seed=seed, scenes=scenes, metrics=arguments.metrics)
            shown = {name: round(value, 2) for name, value in figures.items() if "/" not in name}
            print(f"RESULT seed {seed} {variant:<8} {time.perf_counter() - began:.0f} s {shown}", flush=True)


if __name__ == "__main__":
    main()
