"""Everything about speed that needs a CUDA device, in one run that is meant for under 20 minutes.

    python benchmarks/gpu.py [--json FILE] [--minutes 18]

From a checkout, with torch, Transformers and Pillow and nothing else. Random weights in bfloat16: CCExpert 0.5B and 7B, pairs a
second at batches from 1 to 64, the time and rate of every part, tricks added one a line, and training steps. Rates are
set against the best matrix product of the same device in the same run. What no longer fits into `--minutes` or the memory is
skipped, and the table says so. `--device cpu --small` shows that all of it runs.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import time
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

_HERE = Path(__file__).parent
sys.path[:0] = [str(_HERE), str(_HERE.parent)]
if importlib.util.find_spec("lazy_loader") is None:
    # geocc's own names are imported by module below; only the packages' lazy tables would miss it.
    stub = mock.MagicMock()
    stub.attach.return_value = (None, list, [])
    sys.modules["lazy_loader"] = stub

import flops  # noqa: E402  # after the path is set
import torch  # noqa: E402
from inference_cpu import _SMALL, prompt_of  # noqa: E402
from plain_llava import PlainLlava  # noqa: E402
from reference_way import ReferenceWay  # noqa: E402

from geocc.inference.compiling import compile_encoder  # noqa: E402
from geocc.inference.decoding import continue_greedily, read_prompts  # noqa: E402
from geocc.inference.drafts import AnswerTree  # noqa: E402
from geocc.inference.static_steps import StaticSteps  # noqa: E402
from geocc.model.configuration import CCExpertConfig  # noqa: E402
from geocc.model.modeling import CCExpertForConditionalGeneration  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

_TOKENS = 10


@dataclass
class Clock:
    """Times work on a device, and knows when the run has to end."""

    device: torch.device
    minutes: float
    began: float = field(default_factory=time.perf_counter)

    @property
    def is_over(self) -> bool:
        """Whether nothing more should be started."""
        return time.perf_counter() - self.began > 60 * self.minutes

    def seconds(self, work: Callable[[], Any], *, repeats: int = 3) -> float:
        """Return the best of some runs, after one that warms up."""
        best = float("inf")
        for number in range(repeats + 1):
            self._wait()
            start = time.perf_counter()
            work()
            self._wait()
            if number:
                best = min(best, time.perf_counter() - start)
        return best

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()


class Run:
    """The measurements of one model.

    Args:
        name: What to print.
        config: Its sizes.
        clock: For time.
        compiled: Whether torch may compile.
    """

    def __init__(self, name: str, config: CCExpertConfig, clock: Clock, *, compiled: bool) -> None:
        self.name, self.config, self.clock, self.compiled = name, config, clock, compiled
        torch.manual_seed(0)
        with clock.device:
            torch.set_default_dtype(torch.bfloat16)
            try:
                self.model = CCExpertForConditionalGeneration(config).eval()
            finally:
                torch.set_default_dtype(torch.float32)
        self.model.generation_config.eos_token_id = None
        self.prompt = prompt_of(config).to(clock.device)
        self.rate = flops.product_rate(torch.bfloat16, clock.device, size=8192 if clock.device.type == "cuda" else 512)
        self.report: dict[str, Any] = {"matrix product, TFLOP/s": self.rate / 1e12}

    def pixels(self, pairs: int) -> Tensor:
        """Return random pairs."""
        side = self.config.vision_config.image_size
        return torch.rand(pairs, 2, 3, side, side, device=self.clock.device).mul(2).sub(1).bfloat16()

    @property
    def work_per_pair(self) -> float:
        """Operations that one pair needs."""
        tokens = self.prompt.shape[1]
        parts = (flops.tower(self.config), flops.module(self.config), flops.projector(self.config))
        decoding = flops.decoding(self.config, tokens=_TOKENS - 1, behind=tokens)
        return sum(parts) + flops.reading(self.config, tokens=tokens) + decoding

    @torch.inference_mode()
    def answer(self, pixels: Tensor, *, drafts: list[list[int]], steps: StaticSteps | None = None) -> list[list[int]]:
        """Caption a batch as geocc does."""
        features = self.model.get_image_features(pixels).image_features
        tree = AnswerTree.from_answers(drafts)
        read = read_prompts(self.model, self.prompt.expand(len(pixels), -1), features, tree=tree)
        said = steps.continue_greedily(read) if steps else continue_greedily(self.model, read, max_new_tokens=_TOKENS)
        return [answer.tokens for answer in said]

    def sweep(self, batches: list[int]) -> int:
        """Measure batch sizes; return the best."""
        best, best_rate = batches[0], 0.0
        for batch in batches:
            rate = self._line(f"batch {batch}", batch, lambda pixels: self.answer(pixels, drafts=[[5] * 8]))
            if rate is not None and rate > best_rate:
                best, best_rate = batch, rate
        return best

    def parts(self, batch: int) -> None:
        """Time every part at one batch size and set it against the matrix product."""
        model, pixels = self.model.model, self.pixels(batch)
        with torch.inference_mode():
            levels = model.vision_tower(pixels.flatten(0, 1)).unflatten(1, (-1, 2))
            features = self.model.get_image_features(pixels).image_features
            prompt, none = self.prompt.expand(batch, -1), AnswerTree()
            work = {
                "vision tower": (lambda: model.vision_tower(pixels.flatten(0, 1)), flops.tower(self.config)),
                "difference module": (lambda: model.difference(levels), flops.module(self.config)),
                "prompt": (
                    lambda: read_prompts(self.model, prompt, features, tree=none),
                    flops.reading(self.config, tokens=prompt.shape[1]),
                ),
            }
            for name, (run, count) in work.items():
                if not self.clock.is_over:
                    reached = batch * count / self.clock.seconds(run)
                    self._say(name, f"{reached / 1e12:.1f} TFLOP/s, {reached / self.rate:.0%} of the matrix product")

    def ablation(self, batch: int) -> None:
        """Add one trick a line to the reference's way."""
        reference = ReferenceWay(self.model)
        one = self.pixels(1)
        plain = PlainLlava(self.model)
        self._line("plain LLaVA-OneVision, bfloat16", 1, lambda p: plain.answer(p, self.prompt, tokens=_TOKENS))
        self._line("reference's way, bfloat16", 1, lambda p: reference.answer(p, self.prompt, tokens=_TOKENS))
        self._line("+ last logits, fused attention, 26 layers", 1, lambda p: self.answer(p, drafts=[]))
        self._line(f"+ batch {batch}", batch, lambda p: self.answer(p, drafts=[]))
        said = self.answer(one, drafts=[])[0]
        self._line("+ draft, right for every tile", batch, lambda p: self.answer(p[:1].expand_as(p), drafts=[said]))
        if self.compiled:
            compile_encoder(self.model)
        self._line(f"+ compiled tower and module ({self.compiled})", batch, lambda p: self.answer(p, drafts=[[5] * 8]))
        for size in (1, batch):
            steps = StaticSteps(self.model, max_new_tokens=_TOKENS, compiled=self.compiled)
            self._line(
                f"+ decoding as a graph, batch {size}", size, lambda p, s=steps: self.answer(p, drafts=[], steps=s)
            )

    def training(self, batch: int) -> None:
        """Time optimizer steps of all weights; six captions' worth of nothing fancy, loss on the answer alone."""
        self.model.train()
        optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-6, fused=self.clock.device.type == "cuda")
        answer = torch.arange(900, 920, device=self.clock.device)[None]
        ids = torch.cat([self.prompt, answer], dim=1).expand(batch, -1)
        labels = ids.masked_fill(torch.arange(ids.shape[1], device=ids.device) < self.prompt.shape[1], -100)
        kept = answer.shape[1] + 1

        def step() -> None:
            output = self.model(
                input_ids=ids, pixel_values=self.pixels(batch), logits_to_keep=kept, labels=labels[:, -kept:]
            )
            output.loss.backward()
            optimizer.step()
            optimizer.zero_grad()

        seconds = self._guarded(f"training, batch {batch}", step)
        if seconds is not None:
            work = 3 * batch * (self.work_per_pair + flops.reading(self.config, tokens=20))
            self._say(
                f"training, batch {batch}",
                f"{batch / seconds:.2f} samples/s, {work / seconds / 1e12:.1f} TFLOP/s, MFU {work / seconds / self.rate:.0%}",
            )
        self.model.eval()

    def _line(self, label: str, batch: int, work: Callable[[Tensor], Any]) -> float | None:
        seconds = self._guarded(label, lambda: work(self.pixels(batch)))
        if seconds is None:
            return None
        rate = batch / seconds
        share = rate * self.work_per_pair / self.rate
        memory = torch.cuda.max_memory_allocated() / 2**30 if self.clock.device.type == "cuda" else float("nan")
        self._say(label, f"{rate:.2f} pairs/s, {share:.0%} of the matrix product, {memory:.1f} GiB")
        return rate

    def _guarded(self, label: str, work: Callable[[], Any]) -> float | None:
        if self.clock.is_over:
            self._say(label, "skipped: out of time")
            return None
        if self.clock.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
        try:
            return self.clock.seconds(work, repeats=2)
        except torch.OutOfMemoryError:
            self._say(label, "skipped: out of memory")
            torch.cuda.empty_cache()
            return None

    def _say(self, label: str, text: str) -> None:
        self.report[label] = text
        print(f"| {self.name} | {label} | {text} |", flush=True)


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Measure, print the table and return it."""
    args = _arguments(arguments)
    device = torch.device(args.device)
    clock = Clock(device, args.minutes)
    name = torch.cuda.get_device_name() if device.type == "cuda" else "CPU"
    report: dict[str, Any] = {"device": name, "torch": torch.__version__, "date": time.strftime("%Y-%m-%d")}
    print(f"{report}\n| model | what | measured |\n|---|---|---|")
    configs = (
        {"small": CCExpertConfig(**_SMALL)}
        if args.small
        else {size: CCExpertConfig.ccexpert(size) for size in ("0.5b", "7b")}
    )
    for size, config in configs.items():
        with torch.device(device) if device.type == "cuda" else nullcontext():
            run = Run(size, config, clock, compiled=args.compile)
        best = run.sweep(args.batches)
        run.parts(best)
        run.ablation(best)
        if size != "7b":  # whose optimizer states alone are 130 GB
            for batch in args.training:
                run.training(batch)
        report[size] = run.report
        del run
        if device.type == "cuda":
            torch.cuda.empty_cache()
    if args.json:
        args.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return report


def _arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--minutes", type=float, default=18)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8, 32, 64])
    parser.add_argument("--training", type=int, nargs="+", default=[4, 16])
    parser.add_argument("--compile", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--json", type=Path)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
