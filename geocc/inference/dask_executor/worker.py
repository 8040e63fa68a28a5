"""What runs on a worker: one captioner per process, one part of the plan at a time."""

from __future__ import annotations

import hashlib
import pickle
import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from geocc import __version__
from geocc.inference.batching import is_out_of_memory
from geocc.inference.execution import CaptionerInfo, first_batch_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geocc.inference.captioner import Caption, Captioner, TileBatch
    from geocc.inference.execution import CaptionerSpec, RunSettings
    from geocc.scene import ScenePair, TilePlan
    from geocc.table import TileResult

__all__ = ["Common", "SharedCaptioner", "caption_part", "describe_captioner", "unpacked"]


@dataclass(frozen=True, slots=True)
class Common:
    """What all parts of a run have in common. A worker keeps one, so that its files are opened once.

    Attributes:
        pair: The two dates.
        spec: The pickled `CaptionerSpec`; its bytes name the model that a worker has loaded.
        settings: How tiles are read and batched.
    """

    pair: ScenePair
    spec: bytes
    settings: RunSettings


class SharedCaptioner:
    """A captioner for all threads of a worker: one at a time captions, while the others read.

    Args:
        captioner: The captioner.
    """

    def __init__(self, captioner: Captioner) -> None:
        self._captioner = captioner
        self._one_at_a_time = threading.Lock()
        self._largest: int | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._captioner, name)

    def caption(self, batch: TileBatch) -> Sequence[Caption]:
        """Caption a batch, and remember when it was too large."""
        with self._one_at_a_time:
            try:
                return self._captioner.caption(batch)
            except Exception as error:
                if is_out_of_memory(error):
                    self._largest = max(1, len(batch) // 2)
                raise

    def settings(self, given: RunSettings) -> RunSettings:
        """The settings with the batch size to begin a part with: what an earlier part has found too large stays too large."""
        size = first_batch_size(given.batch_size, self)
        return replace(given, batch_size=size if self._largest is None else min(size, self._largest))


_loaded: dict[str, SharedCaptioner] = {}
_loading = threading.Lock()


def shared_captioner(spec: bytes) -> SharedCaptioner:
    """The captioner of this process; loaded when first asked for, in the place of another one."""
    digest = hashlib.sha256(spec).hexdigest()
    with _loading:
        if digest not in _loaded:
            _loaded.clear()  # two models may be more than the memory holds
            _loaded[digest] = SharedCaptioner(_on_own_device(unpacked(spec)).load())
        return _loaded[digest]


def describe_captioner(spec: bytes) -> tuple[str, CaptionerInfo]:
    """The version of geocc that the worker runs, and who will caption."""
    captioner: Any = shared_captioner(spec)
    return __version__, CaptionerInfo.of(captioner)


def caption_part(common: Common, part: TilePlan) -> list[TileResult]:
    """Read and caption the tiles of one part."""
    from geocc.inference.run import caption_batches

    captioner: Any = shared_captioner(common.spec)
    batches = caption_batches(common.pair, part, captioner, captioner.settings(common.settings))
    return [result for batch in batches for result in batch]


def unpacked(payload: bytes) -> Any:
    """What the client has pickled; as all tasks of Dask are, by whoever may use the cluster."""
    return pickle.loads(payload)  # noqa: S301


def _on_own_device(spec: CaptionerSpec) -> CaptionerSpec:
    """Spread the numbered workers of one machine over its GPUs, where nobody else has chosen one for each."""
    from distributed import get_worker

    name = get_worker().name
    if spec.is_captioner or spec.options.get("device") is not None or not isinstance(name, int):
        return spec
    import torch

    gpus = torch.cuda.device_count()
    return spec if gpus < 2 else replace(spec, options={**spec.options, "device": f"cuda:{name % gpus}"})
