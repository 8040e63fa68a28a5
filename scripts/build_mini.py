"""Build geocc-mini from nothing: data, start, three stages and eight legs more of `geocc train`, calibration, measures and card.

    python scripts/build_mini.py /tmp/geocc-mini --real ../shared/data --out geocc/model/weights/geocc-mini

Before the last leg a change scout is put into the model, geocc-scout if none is named (`build_scout.py`, from the same data).
With `--short` it is in from the start, and three stages of fewer steps are all: for a geocc-mini of one's own in an hour and a half.

What is there already is not made again, and a stage that was stopped goes on from its last checkpoint.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

from mini_calibration import calibrate
from mini_card import write_card
from mini_pictures import draw_sheets
from mini_scout import SCOUT, add_scout
from mini_start import save_start

HERE = Path(__file__).parent
ROOT = HERE.parent
SHIPPED = ROOT / "geocc/model/weights/geocc-mini"
MIXTURE = "mixture.yaml"
_LATER = ("last", "further", "kinds", "ground", "fresh", "seasons", "border", "patches")
SHORT_MIXTURE = "short_mixture.yaml"
MIXTURES = {leg: f"{leg}_mixture.yaml" for leg in _LATER}
"""Of the legs whose mixture is not that of the three stages."""
LEGS = {
    "stage1": 1,
    "stage2": 2,
    "stage3": 3,
    "last": 44,
    "further": 45,
    "kinds": 46,
    "ground": 47,
    "fresh": 48,
    "seasons": 49,
    "border": 50,
    "patches": 51,
}
"""The legs of training, each with what it adds to the seed."""
PAINTED = ((1.0, 1), (0.5, 1), (0.5, 2), (0.6, 2), (0.25, 2), (0.17, 2), (0.17, 2))
"""Of each edition of the synthetic pairs: what share of its shards is made, and how many views of each pair."""
SHORT_FIRST = 3
"""Edition that the mixture of the short build begins with."""
SHORT = {"stage1": 350, "stage2": 250, "stage3": 2350}
"""Steps of the three stages of the short build."""
HELD_OUT_PAIRS = 2000
COPIED_TILES = 500


def main() -> None:
    """Build."""
    arguments = _arguments()
    root = arguments.folder.absolute()
    first = SHORT_FIRST if arguments.short else 0
    make_data(root / "data", real=arguments.real, workers=arguments.processes, first=first)
    began = time.perf_counter()
    build = train_short if arguments.short else train
    trained = build(root, scout=arguments.scout.absolute(), seed=arguments.seed, processes=arguments.processes)
    # The card tells of the long build, and what the package ships is that.
    out = (arguments.out or (root / "model" if arguments.short else SHIPPED)).absolute()
    calibrate(trained, out, real=arguments.real)
    minutes = (time.perf_counter() - began) / 60
    print(f"trained in {minutes:.0f} minutes", flush=True)
    measure(out, root / "measures", real=arguments.real)
    draw_sheets(out)
    if not arguments.short:
        write_card(out, root / "measures", minutes=minutes)


def make_data(folder: Path, *, real: Path, workers: int, first: int = 0) -> None:
    """Render synthetic pairs and cut real ones, and write the mixtures of both.

    Args:
        folder: Where to.
        real: Folder with `naip/` and `landsat/`.
        workers: How many processes render.
        first: The first edition of the synthetic pairs that is needed.
    """
    for edition, (share, views) in enumerate(PAINTED):
        if edition >= first:
            choice = ("--edition", edition, "--share", share, "--views", views)
            _python(HERE / "mini_data.py", folder, "--workers", workers, *choice)
    for name, choice in (
        ("real.jsonl", ()),
        ("real-1.jsonl", ("--edition", 1, "--pairs", 14_400)),
        ("real-2.jsonl", ("--edition", 2, "--pairs", 14_400)),
        ("real-3.jsonl", ("--edition", 3, "--pairs", 14_400)),
    ):
        if not (folder / "real" / name).exists():
            _python(HERE / "mini_real_data.py", folder / "real", "--data", real, *choice)
    for name in (MIXTURE, SHORT_MIXTURE, *MIXTURES.values()):
        (folder / name).write_text((HERE / "mini" / name).read_text())


def train(root: Path, *, scout: Path, seed: int, processes: int) -> Path:
    """Run the three stages and the eight legs after them in `root/run`, one process of one thread for each core.

    Returns:
        The folder of the trained model.
    """
    run, data = root / "run", root / "data"
    run.mkdir(parents=True, exist_ok=True)
    if not (run / "start").exists():
        save_start(run / "start", [data / "synthetic.jsonl", data / "real/real.jsonl"], seed=seed)
    for leg, number in LEGS.items():
        if leg == "last" and not (run / "scouted").exists():
            add_scout(run / "stage3/model", run / "scouted", scout=scout, seed=seed, covers=False)
        if leg == "kinds" and not (run / "covered").exists():
            add_scout(run / "further/model", run / "covered", scout=scout, seed=seed)
        settings = [f"data.train={data / MIXTURES.get(leg, MIXTURE)}", f"recipe.seed={seed + number}"]
        run_leg(run, leg, settings=settings, processes=processes)
    return run / "patches/model"


def train_short(root: Path, *, scout: Path, seed: int, processes: int) -> Path:
    """Run three stages of fewer steps in `root/run`, with the scout in the model from the start.

    Returns:
        The folder of the trained model.
    """
    run, data = root / "run", root / "data"
    run.mkdir(parents=True, exist_ok=True)
    if not (run / "bare").exists():
        save_start(run / "bare", [data / "synthetic-3.jsonl", data / "real/real.jsonl"], seed=seed)
    if not (run / "start").exists():
        add_scout(run / "bare", run / "start", scout=scout, seed=seed)
    for number, (stage, steps) in enumerate(SHORT.items(), start=1):
        settings = [f"data.train={data / SHORT_MIXTURE}", f"recipe.max_steps={steps}", f"recipe.seed={seed + number}"]
        run_leg(run, stage, settings=settings, processes=processes)
    return run / "stage3/model"


def run_leg(run: Path, leg: str, *, settings: list[str], processes: int) -> None:
    """Train one leg in `run`, one process of one thread for each core, unless it is trained.

    Args:
        run: Folder of the run, relative to which the leg's file names its start and its output.
        leg: Name of its file in `mini` and of its output.
        settings: What to set otherwise than the file does.
        processes: How many train together.
    """
    output = run / leg
    if (output / "model").exists():
        return
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", processes]
    more = ["--resume"] if any(output.glob("checkpoint-*/geocc_training.json")) else []
    command = [*launch, "--module", "geocc", "train", HERE / f"mini/{leg}.yaml", *more, *settings]
    with (run / f"{leg}.log").open("a") as log:
        subprocess.run(  # noqa: S603  # our own command
            [str(part) for part in command],
            check=True,
            cwd=run,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            stdout=log,
        )
    print(f"{leg} done", flush=True)


def measure(model: Path, folder: Path, *, real: Path, pairs: int = HELD_OUT_PAIRS, copies: int = COPIED_TILES) -> None:
    """Measure a model on held-out synthetic pairs of all domains, and on held-out ground and dates of the real series.

    Args:
        model: Its folder.
        folder: Where the figures go.
        real: Folder with `naip/` and `landsat/`.
        pairs: How many synthetic pairs.
        copies: How many real tiles are shown beside copies of themselves.
    """
    folder.mkdir(parents=True, exist_ok=True)
    benchmark = ["-m", "geocc", "benchmark", "synthetic", "--domain", "all", "--pairs", pairs, "--breakdown"]
    _python(*benchmark, "--model", model, "--output", folder / "synthetic", "--bootstrap", 0)
    tiles = ["--data", real, "--tiles", copies]
    _python(ROOT / "benchmarks/mini_real.py", "--model", model, *tiles, "--json", folder / "real.json")


def _python(*arguments: object) -> None:
    subprocess.run([sys.executable, *map(str, arguments)], check=True)  # noqa: S603  # our own scripts


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder for data, checkpoints, logs and measures")
    parser.add_argument("--real", type=Path, default=Path("../shared/data"), help="folder with naip/ and landsat/")
    parser.add_argument(
        "--out", type=Path, help="folder of the model; that in the package if left out, FOLDER/model of a short build"
    )
    parser.add_argument("--scout", type=Path, default=SCOUT, help="folder of the scout that is put in")
    parser.add_argument(
        "--short", action="store_true", help="three stages of fewer steps, with the scout from the start"
    )
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
