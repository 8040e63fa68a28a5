"""Captioning on the workers of a Dask cluster, on this machine or on many.

    client                             scheduler                 worker (one model each)
    parts of the plan ── a few at a time ──▶ whoever is free ──▶ caption_part: read, caption
    batches of TileResult ◀────────────── as they finish ◀────── list of TileResult

Dask does the scheduling, sends parts of dead workers elsewhere and gives up on a part that kills worker after worker. What
is added here is what it cannot know: how a plan is cut, that a model is loaded once, and which tile it was.
"""

from __future__ import annotations

from geocc.inference.dask_executor.executor import DaskExecutor

__all__ = ["DaskExecutor"]
