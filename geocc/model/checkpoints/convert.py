"""Writes a checkpoint of any known layout in geocc's own."""

from __future__ import annotations

import secrets
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geocc.errors import WriteError
from geocc.model.checkpoints.loading import load_checkpoint, quiet_bars
from geocc.model.registry import resolve_model

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    import torch
    from transformers import PreTrainedTokenizerBase

    from geocc.model.checkpoints.report import ConversionReport

__all__ = ["convert_checkpoint"]


def convert_checkpoint(
    src: str | os.PathLike[str],
    dst: str | os.PathLike[str],
    *,
    vision_config: Mapping[str, Any] | str | os.PathLike[str] | None = None,
    tokenizer: PreTrainedTokenizerBase | str | os.PathLike[str] | None = None,
    dtype: str | torch.dtype | None = None,
    max_shard_size: str = "5GB",
) -> ConversionReport:
    """Convert a checkpoint to geocc's own layout, which every `from_pretrained` of Transformers reads.

    The folder appears whole or not at all.

    Args:
        src: Folder of the checkpoint in any layout that `load_checkpoint` reads, a name of `list_models`, or a hub id.
        dst: Folder to write; it must not exist, or be empty.
        vision_config: See `load_checkpoint`.
        tokenizer: See `load_checkpoint`.
        dtype: Dtype to store; as found when left out.
        max_shard_size: Largest file to write, such as `"5GB"`.

    Returns:
        What became of every tensor.

    Raises:
        ModelNotFoundError: If there is nothing of that name.
        CheckpointError: If the weights do not fit.
        UnsafeCheckpointError: If loading them would run code that came with them.
        WriteError: If the folder exists or cannot be written.
    """
    target = Path(dst)
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise WriteError(f"{target} exists already; name a new folder")
    source = resolve_model(src)
    model, processor, report = load_checkpoint(source, vision_config=vision_config, tokenizer=tokenizer, dtype=dtype)
    making = target.parent / f".{target.name}.{secrets.token_hex(4)}"
    try:
        making.mkdir(parents=True)
        with quiet_bars():
            model.save_pretrained(making, max_shard_size=max_shard_size)
        if processor is not None:
            processor.save_pretrained(making)
        making.replace(target)
    except OSError as error:
        raise WriteError(f"the converted checkpoint cannot be written to {target}: {error}") from error
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return report
