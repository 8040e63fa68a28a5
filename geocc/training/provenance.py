"""What a checkpoint must say of itself: settings, data, code and versions, written beside its weights."""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import geocc
from geocc.errors import CheckpointError
from geocc.table.atomic import replacing

if TYPE_CHECKING:
    from geocc.training.configuration import TrainingConfig

__all__ = ["CONFIG_FILE", "RUN_FILE", "Provenance", "git_state", "read_provenance", "versions"]

#: Beside every finished checkpoint; a folder without it was cut short and is never resumed from.
RUN_FILE = "geocc_training.json"
#: The settings of the run, ready to be trained again.
CONFIG_FILE = "geocc_training.yaml"

_PACKAGES = ("geocc", "torch", "transformers", "peft", "accelerate", "tokenizers", "numpy", "pillow")


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a checkpoint comes from.

    Attributes:
        stage: Number of the stage that made it.
        train: The parts that it trained.
        base: What it started from, as the configuration names it.
        data: Records, changed ones among them, and the data's fingerprint.
        config: All settings.
        git: State of the code, see `git_state`.
        versions: Versions of Python and of the libraries.
    """

    stage: int
    train: list[str]
    base: str
    data: dict[str, Any]
    config: dict[str, Any]
    git: dict[str, Any] = field(default_factory=lambda: git_state())  # noqa: PLW0108  # defined below
    versions: dict[str, str] = field(default_factory=lambda: versions())  # noqa: PLW0108  # likewise

    def write(self, folder: Path, config: TrainingConfig, **more: Any) -> None:
        """Write both files into a checkpoint's folder; `RUN_FILE` last, for it says that the rest is complete.

        Args:
            folder: Where the checkpoint lies.
            config: The settings.
            **more: What else to note, such as the step.
        """
        for name, text in (
            (CONFIG_FILE, config.to_yaml()),
            (RUN_FILE, json.dumps(asdict(self) | more, indent=1, ensure_ascii=False) + "\n"),
        ):
            with replacing(folder / name) as draft:
                draft.write_text(text, encoding="utf-8")


def read_provenance(folder: Path) -> dict[str, Any] | None:
    """Return what a checkpoint says of itself, or None where geocc did not train it.

    Raises:
        CheckpointError: The file is damaged.
    """
    path = folder / RUN_FILE
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}; fetch it again, or remove it.") from error
    if not isinstance(content, dict) or not isinstance(content.get("stage"), int):
        raise CheckpointError(f"{path} does not say which stage it is of; fetch it again, or remove it.")
    return content


def versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that training depends on."""
    return {"python": platform.python_version()} | {name: metadata.version(name) for name in _PACKAGES}


def git_state() -> dict[str, Any]:
    """Return commit and cleanliness of the checkout that geocc runs from, or an empty mapping outside of one."""
    folder = Path(geocc.__file__).parent
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None:
        return {}
    return {"commit": commit, "modified": bool(_git(folder, "status", "--porcelain", "--untracked-files=no", "."))}


def _git(folder: Path, *arguments: str) -> str | None:
    program = shutil.which("git")
    if program is None:
        return None
    try:
        done = subprocess.run(  # noqa: S603  # fixed arguments
            [program, "--no-optional-locks", "-C", str(folder), *arguments],
            capture_output=True, text=True, check=True, timeout=30,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
