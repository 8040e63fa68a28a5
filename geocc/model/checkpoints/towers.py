"""Sizes of the SigLIP tower, which CCExpert's and LLaVA's own config.json name but do not hold."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from geocc.errors import CheckpointError
from geocc.model.checkpoints.files import read_json

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

__all__ = ["KNOWN_TOWERS", "tower_sizes"]

#: Sizes of towers by the last part of their hub id, from their config.json.
KNOWN_TOWERS: dict[str, dict[str, Any]] = {
    "siglip-so400m-patch14-384": {
        "hidden_size": 1152,
        "intermediate_size": 4304,
        "num_hidden_layers": 27,
        "num_attention_heads": 16,
        "image_size": 384,
        "patch_size": 14,
    },
}
_NEEDED = tuple(KNOWN_TOWERS["siglip-so400m-patch14-384"])


def tower_sizes(
    name: str | None, *, vision_config: Mapping[str, Any] | str | os.PathLike[str] | None = None
) -> dict[str, Any]:
    """Return the sizes of a SigLIP tower.

    Args:
        name: What the checkpoint's config.json calls it: a hub id, or a path on the machine that trained it.
        vision_config: Its configuration, as a mapping, a config.json, or the folder of one; goes before the name.

    Raises:
        CheckpointError: If the sizes are not to be had, or lack something.
    """
    if vision_config is None:
        # Only the last part counts: a path of another machine must never be followed on this one.
        sizes = KNOWN_TOWERS.get((name or "").replace("\\", "/").rstrip("/").rsplit("/", 1)[-1])
        if sizes is None:
            raise CheckpointError(
                f"the checkpoint names the tower {name!r}, whose sizes geocc does not know (it knows "
                f"{', '.join(KNOWN_TOWERS)}); give its config.json as vision_config= (geocc convert --vision-config)"
            )
        return dict(sizes)
    if isinstance(vision_config, str) or hasattr(vision_config, "__fspath__"):
        path = Path(vision_config)
        found = read_json(path / "config.json" if path.is_dir() else path)
    else:
        found = dict(vision_config)
    found = dict(found.get("vision_config", found))  # google/siglip-* nest the tower beside the text model
    if lacking := [key for key in _NEEDED if key not in found]:
        raise CheckpointError(f"vision_config lacks {lacking}; a SigLIP tower's config.json is expected")
    return found
