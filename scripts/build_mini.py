"""Build geocc-mini from nothing: render scenes, train tokenizer and model, and write the folder that geocc ships.

    .venv/bin/python scripts/build_mini.py --cache /tmp/geocc-mini

A run that was stopped goes on where its last state was saved; tiles that are in the cache are not rendered again.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from mini_card import read_report, write_card
from mini_data import SCENES_PER_SHARD, render, resize
from mini_model import make_config, make_model, make_processor, train_tokenizer
from mini_train import WORKERS, Tiles, train
from safetensors import safe_open
from torch import distributed as dist
from torch import multiprocessing
from transformers import GenerationConfig

from geocc.data.synthetic import read_caption, training_pairs

if TYPE_CHECKING:
    from geocc.data.synthetic import TilePair
    from geocc.model import CCExpertForConditionalGeneration, CCExpertProcessor

WEIGHTS = Path(__file__).parents[1] / "geocc/model/weights/geocc-mini"
VALIDATION_SEEDS = range(20_000_000, 20_000_120)


def main() -> None:
    """Build."""
    args = _arguments()
    render(args.cache / "tiles", shards=range(args.shards), workers=args.workers)
    meeting = Path(tempfile.mkdtemp(dir=args.cache)) / "meeting"
    multiprocessing.spawn(_work, args=(args, meeting), nprocs=WORKERS)
    finish(args)


def finish(args: argparse.Namespace) -> None:
    """Measure the model that was written, and write its card."""
    report = args.cache / "report.json"
    benchmark = Path(__file__).parents[1] / "benchmarks/mini_change_flag.py"
    subprocess.run([sys.executable, benchmark, "--model", args.out, "--json", report], check=True)  # noqa: S603
    with safe_open(args.out / "model.safetensors", "pt") as weights:
        parameters = sum(weights.get_tensor(name).numel() for name in weights.keys())  # noqa: SIM118  # no mapping
    shards = sorted((args.cache / "tiles").glob("*.json"))
    training = {
        "parameters": parameters / 1e6,
        "tiles": sum(len(json.loads(shard.read_text())) for shard in shards),
        "scenes": len(shards) * SCENES_PER_SHARD,
        "steps": args.steps,
        "hours": args.hours,
    }
    write_card(args.out, report=read_report(report), training=training)


def _work(rank: int, args: argparse.Namespace, meeting: Path) -> None:
    """Train as one of the workers; the first of them also writes the model."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=WORKERS)
    tokenizer = train_tokenizer()
    config = make_config(tokenizer)
    model, processor = make_model(config, seed=args.seed), make_processor(config, tokenizer)
    validation = [] if rank else list(training_pairs(VALIDATION_SEEDS, per_scene=2))
    if not rank:
        print(
            f"{sum(p.numel() for p in model.parameters()) / 1e6:.2f} M parameters, {len(tokenizer)} tokens", flush=True
        )

    def after(step: int) -> None:
        captions = step % (2 * args.every) == 0 or step == args.steps
        _report(model, processor, validation, step=step, captions=captions)
        if step == args.steps:
            calibrate(model, processor, validation)
        write(model, processor, args.out)

    train(
        model,
        processor,
        Tiles(args.cache / "tiles", seed=args.seed + 1000 * rank),
        steps=args.steps,
        lr=args.lr,
        state_path=args.cache / "state.pt",
        after=after,
        every=args.every,
    )
    dist.destroy_process_group()


def calibrate(model: CCExpertForConditionalGeneration, processor: CCExpertProcessor, pairs: list[TilePair]) -> None:
    """Scale and shift the change logit so that it fits validation pairs (Platt 1999); the scale and shift go into the head."""
    truth = torch.tensor([float(pair.changed) for pair in pairs])
    with torch.inference_mode():
        pixels = processor.pixel_values(_inputs(pairs)).to(model.dtype)
        logits = torch.cat([model.get_image_features(part).change_logits for part in pixels.split(32)]).float()
    logits = logits.clone()
    line = torch.tensor([1.0, 0.0], requires_grad=True)
    optimiser = torch.optim.LBFGS([line], max_iter=100)

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        value = torch.nn.functional.binary_cross_entropy_with_logits(line[0] * logits + line[1], truth)
        value.backward()
        return value

    optimiser.step(loss)
    scale, shift = line.tolist()
    print(f"calibrated: logit times {scale:.3f} plus {shift:.3f}", flush=True)
    last = model.model.change_head.pair_2
    with torch.no_grad():
        last.weight.mul_(scale)
        last.bias.mul_(scale).add_(shift)


