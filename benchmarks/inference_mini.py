"""geocc-mini: pairs a second of the captioner against the plain loop, interleaved, on the same synthetic tiles.

    .venv/bin/python benchmarks/inference_mini.py [--pairs 64] [--rounds 3] [--beams N] [--clock cpu] [--whole] [--profile]

The plain loop is what one would write first: a pair at a time through the processor and `generate`. Tiles are held-out
synthetic ones, half of them unchanged. `--beams` has both sides search with as many, in the place of what the checkpoint
asks for. `--clock cpu` counts the seconds that the process computed, for a machine that is shared; `--whole` measures
batches that are not cut into parts side by side as well; `--profile` prints torch's table of what the captioner spends
its time on.
"""

from __future__ import annotations

import argparse
import statistics
import time
from itertools import islice, product
from typing import TYPE_CHECKING

import numpy as np
import torch
from mini_change_flag import held_out_pairs

from geocc.inference.captioner import TileBatch
from geocc.inference.ccexpert import CCExpertCaptioner
from geocc.model import load_captioning_checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray


def main() -> None:
    """Measure, and print a table."""
    args = _arguments()
    clock = time.process_time if args.clock == "cpu" else time.perf_counter
    images = np.stack([np.stack([pair.t1, pair.t2]) for pair in islice(held_out_pairs(), args.pairs)])
    settings = {"dtype": args.dtype, "num_beams": args.beams}
    captioner = CCExpertCaptioner.from_pretrained("geocc-mini", **settings)
    ways: dict[str, Callable[[NDArray[np.uint8]], list[str]]] = {
        "plain loop, batch 1": _plain_loop(args.dtype, beams=args.beams)
    }
    captioners = {"": captioner}
    if args.whole:
        captioners[", whole"] = CCExpertCaptioner.from_pretrained("geocc-mini", streams=1, **settings)
    for size, (how, one) in product(args.batches, captioners.items()):
        ways[f"captioner, batch {size}{how}"] = lambda tiles, size=size, one=one: _captioner(one, tiles, size)
    said = {name: way(images) for name, way in ways.items()}
    plain = next(iter(ways))
    same = {name: sum(a == b for a, b in zip(said[plain], texts, strict=True)) for name, texts in said.items()}
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(args.rounds):
        for name, way in ways.items():
            start = clock()
            way(images)
            rates[name].append(len(images) / (clock() - start))
    print(f"{len(images)} pairs, {args.dtype}, {torch.get_num_threads()} threads, seconds of the {args.clock} clock")
    print("| what | pairs/s, median | worst | best | times the plain loop | same captions |\n|---|---|---|---|---|---|")
    for name, values in rates.items():
        gain = statistics.median(value / base for value, base in zip(values, rates[plain], strict=True))
        print(
            f"| {name} | {statistics.median(values):.1f} | {min(values):.1f} | {max(values):.1f} | {gain:.2f} | "
            f"{same[name]} of {len(images)} |"
        )
    if args.profile:  # of a batch in one piece, for the profiler sees one thread alone
        whole = CCExpertCaptioner.from_pretrained("geocc-mini", streams=1, **settings)
        _profile(whole, images, size=max(args.batches))


def _plain_loop(dtype: str, *, beams: int | None) -> Callable[[NDArray[np.uint8]], list[str]]:
    loaded = load_captioning_checkpoint("geocc-mini", dtype=dtype)
    model, processor = loaded.model, loaded.processor
    if beams is not None:
        model.generation_config.num_beams = beams

    def run(images: NDArray[np.uint8]) -> list[str]:
        texts = []
        for pair in images:
            inputs = processor(pair[None])
            inputs["pixel_values"] = inputs["pixel_values"].to(model.dtype)
            with torch.inference_mode():
                ids = model.generate(**inputs, do_sample=False, max_new_tokens=64)
            answer = ids[:, inputs["input_ids"].shape[1] :]
            texts += [text.strip() for text in processor.batch_decode(answer, skip_special_tokens=True)]
        return texts

    return run


def _captioner(captioner: CCExpertCaptioner, images: NDArray[np.uint8], size: int) -> list[str]:
    texts = []
    for start in range(0, len(images), size):
        part = images[start : start + size]
        batch = TileBatch(images=part, tile_ids=tuple(map(str, range(start, start + len(part)))))
        texts += [caption.text for caption in captioner.caption(batch)]
    return texts


def _profile(captioner: CCExpertCaptioner, images: NDArray[np.uint8], *, size: int) -> None:
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU]) as seen:
        _captioner(captioner, images, size)
    print(seen.key_averages().table(sort_by="self_cpu_time_total", row_limit=15, max_name_column_width=40))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--beams", type=int)
    parser.add_argument("--dtype", default="bfloat16", choices=["float32", "bfloat16"])
    parser.add_argument("--clock", default="wall", choices=["wall", "cpu"])
    parser.add_argument("--whole", action="store_true")
    parser.add_argument("--profile", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
