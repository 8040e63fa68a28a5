"""`train`: a configuration in, a trained model out."""

from __future__ import annotations

import contextlib
import math
import os
import random
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers.utils import logging

from geocc.errors import CheckpointError, InputError, WriteError
from geocc.training.adapters import add_adapters, name_base
from geocc.training.arguments import attention_kernels, whole_graphs
from geocc.training.data import check_records, evaluation_records, mixture_records, open_mixture
from geocc.training.dataset import PairDataset
from geocc.training.feature_cache import attach_feature_cache
from geocc.training.generation import CaptionEvaluation, check_evaluation
from geocc.training.grafting import save_part
from geocc.training.parts import set_trainable
from geocc.training.provenance import Provenance, read_provenance
from geocc.training.start import Start, load_start
from geocc.training.trainer import CCExpertTrainer
from geocc.training.tutor import attach_tutor

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import nn

    from geocc.training.configuration import TrainingConfig

__all__ = ["TrainingResult", "globals_kept", "latest_checkpoint", "refuse_used", "train"]

_CHECKPOINT = re.compile(r"checkpoint-(\d+)")
#: Settings that may differ between a run and its continuation.
_FREE = frozenset({"output", "log_every", "log_to", "keep", "device"})


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """What a run came to.

    Attributes:
        folder: The model, or with LoRA the adapter: the best checkpoint where there was an evaluation, else the last.
        steps: Optimizer steps in all.
        loss: Mean loss of the steps of this call; NaN where there was none.
        best: The figure that chose the checkpoint, or None.
        log: Losses, learning rates and figures, as Transformers logs them.
    """

    folder: Path
    steps: int
    loss: float
    best: float | None
    log: list[dict[str, Any]]


def train(config: TrainingConfig, *, resume: bool = False) -> TrainingResult:
    """Train a model. What is global in the process (seeds, environment, log levels) is as before afterwards.

    Under `accelerate launch` every process calls this, and all of them train together.

    Args:
        config: The run.
        resume: Go on from the last whole checkpoint in `config.output`; from the start where there is none.

    Raises:
        ReadError: A record's file or an image cannot be read.
        InputError: A record or a setting cannot be used, or the run to resume was another one.
        CheckpointError: The start does not fit, or is of another stage.
        WriteError: The output folder holds another run.
        TrainingError: The loss is no longer a number.
        EvaluationError: METEOR is asked for and there is no Java.
    """
    with globals_kept():
        return _train(config, resume=resume)


def latest_checkpoint(output: Path) -> Path | None:
    """Return the last whole checkpoint of a run; one that was cut short while it was written is passed over."""
    found = [
        (int(name[1]), path)
        for path in (output.iterdir() if output.is_dir() else ())
        if (name := _CHECKPOINT.fullmatch(path.name)) and read_provenance(path) is not None
    ]
    return max(found)[1] if found else None


def _train(config: TrainingConfig, *, resume: bool) -> TrainingResult:
    first = int(os.environ.get("RANK", "0")) == 0
    if first and not resume:
        refuse_used(config.output)
    records = None
    if config.evaluation is not None:
        check_evaluation(config.evaluation)
        records = evaluation_records(config.evaluation)
        check_records(records, images=config.data.check_images if first else "none")
    provenance, dataset = _data(config, look=first)
    point = latest_checkpoint(config.output) if resume else None
    if point is not None:
        _same_run(provenance, point)
    start = load_start(config)
    model = _prepare(config, start)
    if config.data.feature_cache is not None:
        attach_feature_cache(model, config.data.feature_cache)
    trainer = CCExpertTrainer(
        model,
        config,
        processor=start.processor,
        train_dataset=dataset,
        evaluation=None
        if config.evaluation is None or records is None
        else CaptionEvaluation(records, start.processor, settings=config.evaluation),
        provenance=provenance,
    )
    mean = math.nan
    if point is None or not trainer.take_up_the_end(point):
        try:
            with attention_kernels(trainer.args, bf16=config.recipe.bf16), whole_graphs(trainer.args):
                mean = trainer.train(resume_from_checkpoint=None if point is None else str(point)).training_loss
        finally:
            _stop_scorers(config)
    folder = _save_result(trainer, config, provenance)
    state = trainer.state
    return TrainingResult(folder, state.global_step, mean, state.best_metric, state.log_history)


