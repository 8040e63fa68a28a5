"""Training steps of stage 1 with the frozen tower's features computed each time, and read from files, turn by turn.

    OMP_NUM_THREADS=1 .venv/bin/python benchmarks/feature_cache.py [--rounds 3] [--pairs 2] [--full]

Random weights, random pixels, the true number of tokens, one caption a pair; forward and backward without checkpointing, no
optimizer step. Seconds are processor seconds, of all threads. Losses are compared bit for bit. Without `--full` it is a model
a hundred times smaller; what the full-size one gains is told by count of operations in any case.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import flops
import torch
from inference_cpu import make_model, prompt_of

from geocc.model import CCExpertConfig
from geocc.training.feature_cache import attach_feature_cache
from geocc.training.parts import set_trainable

if TYPE_CHECKING:
    from torch import Tensor

_ANSWER = 20


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--pairs", type=int, default=2)
    parser.add_argument("--full", action="store_true")
    args = parser.parse_args()
    model: Any = make_model(small=not args.full, dtype=torch.bfloat16)
    set_trainable(model, ("difference_module", "projector"))
    side = model.config.vision_config.image_size
    pixels = (
        torch.rand(args.pairs, 2, 3, side, side, generator=torch.Generator().manual_seed(1)).mul(2).sub(1).bfloat16()
    )
    tower = model.model.vision_tower
    encode = tower.forward
    with tempfile.TemporaryDirectory() as folder:
        cache = attach_feature_cache(model, Path(folder))
        ways: dict[str, list[float]] = {"tower": [], "files": []}
        losses: set[float] = set()
        for number in range(args.rounds + 1):
            for way, seconds in ways.items():
                tower.forward = encode if way == "tower" else cache
                start = time.process_time()
                losses.add(_step(model, pixels))
                if number:  # the first turn warms up and fills the files
                    seconds.append((time.process_time() - start) / args.pairs)
        size = sum(path.stat().st_size for path in Path(folder).rglob("*.safetensors")) / (2 * args.pairs)
    best = {way: min(seconds) for way, seconds in ways.items()}
    print("| features from | processor s a pair: best | worst | times as fast |\n|---|---|---|---|")
    for way, seconds in ways.items():
        print(f"| {way} | {min(seconds):.3f} | {max(seconds):.3f} | {best['tower'] / min(seconds):.2f} |")
    print(
        f"\n{len(losses)} different loss(es); {size / 1e6:.2f} MB an image; the tower saw {cache.encoded} images for the files"
    )
    print(f"by operations, full-size 0.5B: {_by_count():.2f} times")


def _step(model: Any, pixels: Tensor) -> float:
    prompt = prompt_of(model.config)
    ids = torch.cat([prompt, torch.arange(900, 900 + _ANSWER)[None]], dim=1).expand(len(pixels), -1)
    labels = ids.masked_fill(torch.arange(ids.shape[1]) < prompt.shape[1], -100)
    model.zero_grad()
    loss = model(input_ids=ids, pixel_values=pixels, labels=labels, targets_only=True).loss
    loss.backward()
    return float(loss.detach())


def _by_count() -> float:
    """Return how many times less work a step is: the rest goes forward and back, to inputs alone where it is frozen."""
    config = CCExpertConfig.ccexpert("0.5b")
    trained = flops.module(config) + flops.projector(config)
    rest = 3 * trained + 2 * flops.reading(config, tokens=1502 + _ANSWER, scored=_ANSWER)
    return 1 + flops.tower(config) / rest


if __name__ == "__main__":
    main()
