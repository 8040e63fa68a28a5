"""Captioners, and how batches of tiles reach them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from geocc.inference.batching import BatchRunner, OnError, TileFailure, initial_batch_size
    from geocc.inference.calibration import calibrate_gates
    from geocc.inference.captioner import Caption, Captioner, TileBatch
    from geocc.inference.ccexpert import CCExpertCaptioner
    from geocc.inference.dask_executor import DaskExecutor
    from geocc.inference.encode_once import DateEncoder, EncodeOnce
    from geocc.inference.endpoint import ENDPOINT_PROMPT, EndpointCaptioner
    from geocc.inference.execution import CaptionerInfo, CaptionerSpec, Executor, LocalExecutor, RunSettings
    from geocc.inference.gates import Gate, GatedCaptioner, Gates
    from geocc.inference.general import TransformersCaptioner
    from geocc.inference.loading import load_captioner
    from geocc.inference.no_change import NO_CHANGE_SENTENCES, says_no_change
    from geocc.inference.run import caption_batches, caption_tiles
    from geocc.inference.scout import ScoutCaptioner

__all__ = [
    "ENDPOINT_PROMPT",
    "NO_CHANGE_SENTENCES",
    "BatchRunner",
    "CCExpertCaptioner",
    "Caption",
    "Captioner",
    "CaptionerInfo",
    "CaptionerSpec",
    "DaskExecutor",
    "DateEncoder",
    "EncodeOnce",
    "EndpointCaptioner",
    "Executor",
    "Gate",
    "GatedCaptioner",
    "Gates",
    "LocalExecutor",
    "OnError",
    "RunSettings",
    "ScoutCaptioner",
    "TileBatch",
    "TileFailure",
    "TransformersCaptioner",
    "calibrate_gates",
    "caption_batches",
    "caption_tiles",
    "initial_batch_size",
    "load_captioner",
    "says_no_change",
]

# torch stays out until a captioner is asked for.
__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "batching": ["BatchRunner", "OnError", "TileFailure", "initial_batch_size"],
        "calibration": ["calibrate_gates"],
        "captioner": ["Caption", "Captioner", "TileBatch"],
        "ccexpert": ["CCExpertCaptioner"],
        "encode_once": ["DateEncoder", "EncodeOnce"],
        "dask_executor": ["DaskExecutor"],
        "endpoint": ["ENDPOINT_PROMPT", "EndpointCaptioner"],
        "execution": ["CaptionerInfo", "CaptionerSpec", "Executor", "LocalExecutor", "RunSettings"],
        "gates": ["Gate", "GatedCaptioner", "Gates"],
        "general": ["TransformersCaptioner"],
        "loading": ["load_captioner"],
        "no_change": ["NO_CHANGE_SENTENCES", "says_no_change"],
        "run": ["caption_batches", "caption_tiles"],
        "scout": ["ScoutCaptioner"],
    },
)
