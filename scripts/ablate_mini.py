"""What geocc-mini owes to its parts: the recipe in short, whole and without one part, with several seeds.

    python scripts/ablate_mini.py /tmp/ablation --data /tmp/geocc-mini/data --real ../shared/data --seeds 0 1 2

The data are those that `build_mini.py` made. Every model starts from nothing and gets the same number of steps: stage 1,
then stage 3, whose rate falls to nothing; without stage 1, its steps too are stage 3's. What is trained and measured already
is not made again, so that the command may be stopped, and two may share a folder if their seeds or arms differ. Each model is
calibrated and measured as geocc-mini is, on fewer pairs.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean
from typing import Any

import yaml
from build_mini import MIXTURE, measure, run_leg
from mini_calibration import CALIBRATION_SCENES, calibrate
from mini_start import save_start
from scipy.stats import mannwhitneyu

STEPS = {1: 300, 3: 300}
BATCH = 32
PAIRS = 1000
REAL = {
    "water gained: said so": "water gained said",
    "unchanged by the masks: called changed": "unchanged called changed",
}
UNCHANGED = 0.02
"""Share of a real tile that changed by its masks, below which it counts as unchanged."""


@dataclass(frozen=True)
class Arm:
    """One way to train.

    Attributes:
        name: What it is called in the table.
        start: How its fresh weights differ.
        stages: The stages it goes through.
        sources: The data it learns from.
        settings: What else is set for its stages.
    """

    name: str
    start: dict[str, object] = field(default_factory=dict)
    stages: tuple[int, ...] = (1, 3)
    sources: tuple[str, ...] = ("synthetic", "real")
    settings: tuple[str, ...] = ()


ARMS = {
    "whole": Arm("the recipe"),
    # Compiled, its first loss is not a number (torch 2.15 on a CPU); the sums are the same without.
    "no-difference": Arm("without difference module", start={"depth": 0}, settings=("recipe.compile=false",)),
    "one-level": Arm("one feature level", start={"levels": [5]}),
    "no-stage-1": Arm("without stage 1", stages=(3,)),
    "no-real": Arm("without real tiles", sources=("synthetic",)),
}


def main() -> None:
    """Train what is missing, and print the table of all that is measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data", type=Path, required=True, help="folder with synthetic.jsonl, real/ and mixture.yaml")
    parser.add_argument("--real", type=Path, default=Path("../shared/data"), help="folder with naip/ and landsat/")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--arms", nargs="+", choices=list(ARMS), default=list(ARMS))
    parser.add_argument("--processes", type=int, default=1, help="that train one model together")
    arguments = parser.parse_args()
    root, data = arguments.folder.absolute(), arguments.data.absolute()
    for seed in arguments.seeds:
        for key in arguments.arms:
            run = root / f"{key}-{seed}"
            if not (run / "figures.json").exists():
                began = time.perf_counter()
                train(run, ARMS[key], data=data, seed=seed, processes=arguments.processes)
                calibrate(run / "stage3/model", run / "model", scenes=CALIBRATION_SCENES[:260])
                measure(run / "model", run / "measures", real=arguments.real, pairs=PAIRS, copies=0)
                (run / "figures.json").write_text(json.dumps(figures(run / "measures"), indent=1))
                print(f"{key}, seed {seed}: {time.perf_counter() - began:.0f} s", flush=True)
    print_table(root, arguments.arms)


def train(run: Path, arm: Arm, *, data: Path, seed: int, processes: int) -> None:
    """Train a model in `run/stage3/model`."""
    run.mkdir(parents=True, exist_ok=True)
    if not (run / "start").exists():
        records = [data / "synthetic.jsonl", data / "real/real.jsonl"]
        save_start(run / "start", records, seed=seed, **arm.start)  # type: ignore[arg-type]  # named as its arguments
    mixture = yaml.safe_load((data / MIXTURE).read_text())
    kept = [one for one in mixture["datasets"] if one["source"] in arm.sources]
    (run / MIXTURE).write_text(yaml.safe_dump({"datasets": kept}))
    for number, stage in enumerate(arm.stages):
        steps = STEPS[stage] if len(arm.stages) > 1 else sum(STEPS.values())
        settings = [
            f"data.train={run / MIXTURE}",
            f"data.root={data}",
            f"recipe.seed={10 * seed + stage}",
            f"recipe.max_steps={steps}",
            f"recipe.checkpoint_every={steps}",
            f"recipe.batch_size={BATCH}",
            f"recipe.micro_batch_size={BATCH // processes}",
            f"model={run / ('start' if not number else f'stage{arm.stages[number - 1]}/model')}",
            "start_from=any",
            *arm.settings,
        ]
        run_leg(run, f"stage{stage}", settings=settings, processes=processes)


def figures(measures: Path) -> dict[str, float]:
    """Return the figures of the table."""
    rows = json.loads((measures / "synthetic/results.json").read_text())["breakdown"]
    (whole,) = (row for row in rows if row["by"] == "all")
    # Who names nothing has no F1.
    found = {name: float(whole[name] or 0) for name in ("auroc", "accuracy", "category_f1")}
    real = json.loads((measures / "real.json").read_text())
    found["real auroc"] = _real_auroc(real["tiles"])
    return found | {
        REAL[r["question"]]: r["share"] for r in real["pairs"] if r["question"] in REAL and r["group"] == "held out"
    }


def _real_auroc(tiles: list[dict[str, Any]]) -> float:
    """Return how often a held-out real tile that changed by its masks has a higher probability than one that did not."""
    fresh = [tile for tile in tiles if tile["held_out"] != "later date only"]
    changed, unchanged = (
        [tile["probability"] for tile in fresh if (tile["changed_share"] >= UNCHANGED) == flag]
        for flag in (True, False)
    )
    return float(mannwhitneyu(changed, unchanged).statistic) / (len(changed) * len(unchanged))


def print_table(root: Path, arms: list[str]) -> None:
    """Print mean, and smallest and largest of the seeds, for every arm that has been measured."""
    for number, key in enumerate(arms):
        found = [json.loads(path.read_text()) for path in sorted(root.glob(f"{key}-*/figures.json"))]
        if number == 0 and found:
            print(f"| | seeds | {' | '.join(found[0])} |\n{'|---' * (2 + len(found[0]))}|")
        if found:
            cells = [[one[name] for one in found] for name in found[0]]
            shown = [f"{mean(cell):.3f} ({min(cell):.3f}-{max(cell):.3f})" for cell in cells]
            print(f"| {ARMS[key].name} | {len(found)} | {' | '.join(shown)} |")


if __name__ == "__main__":
    main()
