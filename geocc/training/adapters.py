"""LoRA through PEFT: adapters on the parts that train, in PEFT's own files, loaded, captioned with and merged."""

from __future__ import annotations

import contextlib
import json
import secrets
import shutil
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geocc.errors import CheckpointError, WriteError
from geocc.model.captioning import CaptioningCheckpoint, load_captioning_checkpoint
from geocc.training.provenance import CONFIG_FILE, RUN_FILE

if TYPE_CHECKING:
    import os
    from collections.abc import Collection, Iterator

    import torch
    from peft import LoraConfig, PeftModel
    from torch import nn

    from geocc.training.configuration import Lora
    from geocc.training.parts import Part

__all__ = ["add_adapters", "is_adapter", "load_adapter", "lora_config", "merge_adapter", "name_base"]

ADAPTER_CONFIG = "adapter_config.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"

# The linear layers of each part, by their names in CCExpertForConditionalGeneration. The language model's head and
# embeddings are left out, as in the LoRA paper.
_LINEAR: dict[Part, str] = {
    "difference_module": (
        r"model\.difference\.(?:extractor\.(?:gate|proj)|fusion\.lin[12]|layers\.\d+\.(?:mlp\.lin[12]"
        r"|(?:self_attention|change_to_images|image_to_change)\.(?:q|k|v|out)_proj))"
        r"|model\.change_head\.(?:token|pair_[12])|model\.scout_branch\.(?:change|covers|image_[ab]|pair)"
    ),
    "projector": r"model\.projector\.linear_[12]",
    "language_model": r"model\.language_model\.layers\.\d+\.(?:self_attn\.[qkvo]_proj|mlp\.(?:gate|up|down)_proj)",
    "vision_tower": r"model\.vision_tower\.layers\.\d+\.(?:self_attn\.(?:q|k|v|out)_proj|mlp\.fc[12])",
}
_WHOLE: dict[Part, tuple[str, ...]] = {
    "difference_module": (
        "model.difference",
        "model.change_head",
        *(f"model.scout_branch.{name}" for name in ("norm", "change", "covers", "image_a", "image_b", "pair")),
    ),
    "projector": ("model.projector",),
    "vision_tower": ("model.vision_tower",),
}


def lora_config(lora: Lora, *, train: Collection[Part], model: nn.Module) -> LoraConfig:
    """Say in PEFT's words which layers get adapters and which parts train whole.

    Args:
        lora: Rank, scale and the parts that train whole.
        train: The parts that train.
        model: The model that they are for.
    """
    from peft import LoraConfig

    adapted = [part for part in train if part not in lora.full]
    modules = dict(model.named_modules())
    whole = [name for part in lora.full for name in _WHOLE[part] if name in modules]
    return LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,  # type: ignore[arg-type]  # PEFT divides by the rank; a float will do
        lora_dropout=lora.dropout,
        target_modules="|".join(_LINEAR[part] for part in adapted),
        modules_to_save=whole or None,
        bias="none",
    )


def add_adapters(model: Any, lora: Lora, *, train: Collection[Part], base: str) -> PeftModel:
    """Put fresh adapters into a model; what they change is nothing yet, for their second factor is zero.

    Args:
        model: A `CCExpertForConditionalGeneration`; changed in place.
        lora: Rank, scale and the parts that train whole.
        train: The parts that train.
        base: What the model was loaded from, for whoever loads the adapter.
    """
    from peft import get_peft_model

    settings = lora_config(lora, train=train, model=model)
    with _old_names_allowed():
        wrapped: Any = get_peft_model(model, settings)
    settings.base_model_name_or_path = base
    made: PeftModel = wrapped
    return made


def is_adapter(path: str | os.PathLike[str]) -> bool:
    """Tell whether a folder holds an adapter in PEFT's format."""
    return (Path(path) / ADAPTER_CONFIG).is_file()


