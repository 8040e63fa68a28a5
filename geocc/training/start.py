"""Where a run starts: the checkpoint before it, checked to be the one that its stage follows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from geocc.errors import CheckpointError
from geocc.model import load_checkpoint
from geocc.model.registry import resolve_model
from geocc.training.grafting import graft
from geocc.training.provenance import read_provenance

if TYPE_CHECKING:
    from pathlib import Path

    from geocc.model import CCExpertForConditionalGeneration, CCExpertProcessor
    from geocc.model.checkpoints.report import ConversionReport
    from geocc.training.configuration import TrainingConfig

__all__ = ["Start", "check_stage", "find_start", "load_start"]

# Stage 3 is fine-tuning on a benchmark, and the next benchmark may follow it.
_FOLLOWS = {1: (), 2: (1,), 3: (2, 3)}
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Start:
    """A loaded start.

    Attributes:
        model: The model, float32, on the CPU.
        processor: Its processor.
        report: What became of every tensor of the checkpoint.
        path: Where it lies.
    """

    model: CCExpertForConditionalGeneration
    processor: CCExpertProcessor
    report: ConversionReport
    path: Path


def find_start(config: TrainingConfig) -> Path:
    """Find the checkpoint that a run starts from.

    Raises:
        ModelNotFoundError: There is none of that name.
        CheckpointError: It is an adapter.
    """
    path = resolve_model(config.model).path
    if (path / "adapter_config.json").is_file():
        raise CheckpointError(
            f"{config.model} is an adapter, not a whole model; merge it first: geocc merge {config.model} NEW_FOLDER"
        )
    return path


def load_start(config: TrainingConfig) -> Start:
    """Load the checkpoint that a run starts from, and graft a difference module onto it where one was named.

    Fresh tensors follow from the run's seed: N(0, 0.02), flags included, as the reference's start (parity NOTES.md 26).

    Raises:
        ModelNotFoundError: There is no such checkpoint.
        CheckpointError: Its weights do not fit, it has no tokenizer, or it is of another stage.
    """
    path = find_start(config)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.recipe.seed)
        # Master weights and moments are float32; bf16 concerns the products only.
        model, processor, report = load_checkpoint(
            path, vision_config=config.vision_config, tokenizer=config.tokenizer, dtype="float32"
        )
    if config.graft is not None:
        grafted = set(graft(model, config.graft))
        report.fresh[:] = [name for name in report.fresh if name not in grafted]
    check_stage(config, found=read_provenance(path), fresh=report.fresh)
    if processor is None:
        raise CheckpointError(
            f"{config.model} carries no tokenizer; name the folder of one in the training file: tokenizer: FOLDER"
        )
    return Start(model, processor, report, path)


def check_stage(config: TrainingConfig, *, found: dict[str, Any] | None, fresh: list[str]) -> None:
    """Refuse a start that is not the end of the stage before.

    Args:
        config: The run.
        found: What the checkpoint says of itself; None where geocc did not train it.
        fresh: Tensors that it does not hold.

    Raises:
        CheckpointError: The start is of another stage, or its difference module was never trained.
    """
    stage = config.recipe.stage
    if config.start_from == "any":
        return
    remedy = "or, if that is meant, set start_from: any"
    if stage > 1 and fresh:
        raise CheckpointError(
            f"stage {stage} starts from the end of stage {stage - 1}, but {config.model} was never trained on change: "
            f"it lacks {len(fresh)} tensors of the difference module ({', '.join(fresh[:_SHOWN])}, ...); "
            f"run stage 1 on it first (recipe.stage: 1), {remedy}"
        )
    if found is not None and found["stage"] not in _FOLLOWS[stage]:
        expected = " or ".join(str(number) for number in _FOLLOWS[stage]) or "none: a model that knows no change yet"
        raise CheckpointError(
            f"stage {stage} follows stage {expected}, but {config.model} is the end of stage {found['stage']}, which "
            f"trained {', '.join(found.get('train', []))}; give model the folder that the stage before wrote, {remedy}"
        )
