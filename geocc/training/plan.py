"""What a run would do, told in seconds: nothing is trained, and no weight and no image is read."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from geocc.model import CCExpertForConditionalGeneration
from geocc.model.checkpoints.files import WeightFiles, read_json
from geocc.model.checkpoints.layouts import layout_of, own_config
from geocc.model.checkpoints.matching import match
from geocc.training.adapters import add_adapters
from geocc.training.arguments import accumulation_steps
from geocc.training.data import open_mixture
from geocc.training.parts import PARTS, count_parameters, set_trainable
from geocc.training.provenance import read_provenance
from geocc.training.start import check_stage, find_start

if TYPE_CHECKING:
    from geocc.model import CCExpertConfig
    from geocc.training.configuration import TrainingConfig
    from geocc.training.parts import Part

__all__ = ["TrainingPlan", "plan_training"]

_GIB = 2**30
_WORDS = 100  # tokens of question and answer, about
_ANSWER = 30  # tokens of an answer
_CAPTIONS = 6  # of a pair, as in CC-Foundation


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """What a run would do.

    Attributes:
        config: The run.
        parameters: For each part how many parameters it has, and how many of them train.
        samples: Samples of an epoch.
        devices: Number of devices.
        accumulation: Micro batches that each device adds up before the optimizer steps.
        steps: Optimizer steps of the whole run.
        warmup_steps: How many of them warm up.
        state_bytes: Weights, gradients and AdamW's moments on one device, nothing sharded.
        activation_bytes: What one micro batch needs beside, estimated.
    """

    config: TrainingConfig
    parameters: dict[Part, tuple[int, int]]
    samples: int
    devices: int
    accumulation: int
    steps: int
    warmup_steps: int
    state_bytes: int
    activation_bytes: int

    @property
    def trainable_share(self) -> float:
        """Share of the parameters that train, in [0, 1]."""
        every, trained = (sum(counts) for counts in zip(*self.parameters.values(), strict=True))
        return float(trained / every)

    def __str__(self) -> str:
        config, recipe = self.config, self.config.recipe
        lines = [f"stage {recipe.stage} from {config.model} to {config.output}", ""]
        lines += [f"{'part':<20}{'parameters':>16}{'that train':>16}  learning rate"]
        for part in PARTS:
            every, trained = self.parameters[part]
            rate = f"{recipe.rate_of(part):g}" if trained else "-"
            lines.append(f"{part:<20}{every:>16,}{trained:>16,}  {rate}")
        every, trained = (sum(counts) for counts in zip(*self.parameters.values(), strict=True))
        together, per_gib = 100 * self.trainable_share, 1 / _GIB
        batch = f"{recipe.micro_batch_size} x {self.accumulation} accumulated x {self.devices} device(s)"
        memory = (self.state_bytes * per_gib, self.activation_bytes * per_gib)
        lines += [
            f"{'together':<20}{every:>16,}{trained:>16,}  {together:.2f} %",
            "",
            f"samples    {self.samples:,} per epoch ({recipe.captions})",
            f"batch      {recipe.batch_size} = {batch}",
            f"steps      {self.steps:,}, {self.warmup_steps:,} of them warm-up, then {recipe.schedule}",
            f"memory     about {sum(memory):.1f} GiB on each device, nothing sharded",
            f"           {memory[0]:.1f} weights, gradients and moments, {memory[1]:.1f} activations",
        ]
        return "\n".join(lines)


def plan_training(config: TrainingConfig) -> TrainingPlan:
    """Work out what a run would do. Headers of the checkpoint and the records' file are read, weights and images not.

    Raises:
        ModelNotFoundError: There is no such start.
        CheckpointError: It does not fit, or is of another stage.
        ReadError: A file of records cannot be read.
        InputError: A record is broken, or the batch cannot be shared out over the devices.
    """
    recipe = config.recipe
    model_config, fresh, found = _read_start(config)
    check_stage(config, found=found, fresh=[] if config.graft else fresh)
    samples = len(open_mixture(config.data).samples(captions=recipe.caption_mode, seed=recipe.seed, shuffle=False))
    devices = int(os.environ.get("WORLD_SIZE", "1"))
    accumulation = accumulation_steps(
        batch_size=recipe.batch_size, micro_batch_size=recipe.micro_batch_size, world_size=devices
    )
    steps = _steps(config, samples=samples, devices=devices, accumulation=accumulation)
    parameters = _count(config, model_config)
    every, trained = (sum(counts) for counts in zip(*parameters.values(), strict=True))
    return TrainingPlan(
        config=config,
        parameters=parameters,
        samples=samples,
        devices=devices,
        accumulation=accumulation,
        steps=steps,
        warmup_steps=math.ceil(steps * recipe.warmup_fraction),
        state_bytes=4 * every + 12 * trained,
        activation_bytes=_activation_bytes(config, model_config),
    )


def _read_start(config: TrainingConfig) -> tuple[CCExpertConfig, list[str], dict[str, object] | None]:
    path = find_start(config)
    files = WeightFiles(path)
    settings = read_json(files.folder / "config.json")
    model_config = own_config(settings, files=files, vision_config=config.vision_config)
    report = match(files, config=model_config, layout=layout_of(settings))
    return model_config, report.fresh, read_provenance(Path(path))


def _count(config: TrainingConfig, model_config: CCExpertConfig) -> dict[Part, tuple[int, int]]:
    with torch.device("meta"):
        model = CCExpertForConditionalGeneration(model_config)
        if config.lora is None:
            set_trainable(model, config.recipe.train)
            return count_parameters(model.named_parameters())
        wrapped = add_adapters(model, config.lora, train=config.recipe.train, base=config.model)
    return count_parameters(wrapped.named_parameters())


def _steps(config: TrainingConfig, *, samples: int, devices: int, accumulation: int) -> int:
    """Count optimizer steps as Transformers' Trainer does."""
    if config.recipe.max_steps is not None:
        return config.recipe.max_steps
    batches = math.ceil(samples / (config.recipe.micro_batch_size * devices))
    return math.ceil(config.recipe.epochs * math.ceil(batches / accumulation))


def _activation_bytes(config: TrainingConfig, model_config: CCExpertConfig) -> int:
    """Estimate what one micro batch keeps for its backward pass.

    With checkpointing: the input of every layer, and all of the one layer that is computed again; 34 numbers per token
    and channel in a transformer layer without its attention matrix (Korthikanti et al., arXiv 2205.05198). The logits
    of the positions that predict a target come on top, with their float32 copy and its gradient.
    """
    recipe, text, vision = config.recipe, model_config.text_config, model_config.vision_config
    width = 2 if recipe.bf16 else 4
    tokens = model_config.tokens_per_image
    words = _WORDS + (_CAPTIONS - 1) * _ANSWER * recipe.packed
    length = 2 * tokens + words
    levels = len(model_config.feature_levels)
    # (values that enter a layer, number of such layers)
    blocks = [
        (2 * tokens * vision.hidden_size, max(model_config.feature_levels)),
        (levels * 3 * tokens * vision.hidden_size, model_config.difference_depth),
        (length * text.hidden_size, text.num_hidden_layers),
    ]
    inside = 17  # 34 bytes at two bytes each
    if recipe.gradient_checkpointing:
        kept = sum(size * layers for size, layers in blocks) + inside * max(size for size, _ in blocks)
    else:
        kept = inside * sum(size * layers for size, layers in blocks)
    logits = words * text.vocab_size * (width + 8)
    return int(recipe.micro_batch_size * (width * kept + logits))