def _data(config: TrainingConfig, *, look: bool) -> tuple[Provenance, PairDataset]:
    recipe, mixture = config.recipe, open_mixture(config.data)
    samples = mixture.samples(captions=recipe.caption_mode, seed=recipe.seed)
    report = check_records(
        mixture_records(mixture, seed=recipe.seed),
        images=config.data.check_images if look else "none",
        masks=bool(recipe.change_map_weight),
        labels=bool(recipe.change_classes),
    )
    provenance = Provenance(
        stage=recipe.stage,
        train=list(recipe.train),
        base=config.model,
        data={
            "records": report.records,
            "changed": report.changed,
            "samples": len(samples),
            "fingerprint": report.fingerprint,
        },
        config=config.model_dump(mode="json"),
    )
    return provenance, PairDataset(
        samples,
        augmentation=config.augmentation,
        seed=recipe.seed,
        packed=recipe.packed,
        masks=bool(recipe.change_map_weight),
        labels=bool(recipe.change_classes),
    )


def _prepare(config: TrainingConfig, start: Start) -> nn.Module:
    """Mark what trains, or put adapters in."""
    if config.lora is None:
        set_trainable(start.model, config.recipe.train)
        if config.recipe.change_map_weight:
            attach_tutor(
                start.model,
                weight=config.recipe.change_map_weight,
                classes=config.recipe.change_classes,
                seed=config.recipe.seed,
                start=start.path,
            )
        if config.recipe.bf16_weights:
            start.model.bfloat16()
        return start.model
    model = start.model
    if config.lora.quantize == "4bit":
        from geocc.training.quantized import quantize_language_model

        quantize_language_model(model)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.recipe.seed)
        # A folder: PEFT looks for anything else on the hub each time that it saves.
        return add_adapters(model, config.lora, train=config.recipe.train, base=str(start.path.absolute()))


def refuse_used(output: Path) -> None:
    """Refuse a folder that holds a run already.

    Args:
        output: The folder, which need not be there.

    Raises:
        WriteError: It holds checkpoints or a result.
    """
    used = [path.name for path in output.iterdir()] if output.is_dir() else []
    if taken := [name for name in used if _CHECKPOINT.fullmatch(name) or name in {"model", "adapter"}]:
        raise WriteError(
            f"{output} holds a run already ({', '.join(sorted(taken))}); go on with it (resume=True, --resume), or give "
            "another output"
        )


def _same_run(provenance: Provenance, point: Path) -> None:
    before = read_provenance(point) or {}
    if before.get("data", {}).get("fingerprint") != provenance.data["fingerprint"]:
        raise InputError(
            f"the data are not those that {point} was trained on: records, captions or images have changed since; bring "
            "them back, or start anew with another output"
        )
    old, new = _binding(before.get("config", {})), _binding(provenance.config)
    if changed := [key for key in new if old.get(key) != new[key]]:
        raise CheckpointError(
            f"{point} is of a run with other settings of {', '.join(changed)}; give those again "
            f"(they stand in {point / 'geocc_training.yaml'}), or start anew with another output"
        )


def _binding(config: dict[str, Any]) -> dict[str, Any]:
    """Leave out the settings that may differ between a run and its continuation."""
    kept = {key: value for key, value in config.items() if key not in _FREE}
    data = {
        key: value
        for key, value in (kept.get("data") or {}).items()
        if key not in {"workers", "check_images", "feature_cache"}
    }
    return kept | {"data": data}


def _save_result(trainer: CCExpertTrainer, config: TrainingConfig, provenance: Provenance) -> Path:
    target = config.output / ("model" if config.lora is None else "adapter")
    draft = config.output / f".{target.name}.draft"
    if trainer.args.should_save:
        shutil.rmtree(draft, ignore_errors=True)
    trainer.accelerator.wait_for_everyone()
    trainer.save_model(str(draft))
    trainer.accelerator.wait_for_everyone()
    if trainer.args.should_save:
        state = trainer.state
        provenance.write(draft, config, step=state.global_step, best=state.best_metric)
        if config.lora is not None and not Path(config.model).expanduser().exists():
            # A name or hub id holds on any machine, the folder that it was found in does not.
            name_base(draft, config.model)
        if set(config.recipe.train) <= {"difference_module", "projector"} and config.lora is None:
            save_part(
                trainer.accelerator.unwrap_model(trainer.model),
                draft / "trained_parts.safetensors",
                parts=config.recipe.train,
            )
        shutil.rmtree(target, ignore_errors=True)
        draft.replace(target)
    return target


def _stop_scorers(config: TrainingConfig) -> None:
    if config.evaluation is not None and "meteor" in config.evaluation.metrics:
        from geocc.evaluation import stop_meteor

        stop_meteor()


@contextlib.contextmanager
def globals_kept() -> Iterator[None]:
    """Put back what Transformers' Trainer sets for the whole process: seeds, environment, log level."""
    environment, verbosity = dict(os.environ), logging.get_verbosity()
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002  # the one the trainer seeds
    try:
        with torch.random.fork_rng():
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002  # likewise
        logging.set_verbosity(verbosity)
        for name in os.environ.keys() - environment.keys():
            del os.environ[name]
        os.environ.update({name: value for name, value in environment.items() if os.environ.get(name) != value})
