"""Captioners for the workers of a cluster: they die on a tile, or count how often a model is loaded."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from support.captioners import StubCaptioner


@dataclass
class DeadlyStub(StubCaptioner):
    """The stub, which ends its process when it meets a tile.

    Attributes:
        dies_on: The tile.
        how: ``"kill"``, ``"segfault"`` or ``"exit"``.
        once: File that remembers that it happened, so that it does not again; None for every time.
        seconds: Taken per batch.
    """

    dies_on: str | None = None
    how: str = "kill"
    once: str | None = None
    seconds: float = 0.0

    def caption(self, batch):
        time.sleep(self.seconds)
        if self.dies_on in batch.tile_ids and not (self.once and Path(self.once).exists()):
            if self.once:
                Path(self.once).touch()
            die(self.how)
        return super().caption(batch)


def die(how: str) -> None:
    """End this process."""
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "segfault":
        ctypes.string_at(0)
    os._exit(0)


def count_loads(folder: str) -> None:
    """Leave a file in the folder for every model that this process loads from now on."""
    from geocc.inference import CCExpertCaptioner

    load = CCExpertCaptioner.from_pretrained

    def counted(*args, **options):
        Path(folder, f"{os.getpid()}-{time.time_ns()}").touch()
        return load(*args, **options)

    CCExpertCaptioner.from_pretrained = counted
