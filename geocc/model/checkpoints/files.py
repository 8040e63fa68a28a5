"""The weight files of a checkpoint, read lazily and without running anything that lies in them."""

from __future__ import annotations

import json
import pickle
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open

from geocc.errors import CheckpointError, UnsafeCheckpointError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from torch import Tensor

__all__ = ["WeightFiles", "read_json"]

_INDEXES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
_PATTERNS = ("model*.safetensors", "pytorch_model*.bin")
_DTYPES = {"BF16": torch.bfloat16, "F16": torch.float16, "F32": torch.float32, "F64": torch.float64}
_PICKLED = frozenset({".bin", ".pt", ".pth"})


class WeightFiles:
    """The tensors of one checkpoint, by name, across its shards.

    Safetensors are preferred to pickled files, and pickled files are opened with `weights_only`, which refuses code.

    Args:
        source: A folder, or one weight file.

    Raises:
        CheckpointError: If there are no weights, a shard is missing, or a file is damaged.
        UnsafeCheckpointError: If a file would run code when loaded.
    """

    def __init__(self, source: Path) -> None:
        self.folder = source if source.is_dir() else source.parent
        self.paths = _weight_paths(source)
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.dtypes: dict[str, torch.dtype | None] = {}
        self._home: dict[str, Path] = {}
        for path in self.paths:
            for name, shape, dtype in _describe(path):
                if name in self._home:
                    raise CheckpointError(f"{name} lies both in {self._home[name].name} and in {path.name}")
                self._home[name], self.shapes[name], self.dtypes[name] = path, shape, dtype

    def read(self, names: Collection[str]) -> Iterator[tuple[str, Tensor]]:
        """Yield the named tensors one by one, file by file."""
        for path in self.paths:
            wanted = {name for name in names if self._home[name] == path}
            if path.suffix in _PICKLED:
                yield from ((name, tensor) for name, tensor in _unpickle(path).items() if name in wanted)
            elif wanted:
                with safe_open(path, framework="pt") as file:
                    yield from ((name, file.get_tensor(name)) for name in wanted)


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        CheckpointError: If the file is not there or holds something else.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise CheckpointError(f"{path} is missing; fetch all files of the checkpoint") from error
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} holds a {type(content).__name__}, not an object")
    return content


def _weight_paths(source: Path) -> list[Path]:
    if source.is_file() and source.suffix != ".json":
        return [source]
    if source.is_file():
        return _indexed(source)
    for index, pattern in zip(_INDEXES, _PATTERNS, strict=True):
        if (source / index).is_file():
            return _indexed(source / index)
        if found := sorted(source.glob(pattern)):
            return found
    there = sorted(path.name for path in source.iterdir())
    raise CheckpointError(f"no weights in {source}: expected {' or '.join(_PATTERNS)}, found {there}")


def _indexed(index: Path) -> list[Path]:
    shards = read_json(index).get("weight_map")
    if not isinstance(shards, dict) or not all(isinstance(name, str) for name in shards.values()):
        raise CheckpointError(f"{index} has no weight_map from tensors to files")
    names = sorted(set(shards.values()))
    if strays := [name for name in names if Path(name).name != name]:
        raise CheckpointError(f"{index} points out of its folder: {strays}")
    if absent := [name for name in names if not (index.parent / name).is_file()]:
        raise CheckpointError(f"shards named in {index} are missing: {absent}; fetch all files of the checkpoint")
    return [index.parent / name for name in names]


def _describe(path: Path) -> Iterator[tuple[str, tuple[int, ...], torch.dtype | None]]:
    """Yield the name, shape and, where it is a floating one, dtype of each tensor."""
    if path.suffix in _PICKLED:
        yield from ((name, tuple(tensor.shape), tensor.dtype) for name, tensor in _unpickle(path).items())
        return
    try:
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118  # not a dict
                view = file.get_slice(name)
                yield name, tuple(view.get_shape()), _DTYPES.get(view.get_dtype())
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} is damaged or no safetensors file: {error}; fetch it again") from error


def _unpickle(path: Path) -> dict[str, Tensor]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except pickle.UnpicklingError as error:
        raise UnsafeCheckpointError(
            f"{path} was refused, because loading it would run code that came with it (or because it is damaged): "
            f"{str(error).splitlines()[0]} Ask for the weights as safetensors."
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError) as error:
        raise CheckpointError(f"{path} is damaged or no torch file: {error}; fetch it again") from error
    if not isinstance(content, dict) or not all(isinstance(tensor, torch.Tensor) for tensor in content.values()):
        raise CheckpointError(f"{path} holds no table of tensors; a state dict is expected")
    return content
