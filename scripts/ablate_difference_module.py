"""The paper's ablation in small: three stages with and without the difference module, same start, budget and seeds.

    python scripts/ablate_difference_module.py /tmp/ablation --seeds 0 1 2

The stages are the three files in `scripts/three_stages`. The start is geocc-mini's tower, projector and language model, as
the paper starts from LLaVA-OneVision's; the difference module is fresh, or left out (`difference_depth=0`), so that each
image's last feature level goes to the projector as it is. Scenes, masks and captions are made by `geocc.data.synthetic`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import time
from pathlib import Path

import torch
from PIL import Image

from geocc.data.synthetic import training_pairs
from geocc.model import CCExpertConfig, CCExpertForConditionalGeneration, CCExpertProcessor
from geocc.training import load_config, train

HERE = Path(__file__).parent
MINI = HERE.parent / "geocc/model/weights/geocc-mini"
SPLITS = {"train": (range(1500), 4), "val": (range(100_000, 100_260), 2)}
"""Scenes by seed, and the most tiles to cut from one."""
INPUT_PX = 128
DEPTHS = {"with": 2, "without": 0}


def save_scenes(folder: Path) -> None:
    """Write tiles of synthetic scenes, their change masks and captions as records, once."""
    for split, (seeds, per_scene) in SPLITS.items():
        (folder / split).mkdir(parents=True)
        records = []
        for number, pair in enumerate(training_pairs(seeds, per_scene=per_scene)):
            names = [f"{number}_{part}.png" for part in ("t1", "t2", "mask")]
            for name, image in zip(names, (pair.t1, pair.t2), strict=False):
                picture = Image.fromarray(image.transpose(1, 2, 0))
                picture.resize((INPUT_PX, INPUT_PX), Image.Resampling.BICUBIC).save(folder / split / name)
            Image.fromarray(pair.description.mask).save(folder / split / names[2])
            records.append(
                {
                    "uid": f"{split}-{number}",
                    "change_flag": int(pair.changed),
                    "img1_path": names[0],
                    "img2_path": names[1],
                    "mask_path": names[2],
                    "change_caption": [pair.caption],
                    "split": split,
                }
            )
        (folder / split / "records.json").write_text(json.dumps(records))
        print(f"{split}: {len(records)} pairs", flush=True)


def save_start(folder: Path, *, seed: int, depth: int) -> None:
    """Write geocc-mini with a fresh difference module of so many layers."""
    mini = CCExpertForConditionalGeneration.from_pretrained(MINI).float()
    sizes = mini.config.to_dict() | {"difference_depth": depth, "change_head": False}
    names = [name for name in sizes if name.startswith("difference_")]
    config = CCExpertConfig(
        **{name: sizes[name] for name in [*names, "vision_config", "text_config", "feature_levels", "image_token_id"]}
    )
    torch.manual_seed(seed)
    model = CCExpertForConditionalGeneration(config)
    for module in model.model.difference.modules():
        if isinstance(module, torch.nn.Linear):
            # Transformers' 0.02 is for wide models.
            torch.nn.init.normal_(module.weight, std=(2 / sum(module.weight.shape)) ** 0.5)
    kept = {k: v for k, v in mini.state_dict().items() if ".difference." not in k and ".change_head." not in k}
    model.load_state_dict(kept, strict=False)
    model.save_pretrained(folder)
    CCExpertProcessor.from_pretrained(MINI).save_pretrained(folder)


def run(folder: Path, *, seed: int, variant: str, scenes: Path) -> dict[str, float]:
    """Train the three stages and return the figures of the last evaluation."""
    save_start(folder / "start", seed=seed, depth=DEPTHS[variant])
    for stage in (1, 2, 3):
        if stage < 3 and (folder / f"stage{stage}/model").exists():
            continue  # of a run that was stopped
        settings = [f"recipe.seed={seed}", f"data.train={scenes / 'train/records.json'}"]
        if stage == 1 and variant == "without":
            settings.append("recipe.train=[projector]")
        if stage == 3:
            settings.append(f"evaluation.records={scenes / 'val/records.json'}")
        with contextlib.chdir(folder):
            result = train(load_config(HERE / "three_stages" / f"stage{stage}.yaml", settings))
    return {k.removeprefix("eval_"): v for line in result.log for k, v in line.items() if k.startswith("eval_")}


def main() -> None:
    """Train with and without the module for each seed, and print a line for each run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--variants", nargs="+", choices=list(DEPTHS), default=list(DEPTHS))
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.set_flush_denormal(True)
    root = arguments.folder.absolute()
    if not (root / "scenes/val/records.json").exists():
        save_scenes(root / "scenes")
    for seed in arguments.seeds:
        for variant in arguments.variants:
            began = time.perf_counter()
            figures = run(root / f"{variant}-{seed}", seed=seed, variant=variant, scenes=root / "scenes")
            shown = {name: round(value, 2) for name, value in figures.items() if "/" not in name}
            print(f"RESULT seed {seed} {variant:<8} {time.perf_counter() - began:.0f} s {shown}", flush=True)


if __name__ == "__main__":
    main()
