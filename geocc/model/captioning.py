"""From a name to a model that captions."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from geocc.errors import CheckpointError
from geocc.model.checkpoints.files import WeightFiles
from geocc.model.checkpoints.loading import load_checkpoint
from geocc.model.registry import resolve_model

if TYPE_CHECKING:
    import os
    from pathlib import Path

    import torch

    from geocc.model.checkpoints.report import ConversionReport
    from geocc.model.modeling import CCExpertForConditionalGeneration
    from geocc.model.processing import CCExpertProcessor

__all__ = ["CaptioningCheckpoint", "load_captioning_checkpoint"]


@dataclass(frozen=True, slots=True)
class CaptioningCheckpoint:
    """All that a captioner needs.

    Attributes:
        model: The model, in evaluation mode.
        processor: Its processor.
        report: What became of every tensor of the checkpoint.
        revision: Tells these weights from all others: a commit on the hub, or a sha256.
    """

    model: CCExpertForConditionalGeneration
    processor: CCExpertProcessor
    report: ConversionReport
    revision: str


def load_captioning_checkpoint(
    name: str | os.PathLike[str],
    *,
    revision: str | None = None,
    local_files_only: bool = False,
    dtype: str | torch.dtype | None = None,
    device: str | torch.device | None = None,
) -> CaptioningCheckpoint:
    """Load a model to caption with.

    Args:
        name: A name of `list_models`, a folder in any layout that `load_checkpoint` reads, a folder of an adapter that
            `geocc train` wrote, or a hub id.
        revision: Branch, tag or commit on the hub.
        local_files_only: Do not use the network.
        dtype: Dtype of the model; as stored when left out.
        device: Where to put the model; the CPU when left out.

    Raises:
        ModelNotFoundError: If there is no such model.
        CheckpointError: If the weights do not fit, were never trained to caption, or come without a tokenizer.
        UnsafeCheckpointError: If loading them would run code that came with them.
    """
    source = resolve_model(name, revision=revision, local_files_only=local_files_only)
    if (source.path / "adapter_config.json").is_file():
        import torch.distributed.tensor  # noqa: F401  # PEFT looks into it without importing it

        from geocc.training.adapters import load_adapter

        return load_adapter(source.path, dtype=dtype, device=device)
    model, processor, report = load_checkpoint(source, dtype=dtype, device=device)
    if report.fresh:
        raise CheckpointError(
            f"{source.name} is a start for training: {len(report.fresh)} tensors of its difference module are fresh and say "
            "nothing of change. Train it first; geocc.model.load_checkpoint loads it for that"
        )
    if processor is None:
        raise CheckpointError(
            f"{source.path} holds no tokenizer, so no caption can be read; add one with "
            f"geocc convert {source.path} NEW_FOLDER --tokenizer FOLDER_OF_THE_QWEN2_TOKENIZER"
        )
    return CaptioningCheckpoint(model, processor, report, source.revision or _digest(source.path))


def _digest(path: Path) -> str:
    """Return one sha256 over all weight files of a folder of the user's."""
    total = hashlib.sha256()
    for file in WeightFiles(path).paths:
        with file.open("rb") as content:
            total.update(hashlib.file_digest(content, "sha256").digest())
    return total.hexdigest()
