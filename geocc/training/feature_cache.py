"""Feature levels of a frozen vision tower, kept in files, so that each image is encoded once and not in every epoch.

In stage 1 the tower is frozen, and yet encodes every pair anew for each of its captions and in each epoch. A kept image is
read in milliseconds. On a CPU encoding it takes a second or so; on a large GPU about as long as reading does, and then the
cache is of no use.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from typing import TYPE_CHECKING, Any

import torch
import transformers
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from geocc.errors import InputError, WriteError

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor, nn

    from geocc.model.vision import FeatureTower

__all__ = ["FeatureCache", "attach_feature_cache"]


class FeatureCache:
    """Encodes images as a tower does, those it has seen from their files.

    What comes from a file is, bit for bit, what the tower said when it first saw the image. An image is known by its
    pixels as the tower gets them, resized and normalised, so that other settings of the processor are other images; its
    file is found again only with the same weights, sizes, dtype, kind of device, torch and Transformers.

    Several processes may share a folder: a file is there whole or not at all, and one that is damaged is made again.

    Args:
        tower: The tower. None of its parameters may train.
        folder: Where the files lie; made if it is not there.

    Attributes:
        encoded: Number of images that the tower was asked for.

    Raises:
        InputError: A parameter of the tower trains, or it drops out at random.
        WriteError: The folder cannot be made.
    """

    def __init__(self, tower: FeatureTower, folder: Path) -> None:
        if any(parameter.requires_grad for parameter in tower.parameters()):
            raise InputError(
                "data.feature_cache keeps what a frozen vision tower says, and this one trains: leave feature_cache out, "
                "or leave vision_tower out of recipe.train"
            )
        if tower.config.attention_dropout:
            raise InputError(
                f"the vision tower drops out {tower.config.attention_dropout:.0%} of its attention at random, so it never "
                "says the same again: leave data.feature_cache out"
            )
        self._encode = tower.forward
        self._folder = folder / _fingerprint(tower)[:16]
        self.encoded = 0
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WriteError(f"the feature cache cannot be made in {folder}: {error}; give another folder") from error

    @torch.compiler.disable  # type: ignore[untyped-decorator]  # files are no part of a graph
    def __call__(self, pixel_values: Tensor) -> Tensor:
        """Return the feature levels `(L, R, N, D)` of images `(R, C, H, W)`, as `FeatureTower` does.

        Raises:
            WriteError: A file cannot be written, for instance because the disk is full.
        """
        paths = [self._path(image) for image in pixel_values]
        found = {path: levels for path in dict.fromkeys(paths) if (levels := _read(path)) is not None}
        missing = {path: at for at, path in enumerate(paths) if path not in found}
        if missing:
            with torch.no_grad():
                fresh = self._encode(pixel_values[list(missing.values())])
            self.encoded += len(missing)
            for path, levels in zip(missing, fresh.unbind(1), strict=True):
                _write(path, levels)
                found[path] = levels
        return torch.stack([found[path].to(pixel_values.device) for path in paths], dim=1)

    def _path(self, image: Tensor) -> Path:
        kind = image.device.type
        cast = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else None
        digest = hashlib.sha256(f"{kind} {cast} {image.dtype} {tuple(image.shape)}".encode())
        digest.update(_bytes(image))
        name = digest.hexdigest()
        return self._folder / name[:2] / f"{name}.safetensors"


def attach_feature_cache(model: nn.Module, folder: Path) -> FeatureCache:
    """Let a model's frozen tower answer from a cache; weights and their names stay as they are.

    Args:
        model: A `CCExpertForConditionalGeneration`, its frozen parameters marked so, or a PEFT model around it.
        folder: Where the files lie.
    """
    from geocc.model.vision import FeatureTower

    tower: Any = next(module for module in model.modules() if isinstance(module, FeatureTower))
    tower.forward = cache = FeatureCache(tower, folder)
    return cache


def _fingerprint(tower: FeatureTower) -> str:
    """Return a digest of all that decides what the tower says of an image."""
    config: Any = tower.config
    facts = {
        "config": config.to_dict(),
        "attention": config._attn_implementation,  # noqa: SLF001  # it has no other name
        "levels": tower.levels,
        "versions": [torch.__version__, transformers.__version__],
    }
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode())
    for name, weight in sorted(tower.state_dict().items()):
        digest.update(f"{name} {weight.dtype} {tuple(weight.shape)}".encode())
        digest.update(_bytes(weight))
    return digest.hexdigest()


def _bytes(tensor: Tensor) -> bytes:
    return tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes()


def _read(path: Path) -> Tensor | None:
    try:
        return load_file(path)["levels"]
    except (OSError, SafetensorError, KeyError):
        return None  # not there, or cut short: made again


def _write(path: Path, levels: Tensor) -> None:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(exist_ok=True)
        save_file({"levels": levels.contiguous()}, draft)
        draft.replace(path)
    except (OSError, SafetensorError) as error:
        draft.unlink(missing_ok=True)
        raise WriteError(
            f"the feature cache cannot write {path}: {error}; free some room, or leave data.feature_cache out"
        ) from error
