"""The full-size 0.5B architecture on a CPU: our way of computing against the reference's, interleaved.

    .venv/bin/python benchmarks/inference_cpu.py [--rounds 3] [--allocator keeping] [--small] [--json FILE]

Random weights, random pixels, the true prompt length, ten tokens an answer with the end token ignored. Both ways share the
weights, so float32 answers are compared token by token. Before and after every sample a matrix product is timed; a sample
beside one that reached less than 80 percent of the best is thrown away, for something else was running. All ways share the
process and so the allocator: glibc's as it comes, or with `--allocator keeping` told to keep freed memory (the script then
starts itself again, for glibc reads that once). `--compile` adds our way with `compiled=True`. Beside them runs plain LLaVA-OneVision of Transformers, of the same sizes and on
the same weights, as it would be used in CCExpert's place. On a machine that is never quiet, `OMP_NUM_THREADS=1 ... --clock cpu` counts the seconds that
one thread computed instead of those that went by. `--small` is a model a hundred times smaller, to see that all of it works.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import statistics
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import flops
import torch
from plain_llava import PlainLlava
from reference_way import ReferenceWay

from geocc.inference.compiling import compile_encoder
from geocc.inference.decoding import continue_greedily, read_prompts
from geocc.inference.drafts import AnswerTree
from geocc.model import CCExpertConfig, CCExpertForConditionalGeneration

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

_TOKENS = 10
#: What glibc is told, of blocks that are fetched one by one from the system and of freed memory that is given back to it.
KEEPING = {"MALLOC_MMAP_THRESHOLD_": "1000000000", "MALLOC_TRIM_THRESHOLD_": "2000000000"}
_SMALL: dict[str, Any] = {
    "vision_config": {
        "hidden_size": 256,
        "intermediate_size": 956,
        "num_hidden_layers": 9,
        "num_attention_heads": 4,
        "image_size": 384,
        "patch_size": 14,
    },
    "text_config": {
        "vocab_size": 43_408,
        "hidden_size": 256,
        "intermediate_size": 1390,
        "num_hidden_layers": 8,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 2048,
        "tie_word_embeddings": True,
    },
    "feature_levels": [3, 5, 7, 9],
    "difference_mlp_dim": 1024,
    "image_token_id": 43_407,
}


class Ours:
    """Our way: fused attention, the levels that are read, the last position's logits, whole batches, a draft."""

    def __init__(self, model: CCExpertForConditionalGeneration, *, clock: Callable[[], float]) -> None:
        self._model = model
        self._clock = clock
        self.seconds: dict[str, float] = {}

    @torch.inference_mode()
    def answer(self, pixels: Tensor, prompt: Tensor, *, drafts: list[list[int]]) -> list[list[int]]:
        """Return the answers to a batch of pairs; leaves the seconds of each part behind."""
        model, pairs = self._model.model, len(pixels)
        marks = [self._clock()]
        levels = model.vision_tower(pixels.flatten(0, 1)).unflatten(1, (-1, 2))
        marks.append(self._clock())
        difference = model.difference(levels)
        features = model.projector(torch.stack([difference.image_a, difference.image_b], dim=1))
        marks.append(self._clock())
        tree = AnswerTree.from_answers(drafts)
        read = read_prompts(self._model, prompt.expand(pairs, -1), features, tree=tree)
        marks.append(self._clock())
        said = continue_greedily(self._model, read, max_new_tokens=_TOKENS)
        marks.append(self._clock())
        parts = ("vision tower", "difference module", "prompt", "decoding")
        self.seconds = {
            name: (stop - start) / pairs for name, start, stop in zip(parts, marks, marks[1:], strict=False)
        }
        return [answer.tokens for answer in said]


def make_model(*, small: bool, dtype: torch.dtype) -> CCExpertForConditionalGeneration:
    """Make a model with random weights; the same for every dtype, to rounding."""
    torch.manual_seed(0)
    config = CCExpertConfig(**_SMALL) if small else CCExpertConfig.ccexpert("0.5b")
    model = CCExpertForConditionalGeneration(config).to(dtype).eval()
    model.generation_config.eos_token_id = None  # every answer is as long as the next
    return model


def compiled(model: CCExpertForConditionalGeneration) -> CCExpertForConditionalGeneration:
    """Return a model on the same weights, its encoder compiled; the one given stays as it is."""
    shared = {id(tensor): tensor for tensor in [*model.parameters(), *model.buffers()]}
    copied = copy.deepcopy(model, shared)
    compile_encoder(copied)
    return copied


