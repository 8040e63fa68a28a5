"""Parts of a model on their own: a difference module trained on one base grafts onto any other that it fits."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from safetensors.torch import save_file

from geocc.errors import CheckpointError
from geocc.model.checkpoints.files import WeightFiles
from geocc.model.checkpoints.names import own_name
from geocc.model.registry import resolve_model
from geocc.table.atomic import replacing
from geocc.training.parts import TUTOR_PREFIX, check_parts, part_of

if TYPE_CHECKING:
    import os
    from collections.abc import Collection

    from torch import nn

    from geocc.training.parts import Part

__all__ = ["graft", "save_part"]

_SHOWN = 5
_DIFFERENCE: tuple[Part, ...] = ("difference_module",)


def save_part(model: nn.Module, path: str | os.PathLike[str], *, parts: Collection[Part]) -> list[str]:
    """Write the weights of some parts of a model to one safetensors file, whole or not at all.

    Args:
        model: A `CCExpertForConditionalGeneration`.
        path: The file to write.
        parts: Which parts.

    Returns:
        The names of the tensors written.
    """
    check_parts(parts)
    tensors = {
        name: parameter.detach().cpu().contiguous()
        for name, parameter in model.named_parameters()
        if part_of(name) in parts and not name.startswith(TUTOR_PREFIX)
    }
    with replacing(Path(path)) as draft:
        save_file(tensors, draft, metadata={"format": "pt", "parts": ",".join(parts)})
    return list(tensors)


def graft(model: nn.Module, source: str | os.PathLike[str], *, parts: Collection[Part] = _DIFFERENCE) -> list[str]:
    """Put parts of another checkpoint in the place of a model's own.

    Args:
        model: A `CCExpertForConditionalGeneration`; changed in place.
        source: A file of `save_part`, or a checkpoint by name, folder or hub id, in any layout that geocc reads.
        parts: Which parts.

    Returns:
        The names of the parameters that were replaced.

    Raises:
        ModelNotFoundError: There is no such checkpoint.
        CheckpointError: It lacks a tensor of these parts, or has one of another shape; nothing is replaced then.
    """
    check_parts(parts)
    wanted = {name: parameter for name, parameter in model.named_parameters() if part_of(name) in parts}
    path = Path(source)
    files = WeightFiles(path if path.exists() else resolve_model(source).path)
    sources = {name if name in wanted else own_name(name): name for name in files.shapes}
    _check(wanted, sources, files=files, source=str(source))
    ours = {sources[name]: name for name in wanted}
    for theirs, tensor in files.read(ours):
        wanted[ours[theirs]].data.copy_(tensor)
    return list(wanted)


def _check(wanted: dict[str, nn.Parameter], sources: dict[str | None, str], *, files: WeightFiles, source: str) -> None:
    missing = [name for name in wanted if name not in sources]
    misfits = [
        f"{name}: expected {list(parameter.shape)}, found {list(files.shapes[sources[name]])}"
        for name, parameter in wanted.items()
        if name in sources and files.shapes[sources[name]] != tuple(parameter.shape)
    ]
    if missing or misfits:
        listed = "; ".join([*(f"{name}: missing" for name in missing), *misfits][:_SHOWN])
        raise CheckpointError(
            f"{source} does not fit onto this model: {len(missing)} tensors are missing and {len(misfits)} are of another "
            f"shape ({listed}); a graft needs the same tower width and the same difference_* settings on both sides."
        )
