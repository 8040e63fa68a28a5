"""Training on all captions of a pair at once against one sample for each: the full-size 0.5B architecture on a CPU.

    .venv/bin/python benchmarks/packed_training.py [--rounds 3] [--small] [--json FILE]

Random weights and pixels in bfloat16, the true prompt length, six captions a pair; forward and backward through all parts
with gradient checkpointing, as in stage 2, and no optimizer step, which costs the same either way. Three ways, in turn:

- the reference's: a sample for each caption, attention in tower and difference module written out, logits everywhere;
- separate: the same samples, fused attention, logits only where something is predicted;
- packed: one row with all six captions.

Samples cost alike, so of the separate ones `--separate` are timed. The clock is the processor's time of this process on one
thread, which other work on the machine disturbs little; `--clock wall` takes the wall's, on all threads, and throws away what
ran beside a matrix product of less than 80 percent of the best. Nothing is asserted.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import flops
import torch
from inference_cpu import make_model, prompt_of
from reference_way import _eager

from geocc.training.packing import PackedRow

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from geocc.model import CCExpertConfig, CCExpertForConditionalGeneration

_IGNORED = -100
_WAYS = ("reference", "separate", "packed")


def main() -> None:
    """Measure, and print the table."""
    args = _arguments()
    clock = time.perf_counter if args.clock == "wall" else time.process_time
    if args.clock == "processor":
        torch.set_num_threads(1)  # threads that wait for each other would count
    model = make_model(small=args.small, dtype=torch.bfloat16).train()
    checkpointing: Any = getattr(model, "activation_checkpointing_enable", model.gradient_checkpointing_enable)
    checkpointing()
    side = model.config.vision_config.image_size
    pixels = torch.rand(1, 2, 3, side, side, generator=torch.Generator().manual_seed(1)).to(torch.bfloat16) * 2 - 1
    question = prompt_of(model.config)[0].tolist()
    samples = _examples(question, count=args.captions)
    work: dict[str, tuple[int, Callable[[], float]]] = {
        "reference": (args.separate, lambda: _separate(model, pixels, samples[: args.separate], lean=False)),
        "separate": (args.separate, lambda: _separate(model, pixels, samples[: args.separate], lean=True)),
        "packed": (args.captions, lambda: _packed(model, pixels, samples, question=len(question))),
    }
    raw: list[tuple[str, float, float]] = []
    for _ in range(args.rounds):
        for way in _WAYS:
            captions, step = work[way]
            before = flops.product_rate(torch.bfloat16)
            start = clock()
            loss = step()
            seconds = (clock() - start) / captions
            rate = min(before, flops.product_rate(torch.bfloat16))
            raw.append((way, seconds, rate))
            model.zero_grad()
            print(
                f"  {way:10s} {seconds:7.2f} s a caption, loss {loss:.3f}, products {rate / 1e9:.0f} GFLOP/s",
                flush=True,
            )
    report = _table(raw, operations=_operations(model.config, captions=args.captions), disturbed=args.clock == "wall")
    if args.json:
        args.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def _examples(question: list[int], *, count: int) -> list[tuple[list[int], list[int]]]:
    """Return samples of ten to fifteen answer tokens; twelve tokens of the question carry a loss, as in the chat form."""
    labels = [token if at % (len(question) // 12) == 0 else _IGNORED for at, token in enumerate(question)]
    answers = [list(range(2000 + 20 * number, 2010 + 21 * number)) for number in range(count)]
    return [(question + answer, labels + answer) for answer in answers]


def _separate(
    model: CCExpertForConditionalGeneration, pixels: Tensor, samples: list[tuple[list[int], list[int]]], *, lean: bool
) -> float:
    total = 0.0
    for ids, labels in samples:
        with nullcontext() if lean else _eager(model):
            loss = model(torch.tensor([ids]), pixels, labels=torch.tensor([labels]), targets_only=lean).loss
            loss.backward()
        total += loss.item()
    return total / len(samples)


def _packed(
    model: CCExpertForConditionalGeneration,
    pixels: Tensor,
    samples: list[tuple[list[int], list[int]]],
    *,
    question: int,
) -> float:
    row = PackedRow(question=question)
    for ids, labels in samples:
        row.add(ids, labels)
    loss = model(
        torch.tensor([row.ids]),
        pixels,
        branches=torch.tensor([row.branches]),
        labels=torch.tensor([[_IGNORED, *row.targets]]),
        predictors=torch.tensor([row.predictors]),
    ).loss
    loss.backward()
    return float(loss.detach())


def _operations(config: CCExpertConfig, *, captions: int) -> dict[str, float]:
    """Return the operations of one caption: forward, forward again, and twice as much backward."""
    images = flops.tower(config) + flops.module(config) + flops.projector(config)
    question, answer, scored = 2 * config.tokens_per_image + 44, 12, 24
    full = flops.reading(config, tokens=question + answer, scored=question + answer)
    lean = flops.reading(config, tokens=question + answer, scored=scored)
    row = flops.reading(config, tokens=question + captions * answer, scored=12 + captions * 12)
    return {"reference": 4 * (images + full), "separate": 4 * (images + lean), "packed": 4 * (images + row) / captions}


def _table(raw: list[tuple[str, float, float]], *, operations: dict[str, float], disturbed: bool) -> dict[str, Any]:
    best = max(rate for _, _, rate in raw)
    least = flops.QUIET * best if disturbed else 0.0
    kept = {way: [s for name, s, rate in raw if name == way and rate >= least] for way in _WAYS}
    print(f"\n{torch.get_num_threads()} threads, products at {best / 1e9:.0f} GFLOP/s")
    print(
        "| way | s a caption: best | median | worst | samples | TFLOP a caption | captions a second | times the reference | times separate |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for way, seconds in kept.items():
        if not seconds:
            print(f"| {way} | all samples were disturbed |")
            continue
        ratios = [
            statistics.median(kept[other]) / statistics.median(seconds) if kept[other] else float("nan")
            for other in _WAYS[:2]
        ]
        print(
            f"| {way} | {min(seconds):.2f} | {statistics.median(seconds):.2f} | {max(seconds):.2f} | {len(seconds)} | "
            f"{operations[way] / 1e12:.2f} | {1 / statistics.median(seconds):.3f} | {ratios[0]:.2f} | {ratios[1]:.2f} |"
        )
    return {"seconds": kept, "all": raw, "products": best, "torch": torch.__version__}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--captions", type=int, default=6, help="captions of the pair")
    parser.add_argument("--separate", type=int, default=1, help="how many separate samples to time")
    parser.add_argument("--clock", choices=("processor", "wall"), default="processor")
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
