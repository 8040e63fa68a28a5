"""A pair of scenes from file to layer with the full-size 0.5B: how much of the time is not the model's?

    .venv/bin/python benchmarks/scene_share.py [--side 4096]

Random weights in bfloat16, ten tokens an answer with the end token ignored, glibc told to keep freed memory. Tiles are read,
checked, resized, captioned, journalled and written as in any run; what the model computes is timed inside, so that the rest is
what is left of the wall clock, resizing included. Reading ahead goes on beside the model and costs nothing unless the model waits.
`--small` is a model a hundred times smaller, to see that all of it works.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import torch
from inference_cpu import Ours, _use, make_model, prompt_of
from scene_reading import TILE, write_scene

import geocc
from geocc.inference import Caption, TileBatch
from geocc.model import CCExpertForConditionalGeneration, CCExpertProcessor


class FullSize:
    """Captions with a model of random weights, and keeps the seconds that it computed."""

    name, fingerprint = "full-size", "0"

    def __init__(self, model: CCExpertForConditionalGeneration) -> None:
        self._dtype = model.dtype
        self._prompt = prompt_of(model.config)
        self._ours = Ours(model, clock=time.perf_counter)
        tokenizer = CCExpertProcessor.from_pretrained(
            Path(geocc.__file__).parent / "model/weights/geocc-mini"
        ).tokenizer
        self._processor = CCExpertProcessor.from_config(model.config, tokenizer=tokenizer)
        self.input_size = model.config.input_size
        self.bytes_per_pair = 400_000_000
        self.seconds = 0.0

    def caption(self, batch: TileBatch) -> list[Caption]:
        """Caption a batch."""
        pixels = self._processor.pixel_values(batch.images).to(self._dtype)
        start = time.perf_counter()
        self._ours.answer(pixels, self._prompt, drafts=[])
        self.seconds += time.perf_counter() - start
        return [Caption("something has changed", changed=True) for _ in batch.tile_ids]


def main() -> None:
    """Caption once, and print the shares."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=4096)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--small", action="store_true")
    args = parser.parse_args()
    _use("keeping")
    captioner = FullSize(make_model(small=args.small, dtype=torch.bfloat16))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = [folder / "t1.tif", folder / "t2.tif"]
        for seed, path in enumerate(paths):
            write_scene(path, args.side, seed)
        start = time.perf_counter()
        layer = geocc.caption_changes(
            *paths,
            model=captioner,
            tile_size=TILE,
            batch_size=args.batch,
            output=folder / "changes.gpkg",
            progress=True,
        )
        wall = time.perf_counter() - start
    print(
        f"{len(layer)} tiles of {TILE} px from a pair of {args.side} x {args.side}: {wall:.0f} s, "
        f"{wall / len(layer):.2f} s a tile; outside the model {wall - captioner.seconds:.1f} s, {1 - captioner.seconds / wall:.1%}"
    )


if __name__ == "__main__":
    main()