def prompt_of(config: CCExpertConfig) -> Tensor:
    """Return a prompt of the true length: 44 tokens of text around two image slots."""
    text = torch.arange(1000, 1044)
    slot = torch.full((config.tokens_per_image,), config.image_token_id)
    return torch.cat([text[:20], slot, text[20:28], slot, text[28:]])[None]


class Sampler:
    """Times functions in turn and keeps what was measured while the machine was quiet."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.kept: dict[str, list[float]] = {}
        self.parts: dict[str, list[dict[str, float]]] = {}
        self.best: dict[torch.dtype, float] = {}
        self._raw: list[tuple[str, float, torch.dtype, float, dict[str, float]]] = []

    def sample(self, name: str, dtype: torch.dtype, work: Callable[[], Any], *, pairs: int, ours: Ours | None) -> None:
        """Run once, between two matrix products."""
        before = flops.product_rate(dtype, clock=self._clock)
        start = self._clock()
        work()
        seconds = (self._clock() - start) / pairs
        rate = min(before, flops.product_rate(dtype, clock=self._clock))
        self.best[dtype] = max(self.best.get(dtype, 0.0), before, rate)
        self._raw.append((name, seconds, dtype, rate, dict(ours.seconds) if ours else {}))
        print(f"  {name:45s} {seconds:8.3f} s a pair, products at {rate / 1e9:6.0f} GFLOP/s", flush=True)

    def settle(self) -> None:
        """Throw away what was disturbed."""
        for name, seconds, dtype, rate, parts in self._raw:
            if rate >= flops.QUIET * self.best[dtype]:
                self.kept.setdefault(name, []).append(seconds)
                self.parts.setdefault(name, []).append(parts)


def main() -> None:
    """Measure, and print the tables."""
    args = _arguments()
    clock = time.process_time if args.clock == "cpu" else time.perf_counter
    dtypes = [getattr(torch, name) for name in args.dtypes]
    models = {dtype: make_model(small=args.small, dtype=dtype) for dtype in dtypes}
    config = models[dtypes[0]].config
    prompt = prompt_of(config)
    side = config.vision_config.image_size
    pixels = (
        torch.rand(max(args.equal, args.batch), 2, 3, side, side, generator=torch.Generator().manual_seed(1)) * 2 - 1
    )
    quick = {dtype: compiled(model) for dtype, model in models.items()} if args.compile else {}
    report: dict[str, Any] = {"threads": torch.get_num_threads(), "torch": torch.__version__} | vars(args)
    if torch.float32 in models:
        report["same answers"] = _compare(
            models[torch.float32], quick.get(torch.float32, models[torch.float32]), pixels[: args.equal], prompt
        )
    sampler = Sampler(clock)
    for _ in range(args.rounds):
        for dtype, model in models.items():
            some = pixels[: args.batch].to(dtype)
            _others(sampler, model, some[:1], prompt)
            _ours(sampler, model, some, prompt, label="ours", clock=clock)
            if dtype in quick:
                _ours(sampler, quick[dtype], some, prompt, label="ours, compiled", clock=clock)
    sampler.settle()
    report |= _tables(sampler, config, tokens=prompt.shape[1], batch=args.batch)
    if args.json:
        args.json.write_text(json.dumps(report, indent=2, default=str) + "\n", encoding="utf-8")


def _use(allocator: str) -> None:
    """Start again with the allocator asked for, where this process has another: glibc looks once, before the first line."""
    wanted = KEEPING if allocator == "keeping" else {}
    if {name: os.environ[name] for name in KEEPING if name in os.environ} == wanted:
        return
    others = {name: value for name, value in os.environ.items() if name not in KEEPING}
    os.execve(sys.executable, [sys.executable, *sys.argv], others | wanted)  # noqa: S606  # our own command line


def _compare(
    model: CCExpertForConditionalGeneration, ours_on: CCExpertForConditionalGeneration, pixels: Tensor, prompt: Tensor
) -> str:
    reference, ours = ReferenceWay(model), Ours(ours_on, clock=time.perf_counter)
    same = 0
    for pair in pixels:
        said = reference.answer(pair[None], prompt, tokens=_TOKENS)
        # Half of the answers drafted rightly, half wrongly: neither may change a token.
        draft = said if same % 2 else [*said[:4], 7, 7]
        same += ours.answer(pair[None], prompt, drafts=[draft]) == [said]
    print(f"float32: {same} of {len(pixels)} answers equal the reference's, token by token", flush=True)
    return f"{same}/{len(pixels)}"


def _others(sampler: Sampler, model: CCExpertForConditionalGeneration, pixels: Tensor, prompt: Tensor) -> None:
    for label, way in (("reference", ReferenceWay(model)), ("plain LLaVA-OneVision", PlainLlava(model))):
        sampler.sample(
            f"{_name(model.dtype)}, {label}",
            model.dtype,
            lambda way=way: way.answer(pixels, prompt, tokens=_TOKENS),  # type: ignore[misc]
            pairs=1,
            ours=None,
        )


def _ours(
    sampler: Sampler,
    model: CCExpertForConditionalGeneration,
    pixels: Tensor,
    prompt: Tensor,
    *,
    label: str,
    clock: Callable[[], float],
) -> None:
    ours, batch = Ours(model, clock=clock), len(pixels)
    said = ours.answer(pixels[:1], prompt, drafts=[])[0]
    for pairs in (1, batch):
        same = pixels[:1].expand(pairs, -1, -1, -1, -1)  # one draft is right for all of them
        if pairs > 1:
            ours.answer(same, prompt, drafts=[said])  # compiles for this size
        for drafted, shown, draft in (("", pixels[:pairs], [5] * 8), (", draft right", same, said)):
            sampler.sample(
                f"{_name(model.dtype)}, {label}, batch {pairs}{drafted}",
                model.dtype,
                lambda shown=shown, draft=draft: ours.answer(shown, prompt, drafts=[draft]),  # type: ignore[misc]
                pairs=pairs,
                ours=ours,
            )


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _tables(sampler: Sampler, config: CCExpertConfig, *, tokens: int, batch: int) -> dict[str, Any]:
    best = {name: min(seconds) for name, seconds in sampler.kept.items()}
    print(
        "\n| what | s a pair: best | median | worst | samples | times the reference, same dtype | times its float32 | "
        "times plain LLaVA-OneVision |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for name, seconds in sampler.kept.items():
        dtype = name.split(",")[0]
        others = (f"{dtype}, reference", "float32, reference", f"{dtype}, plain LLaVA-OneVision")
        against = [best.get(other, float("nan")) for other in others]
        ratios = " | ".join(f"{value / best[name]:.2f}" for value in against)
        print(
            f"| {name} | {min(seconds):.3f} | {statistics.median(seconds):.3f} | {max(seconds):.3f} | "
            f"{len(seconds)} | {ratios} |"
        )
    work = {
        "vision tower": flops.tower(config),
        "difference module": flops.module(config) + flops.projector(config),
        "prompt": flops.reading(config, tokens=tokens),
        "decoding": flops.decoding(config, tokens=_TOKENS - 1, behind=tokens),
    }
    print(f"\n| part, batch {batch} | GFLOP a pair | s a pair | GFLOP/s | share of the matrix product |")
    print("|---|---|---|---|---|")
    shares = {}
    for dtype, rate in sampler.best.items():
        for suffix in (f"batch {batch}", f"batch {batch}, draft right"):
            for label in ("ours", "ours, compiled"):
                name = f"{_name(dtype)}, {label}, {suffix}"
                if name in sampler.kept:
                    shares[name] = _parts(name, sampler, work, rate=rate)
    return {
        "seconds": sampler.kept,
        "parts": sampler.parts,
        "shares": shares,
        "products": {str(dtype): rate for dtype, rate in sampler.best.items()},
    }


def _parts(name: str, sampler: Sampler, work: dict[str, float], *, rate: float) -> float:
    at = sampler.kept[name].index(min(sampler.kept[name]))
    parts = sampler.parts[name][at]
    done = {part: count for part, count in work.items() if part != "decoding" or "right" not in name}
    done = {part: done[part] for part in parts if part in done}
    for part, count in done.items():
        reached = count / parts[part]
        print(
            f"| {name}: {part} | {count / 1e9:.0f} | {parts[part]:.3f} | {reached / 1e9:.0f} | {reached / rate:.0%} |"
        )
    share = sum(done.values()) / sum(parts.values()) / rate
    print(
        f"| {name}: all | {sum(done.values()) / 1e9:.0f} | {sum(parts.values()):.3f} | "
        f"{sum(done.values()) / sum(parts.values()) / 1e9:.0f} | {share:.0%} |"
    )
    return share


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--equal", type=int, default=20, help="pairs whose float32 answers are compared")
    parser.add_argument("--dtypes", nargs="+", default=["float32", "bfloat16"], choices=["float32", "bfloat16"])
    parser.add_argument("--clock", default="wall", choices=["wall", "cpu"])
    parser.add_argument("--allocator", default="default", choices=["default", "keeping"])
    parser.add_argument("--compile", action="store_true", help="also our way with compiled=True")
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    _use(_arguments().allocator)
    main()