def _inputs(pairs: list[TilePair]) -> np.ndarray:
    """Return the pairs at the size of the model's input, `(B, 2, 3, H, W)`."""
    return np.stack([np.stack([resize(pair.t1), resize(pair.t2)]) for pair in pairs])


def write(model: CCExpertForConditionalGeneration, processor: CCExpertProcessor, folder: Path) -> None:
    """Write model and processor in Hugging Face's form."""
    folder.mkdir(parents=True, exist_ok=True)
    text = model.config.text_config
    model.generation_config = GenerationConfig(
        eos_token_id=text.eos_token_id, pad_token_id=text.pad_token_id, max_new_tokens=64, do_sample=False
    )
    model.save_pretrained(folder)
    processor.save_pretrained(folder)


@torch.inference_mode()
def _report(
    model: CCExpertForConditionalGeneration,
    processor: CCExpertProcessor,
    pairs: list[TilePair],
    *,
    step: int,
    captions: bool,
) -> None:
    """Print how the model does on the validation pairs."""
    pixels = processor.pixel_values(_inputs(pairs)).bfloat16()
    truth = np.array([pair.changed for pair in pairs])
    features = [model.get_image_features(part) for part in pixels.split(32)]
    logits = torch.cat([part.change_logits for part in features]).float().numpy()
    order = logits.argsort().argsort()
    positives, negatives = truth.sum(), (~truth).sum()
    auroc = (order[truth].sum() - positives * (positives - 1) / 2) / (positives * negatives)
    print(f"valid {step}: accuracy {((logits > 0) == truth).mean():.3f}, AUROC {auroc:.3f}", flush=True)
    if not captions:
        return
    said = _captions(model, processor, torch.cat([part.image_features for part in features]))
    stated = [read_caption(text) for text in said]
    changed = [i for i, flag in enumerate(truth) if flag]
    kind = place = 0
    for i in changed:
        fact = pairs[i].description.facts[0]
        first = next((s for s in stated[i] if (s.category, s.direction) == (fact.category, fact.direction)), None)
        kind += first is not None
        place += first is not None and first.place == fact.place
    silent = np.mean([not stated[i] for i, flag in enumerate(truth) if not flag])
    print(
        f"captions {step}: main kind {kind / len(changed):.3f}, and place {place / len(changed):.3f}, quiet {silent:.3f}"
    )
    for i in changed[:12]:
        print(f"  {logits[i]:+.1f} said: {said[i]}\n       true: {pairs[i].caption}", flush=True)


def _captions(
    model: CCExpertForConditionalGeneration, processor: CCExpertProcessor, features: torch.Tensor
) -> list[str]:
    """Return greedy captions from encoded pairs."""
    texts: list[str] = []
    for part in features.split(32):
        asked = processor(prompt=[processor.prompt] * len(part))
        out = model.generate(**asked, image_features=part, do_sample=False, max_new_tokens=48)
        answers = out[:, asked["input_ids"].shape[1] :]
        texts += [text.strip() for text in processor.tokenizer.batch_decode(answers, skip_special_tokens=True)]
    return texts


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, default=Path("/tmp/geocc-mini"), help="folder for tiles and state")  # noqa: S108  # a default to look for it
    parser.add_argument("--out", type=Path, default=WEIGHTS, help="folder that the model is written to")
    parser.add_argument("--shards", type=int, default=102, help="shards of 50 scenes, about 190 tiles each")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--steps", type=int, default=1500, help="batches of 64 pairs")
    parser.add_argument("--lr", type=float, default=1.5e-3)
    parser.add_argument("--every", type=int, default=100, help="steps between two checkpoints")
    parser.add_argument("--hours", default="in about an hour", help="how long that took, in words, for the card")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