def load_adapter(
    folder: str | os.PathLike[str],
    *,
    base: str | os.PathLike[str] | None = None,
    merge: bool = True,
    dtype: str | torch.dtype | None = None,
    device: str | torch.device | None = None,
) -> CaptioningCheckpoint:
    """Load an adapter with the model that it was trained on, ready to caption.

    Args:
        folder: Folder of the adapter, as `geocc train` writes it.
        base: The model that it was trained on, where that no longer lies where the adapter remembers it.
        merge: Whether to merge the adapter into the weights, which makes captioning as fast as without one.
        dtype: Dtype of the model; as stored in the base when left out.
        device: Where to put the model; the CPU when left out.

    Raises:
        ModelNotFoundError: The base is not there.
        CheckpointError: The folder holds no adapter as safetensors, or one that does not fit the base.
    """
    path = Path(folder)
    settings = _settings(path)
    known = settings.get("base_model_name_or_path") if base is None else base
    if known is None:
        raise CheckpointError(
            f"{path} does not say which model it adapts; name it: base=..., on the command line --base"
        )
    if is_adapter(known):
        raise CheckpointError(f"{path} adapts {known}, which is an adapter itself; merge that one first: geocc merge")
    start = load_captioning_checkpoint(str(known), dtype=dtype, device=device)
    wrapped = _attach(start.model, path)
    model: Any = wrapped.merge_and_unload(safe_merge=True) if merge else wrapped.get_base_model()
    return CaptioningCheckpoint(model.eval(), start.processor, start.report, f"{start.revision}+{_digest(path)}")


def merge_adapter(
    folder: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    base: str | os.PathLike[str] | None = None,
    dtype: str | torch.dtype | None = None,
) -> Path:
    """Merge an adapter into its base and write a checkpoint that stands alone. The folder appears whole or not at all.

    Args:
        folder: Folder of the adapter.
        output: Folder to write; it must not exist.
        base: The model that it was trained on, where that no longer lies where the adapter remembers it.
        dtype: Dtype to store; as stored in the base when left out.

    Returns:
        The folder.

    Raises:
        ModelNotFoundError: The base is not there.
        CheckpointError: The folder holds no adapter as safetensors, or one that does not fit the base.
        WriteError: The folder exists or cannot be written.
    """
    target = Path(output)
    if target.exists():
        raise WriteError(f"{target} exists already; name a new folder")
    merged = load_adapter(folder, base=base, dtype=dtype)
    draft = target.absolute().parent / f".{target.name}.{secrets.token_hex(4)}"
    try:
        draft.mkdir(parents=True)
        merged.model.save_pretrained(draft)
        merged.processor.save_pretrained(draft)
        for name in (CONFIG_FILE, RUN_FILE):
            if (Path(folder) / name).is_file():
                shutil.copyfile(Path(folder) / name, draft / name)
        draft.replace(target)
    except OSError as error:
        raise WriteError(f"the merged model cannot be written to {target}: {error}") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return target


def name_base(folder: Path, base: str) -> None:
    """Write into an adapter's settings which model it was trained on.

    Args:
        folder: Folder of the adapter.
        base: Name, folder or hub id of the model.
    """
    path = folder / ADAPTER_CONFIG
    content = json.loads(path.read_text(encoding="utf-8")) | {"base_model_name_or_path": base}
    path.write_text(json.dumps(content, indent=2), encoding="utf-8")


def _attach(model: Any, path: Path) -> Any:
    from peft import PeftModel

    try:
        # Never the pickled form: only safetensors were let through.
        with _old_names_allowed():
            return PeftModel.from_pretrained(model, str(path), local_files_only=True)
    except (RuntimeError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"the adapter in {path} does not fit the model that it is put on: {str(error).splitlines()[0]}; "
            "name the model that it was trained on: base=..., on the command line --base"
        ) from error


@contextlib.contextmanager
def _old_names_allowed() -> Iterator[None]:
    """Let PEFT 0.21 ask Transformers 5.23 for `is_gradient_checkpointing`, which warns that it has a new name."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is deprecated", category=FutureWarning)
        yield


def _settings(path: Path) -> dict[str, Any]:
    if not (path / ADAPTER_WEIGHTS).is_file():
        raise CheckpointError(f"{path} holds no {ADAPTER_WEIGHTS}; expected a folder that geocc train wrote for LoRA")
    try:
        content = json.loads((path / ADAPTER_CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path / ADAPTER_CONFIG} cannot be read: {error}") from error
    if not isinstance(content, dict) or content.get("peft_type") != "LORA":
        raise CheckpointError(f"{path / ADAPTER_CONFIG} is of no LoRA adapter, and geocc merges no others")
    return content


def _digest(path: Path) -> str:
    import hashlib

    with (path / ADAPTER_WEIGHTS).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
