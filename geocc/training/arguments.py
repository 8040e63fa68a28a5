"""A recipe in the words of Transformers' Trainer."""

from __future__ import annotations

import contextlib
import importlib.util
import sys
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import TrainingArguments

from geocc.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from geocc.training.configuration import TrainingConfig

__all__ = ["accumulation_steps", "attention_kernels", "training_arguments", "whole_graphs"]


def accumulation_steps(*, batch_size: int, micro_batch_size: int, world_size: int) -> int:
    """Return how many micro batches each device adds up before the optimizer steps.

    Args:
        batch_size: Pairs per optimizer step.
        micro_batch_size: Pairs that one device holds at once.
        world_size: Number of devices.

    Raises:
        InputError: The step is no whole number of micro batches on each device.
    """
    together = micro_batch_size * world_size
    if batch_size % together:
        raise InputError(
            f"recipe.batch_size is {batch_size}, which {world_size} device(s) with {micro_batch_size} pairs each cannot "
            f"share out evenly; expected a multiple of {together}: set recipe.batch_size or recipe.micro_batch_size"
        )
    return batch_size // together


def training_arguments(config: TrainingConfig, *, unused_parameters: bool = False) -> TrainingArguments:
    """Say a run in the words of Transformers' Trainer.

    Args:
        config: The run.
        unused_parameters: Whether some parameters that train get no gradient, which DistributedDataParallel must know.

    Raises:
        InputError: The batch cannot be shared out over the devices, or a logger is not installed.
    """
    recipe = config.recipe
    arguments = TrainingArguments(
        output_dir=str(config.output),
        per_device_train_batch_size=recipe.micro_batch_size,
        num_train_epochs=recipe.epochs,
        max_steps=recipe.max_steps or -1,
        learning_rate=recipe.learning_rate,
        lr_scheduler_type=recipe.schedule,
        warmup_steps=recipe.warmup_fraction,  # below 1 it is a share
        weight_decay=recipe.weight_decay,
        adam_beta1=recipe.adam_beta1,
        adam_beta2=recipe.adam_beta2,
        adam_epsilon=recipe.adam_epsilon,
        max_grad_norm=recipe.max_grad_norm,
        bf16=recipe.bf16 and not recipe.bf16_weights,  # products of bfloat16 weights are so already
        torch_compile=recipe.compile,
        seed=recipe.seed,
        logging_steps=config.log_every,
        logging_nan_inf_filter=False,  # CCExpertTrainer stops at the first one
        disable_tqdm=not sys.stderr.isatty(),
        report_to=_loggers(config),
        # Said outright: where there is no accelerator Transformers refuses bf16 otherwise, which a CPU can do too.
        use_cpu=config.device == "cpu" or not torch.accelerator.is_available(),
        dataloader_num_workers=config.data.workers,
        dataloader_pin_memory=config.device != "cpu" and torch.accelerator.is_available(),
        dataloader_persistent_workers=config.data.workers > 0,
        remove_unused_columns=False,
        label_names=["labels"],
        ddp_find_unused_parameters=unused_parameters,
        **_checkpointing(recipe.gradient_checkpointing),
        **_cadence(config),
    )
    arguments.gradient_accumulation_steps = accumulation_steps(
        batch_size=recipe.batch_size, micro_batch_size=recipe.micro_batch_size, world_size=arguments.world_size
    )
    return arguments


@contextlib.contextmanager
def attention_kernels(arguments: TrainingArguments, *, bf16: bool) -> Iterator[None]:
    """Choose the attention kernels of a run for as long as it lasts; torch's own choice but on a processor in bfloat16.

    There the backward pass of torch's fused kernel does without the matrix units, and plain products are faster: 1.56 s
    instead of 2.20 s for 64 pairs of geocc-mini on one core.
    """
    if arguments.device.type != "cpu" or not bf16:
        yield
        return
    before = torch.backends.cuda.fp16_bf16_reduction_math_sdp_allowed()
    try:
        # The switch is named for CUDA and holds for every device.
        torch.backends.cuda.allow_fp16_bf16_reduction_math_sdp(True)
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.cuda.allow_fp16_bf16_reduction_math_sdp(before)


@contextlib.contextmanager
def whole_graphs(arguments: TrainingArguments) -> Iterator[None]:
    """Compile a model in one piece where several processes train on processors.

    torch cuts it at the buckets of DistributedDataParallel, so that gradients travel while others are still computed. Within
    one machine there is nothing to gain, and of the pieces some came out as NaN (torch 2.15, geocc-mini in bfloat16).
    """
    if arguments.device.type != "cpu" or not arguments.torch_compile:
        yield
        return
    from torch._dynamo import config  # seconds to import, for this alone

    with config.patch(optimize_ddp=False):
        yield


def _checkpointing(wanted: bool) -> dict[str, Any]:
    # Transformers 5.20 or so gave the old name up, and warns where it is used.
    known = {field.name for field in fields(TrainingArguments)}
    name = "activation_checkpointing" if "activation_checkpointing" in known else "gradient_checkpointing"
    return {name: wanted}


def _cadence(config: TrainingConfig) -> dict[str, Any]:
    every = config.recipe.checkpoint_every
    strategy, steps = ("epoch", 500) if every == "epoch" else ("steps", every)
    settings: dict[str, Any] = {"save_strategy": strategy, "save_steps": steps}
    if config.evaluation is not None:
        settings |= {
            "eval_strategy": strategy,
            "eval_steps": steps,
            "metric_for_best_model": config.evaluation.best,
            "greater_is_better": True,
            "load_best_model_at_end": True,
        }
    return settings


def _loggers(config: TrainingConfig) -> list[str]:
    homes = {"tensorboard": ("tensorboard", "tensorboardX"), "wandb": ("wandb",)}
    for name in config.log_to:
        if not any(importlib.util.find_spec(home) for home in homes[name]):
            raise InputError(f"log_to names {name!r}, which is not installed: pip install {name}, or take it out")
    return list(config.log_to)
