"""Training of geocc-mini: pure bf16 on the processor's matrix units, with float32 master weights."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from mini_data import TOKENS, load
from mini_model import Tutor
from torch import distributed as dist
from torch.nn import functional as F  # noqa: N812  # torch's own abbreviation
from torch.nn.attention import SDPBackend, sdpa_kernel

from geocc.data.synthetic import write_caption

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from geocc.data.synthetic import Fact
    from geocc.model import CCExpertForConditionalGeneration, CCExpertProcessor

BATCH = 64
WORKERS = 2
"""Processes of one thread each: on a busy machine they wait for each other once a step, not once an operation."""
PLAIN = 0.7


@dataclass
class Batch:
    """A batch of tiles, turned, mirrored and reversed in time at random."""

    images: np.ndarray
    kinds: np.ndarray
    facts: list[tuple[Fact, ...]]


class Tiles:
    """The cache of tiles, drawn from at random, half changed and half not."""

    def __init__(self, cache: Path, *, seed: int) -> None:
        self.cache = cache
        self.rng = np.random.default_rng(seed)
        self.refresh()

    def refresh(self) -> None:
        """Look for shards that were rendered meanwhile."""
        self.images, self.maps, self.facts = load(self.cache)
        entries = [(shard, tile) for shard, tiles in enumerate(self.facts) for tile in range(len(tiles))]
        self.changed = [(shard, tile) for shard, tile in entries if self.facts[shard][tile]]
        self.unchanged = [(shard, tile) for shard, tile in entries if not self.facts[shard][tile]]

    def __len__(self) -> int:
        return len(self.changed) + len(self.unchanged)

    def draw(self, size: int) -> Batch:
        """Return a batch, the changed half first."""
        half = size // 2
        picks = [self.changed[i] for i in self.rng.integers(len(self.changed), size=half)]
        picks += [self.unchanged[i] for i in self.rng.integers(len(self.unchanged), size=size - half)]
        turned = [self._turn(*pick) for pick in picks]
        images = np.stack([image for image, _, _ in turned])
        return Batch(images, np.stack([kinds for _, kinds, _ in turned]), [facts for _, _, facts in turned])

    def _turn(self, shard: int, tile: int) -> tuple[np.ndarray, np.ndarray, tuple[Fact, ...]]:
        rng = self.rng
        image, kinds = np.asarray(self.images[shard][tile]), self.maps[shard][tile]
        facts = self.facts[shard][tile]
        flip, quarters, reverse = bool(rng.random() < 0.5), int(rng.integers(4)), bool(rng.random() < 0.5)
        if not facts and rng.random() < 0.08:
            image = np.stack([image[0], image[0]])
        if reverse:
            image = image[::-1]
            kinds = kinds.reshape(-1, 2, *kinds.shape[1:])[:, ::-1].reshape(kinds.shape)
            facts = [fact.reversed() for fact in facts]
        if flip:
            image, kinds = image[..., ::-1], kinds[..., ::-1]
        image, kinds = np.rot90(image, quarters, axes=(-2, -1)), np.rot90(kinds, quarters, axes=(-2, -1))
        gain = rng.uniform(0.88, 1.12, size=(2, 1, 1, 1)) * rng.uniform(0.96, 1.04, size=(2, 3, 1, 1))
        offset = rng.uniform(-0.06, 0.06, size=(2, 1, 1, 1))
        pixels = image.astype(np.float32) * np.float32(2 / 255) - 1
        if rng.random() < 0.5:
            pixels = np.clip(pixels * gain.astype(np.float32) + offset.astype(np.float32), -1, 1)
        return pixels, kinds, tuple(fact.turned(flip=flip, quarters=quarters) for fact in facts)


class Masters:
    """Float32 masters of bf16 parameters, their optimisers, and a running mean of them."""

    def __init__(self, modules: list[torch.nn.Module], *, lr: float, keep: float = 0.997) -> None:
        self.parameters = [p for module in modules for p in module.parameters() if p.requires_grad]
        names = [name for module in modules for name, p in module.named_parameters() if p.requires_grad]
        self.masters = [p.detach().float().clone().requires_grad_() for p in self.parameters]
        self.mean = [master.detach().clone() for master in self.masters]
        self.keep, self.lr, self.step_count = keep, lr, 0
        inner = [
            p.ndim == 2 and "embed" not in n and min(p.shape) > 16 for n, p in zip(names, self.parameters, strict=True)
        ]
        matrices = [m for m, is_inner in zip(self.masters, inner, strict=True) if is_inner]
        others = [m for m, is_inner in zip(self.masters, inner, strict=True) if not is_inner]
        self.optimisers = [
            torch.optim.Muon(matrices, lr=lr, weight_decay=0.05, adjust_lr_fn="match_rms_adamw"),
            torch.optim.AdamW(others, lr=lr, weight_decay=0.0, betas=(0.9, 0.98)),
        ]

    def step(self, factor: float) -> float:
        """Apply the gradients of the bf16 parameters, and return their norm."""
        flat = torch.cat([_gradient(parameter).flatten() for parameter in self.parameters])
        dist.all_reduce(flat)
        parts = (flat / dist.get_world_size()).split([master.numel() for master in self.masters])
        for master, parameter, part in zip(self.masters, self.parameters, parts, strict=True):
            master.grad = part.view_as(master)
            parameter.grad = None
        norm = torch.nn.utils.clip_grad_norm_(self.masters, 1.0)
        for optimiser in self.optimisers:
            for group in optimiser.param_groups:
                group["lr"] = self.lr * factor
            optimiser.step()
        self.step_count += 1
        keep = min(self.keep, (1 + self.step_count) / (10 + self.step_count))
        with torch.no_grad():
            torch._foreach_lerp_(self.mean, self.masters, 1 - keep)
            self.load(self.masters)
        return float(norm)

    @torch.no_grad()
    def load(self, values: list[torch.Tensor]) -> None:
        """Put values into the bf16 parameters."""
        for parameter, value in zip(self.parameters, values, strict=True):
            parameter.copy_(value)

    def state(self) -> dict[str, object]:
        """Return all that a later run needs to go on."""
        return {
            "masters": [m.detach() for m in self.masters],
            "mean": self.mean,
            "step": self.step_count,
            "optimisers": [o.state_dict() for o in self.optimisers],
        }

    @torch.no_grad()
    def restore(self, state: dict[str, object]) -> None:
        """Take up the state of an earlier run."""
        for target, source in ((self.masters, state["masters"]), (self.mean, state["mean"])):
            for into, value in zip(target, source, strict=True):
                into.copy_(value)
        self.step_count = state["step"]
        for optimiser, saved in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
        self.load(self.masters)


def _gradient(parameter: torch.Tensor) -> torch.Tensor:
    return torch.zeros(parameter.shape) if parameter.grad is None else parameter.grad.float()


def rate(step: int, *, steps: int, warmup: int = 100, decay: float = 0.4) -> float:
    """Return the factor of the learning rate: up, level, and in the last `decay` of all steps down to nothing."""
    return min(1.0, (step + 1) / warmup, max((steps - step) / (decay * steps), 0.0))


def losses(
    model: CCExpertForConditionalGeneration,
    tutor: Tutor,
    processor: CCExpertProcessor,
    batch: Batch,
    *,
    rng: np.random.Generator,
    speak: bool,
) -> dict[str, torch.Tensor]:
    """Return the parts of the loss of a batch."""
    features = model.get_image_features(torch.from_numpy(batch.images).bfloat16())
    kinds = torch.from_numpy(np.ascontiguousarray(batch.kinds)).flatten(2).transpose(1, 2).float() / 255
    target = (kinds / 0.08).clamp(max=1)  # a twelfth of a token is enough to be seen
    flags = torch.tensor([float(bool(facts)) for facts in batch.facts])
    weigh = torch.tensor(4.0)
    by_change, by_images, by_place = tutor(features.change_features, features.image_features)
    parts = {
        "flag": F.binary_cross_entropy_with_logits(features.change_logits.float(), flags),
        "token": 2
        * F.binary_cross_entropy_with_logits(
            features.change_token_logits.float(), target.amax(dim=-1), pos_weight=weigh
        ),
        "kind": 5 * F.binary_cross_entropy_with_logits(by_change.float(), target, pos_weight=weigh),
        "place": 0.5 * F.cross_entropy(by_place.float().flatten(0, -2), _places(by_place)),
        "told": 5 * F.binary_cross_entropy_with_logits(by_images.float(), target, pos_weight=weigh),
    }
    if speak:
        # An unchanged pair teaches one sentence: a few of them are enough. The changed come first in a batch.
        rows = slice(0, 5 * len(flags) // 8)
        captions = [write_caption(facts, rng, plain=PLAIN) for facts in batch.facts[rows]]
        text = processor(captions=captions, prompt=processor.prompt)
        answers = text["labels"]
        answers[:, : len(processor.prompt_ids())] = -100
        logits = model(
            input_ids=text["input_ids"],
            attention_mask=text["attention_mask"],
            image_features=features.image_features[rows],
        ).logits
        parts["words"] = _word_loss(logits, answers, weights=_word_weights(processor, logits.shape[-1]))
    return parts


def _places(like: torch.Tensor) -> torch.Tensor:
    """Return row and column of every image token, flat, for logits `(B, 2, N, 2, TOKENS)`."""
    index = torch.arange(TOKENS * TOKENS)
    place = torch.stack([index // TOKENS, index % TOKENS], dim=-1)
    return place.expand(*like.shape[:2], -1, -1).flatten()


def _word_weights(processor: CCExpertProcessor, vocabulary: int) -> torch.Tensor:
    """Return the weight of every token: the words for a place are the hardest to learn, and few."""
    weights = torch.ones(vocabulary)
    for word in ["upper", "lower", "left", "right", "top", "bottom", "center", "across"]:
        first, *rest = processor.tokenizer.encode(f" {word}", add_special_tokens=False)
        if not rest:
            weights[first] = 3.0
    return weights


def _word_loss(logits: torch.Tensor, labels: torch.Tensor, *, weights: torch.Tensor) -> torch.Tensor:
    """Return the weighted cross-entropy of the next words."""
    return F.cross_entropy(logits[:, :-1].float().flatten(0, 1), labels[:, 1:].flatten(), weight=weights)


def train(
    model: CCExpertForConditionalGeneration,
    processor: CCExpertProcessor,
    tiles: Tiles,
    *,
    steps: int,
    lr: float,
    state_path: Path,
    after: Callable[[int], None],
    every: int,
    silent_share: float = 0.15,
) -> None:
    """Train, calling `after` with the running mean in the model every so many steps and at the end."""
    model.bfloat16().train()
    tutor = Tutor().bfloat16()
    masters = Masters([model, tutor], lr=lr)
    if state_path.exists():
        masters.restore(torch.load(state_path, weights_only=True))
    rng = np.random.default_rng([masters.step_count, dist.get_rank()])
    sums: dict[str, float] = {}
    started = time.perf_counter()
    for step in range(masters.step_count, steps):
        with sdpa_kernel(SDPBackend.MATH):
            parts = losses(
                model, tutor, processor, tiles.draw(BATCH // WORKERS), rng=rng, speak=step >= silent_share * steps
            )
            torch.stack(list(parts.values())).sum().backward()
        norm = masters.step(rate(step, steps=steps))
        for name, value in parts.items():
            sums[name] = 0.95 * sums.get(name, value.item()) + 0.05 * value.item()
        if step % 25 == 0 and not dist.get_rank():
            pace = BATCH * 25 / (time.perf_counter() - started)
            started = time.perf_counter()
            shown = " ".join(f"{name} {value:.3f}" for name, value in sums.items())
            print(f"step {step} {shown} norm {norm:.2f} {pace:.1f} pairs/s", flush=True)
        if (step + 1) % every == 0 or step + 1 == steps:
            tiles.refresh()
            if not dist.get_rank():
                torch.save(masters.state(), state_path)
                masters.load(masters.mean)
                model.eval()
                after(step + 1)
                model.train()
                masters.load(masters.masters)
