"""From the name of a model to its captioner."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geocc.model.registry import list_models

if TYPE_CHECKING:
    import os

    from geocc.inference.captioner import Captioner

__all__ = ["load_captioner"]

_SCOUT = "geocc_change_scout"  # ChangeScoutConfig.model_type, without the seconds that importing it takes


def load_captioner(model: str | os.PathLike[str] = "geocc-mini", **settings: Any) -> Captioner:
    """Load a captioner by name, folder or hub id: a `CCExpertCaptioner`, or a `ScoutCaptioner` for a change scout on this disk.

    Args:
        model: A name that `geocc models` lists, a checkpoint folder, or a hub id; a scout on the hub is loaded by
            `ScoutCaptioner.from_pretrained`.
        **settings: Those of the captioner's own `from_pretrained`.

    Raises:
        ModelNotFoundError: No such model.
        CheckpointError: The weights do not fit or are unsafe.
        InputError: A setting cannot be used with that model.
    """
    if _is_scout(model):
        from geocc.inference.scout import ScoutCaptioner

        return ScoutCaptioner.from_pretrained(model, **settings)
    from geocc.inference.ccexpert import CCExpertCaptioner

    return CCExpertCaptioner.from_pretrained(model, **settings)


def _is_scout(model: str | os.PathLike[str]) -> bool:
    packaged = next((entry.packaged for entry in list_models() if entry.id == str(model)), None)
    try:
        config = json.loads(((packaged or Path(model).expanduser()) / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RuntimeError):  # not here, or damaged, which the loader tells
        return False
    return isinstance(config, dict) and config.get("model_type") == _SCOUT
