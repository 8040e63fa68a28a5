"""Where the work is done: the contract between the main path and whatever runs the tiles.

The main path knows what is to be captioned and keeps the results; an executor does the work, here or elsewhere:

    pair, tiles still to do, CaptionerSpec, RunSettings ──▶ Executor.run ──▶ batches of TileResult, in any order
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from geocc.errors import InputError
from geocc.inference.batching import OnError, initial_batch_size

if TYPE_CHECKING:
    import os
    from collections.abc import Generator, Iterator, Mapping, Sequence

    from geocc.inference.captioner import Captioner
    from geocc.scene import ScenePair, TilePlan
    from geocc.table import TileResult

__all__ = [
    "READ_THREADS",
    "CaptionerInfo",
    "CaptionerSpec",
    "Executor",
    "LocalExecutor",
    "RunSettings",
    "as_executor",
    "closing_executor",
    "first_batch_size",
]

READ_THREADS = 4
"""Threads that read ahead while the model works: enough to hide a local disk from a fast GPU."""


@dataclass(frozen=True, slots=True)
class RunSettings:
    """How tiles are read and batched, whoever does it. Plain values, to be sent anywhere.

    Attributes:
        batch_size: Tiles per call of the captioner at the most, or `"auto"`: found where the captioner runs.
        min_valid_fraction: Share of pixels, in [0, 1], that must be valid in both dates.
        on_error: `"record"` gives a tile that cannot be read or captioned the status `failed`; `"raise"` ends the run.
        read_threads: Threads that read ahead; 0 reads each tile when it is wanted.
    """

    batch_size: int | Literal["auto"] = "auto"
    min_valid_fraction: float = 0.5
    on_error: OnError = "record"
    read_threads: int = READ_THREADS


@dataclass(frozen=True, slots=True)
class CaptionerSpec:
    """A captioner that is not loaded yet: a name and options, small enough to be sent to every worker.

    Attributes:
        model: A name, folder or hub id for `load_captioner`, or a captioner that is there already.
        options: Keyword arguments of `from_pretrained`, not used with a captioner; and `gates` to put before either.
    """

    model: str | os.PathLike[str] | Captioner
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.is_captioner and any(self.options.get(name) is not None for name in ("prompt", "skip_unchanged")):
            raise InputError(
                f"prompt and skip_unchanged are settings of the captioner, and model is one already ({self.model!r}); "
                "give them where it is made, for example CCExpertCaptioner.from_pretrained('geocc-mini', prompt=...)."
            )

    @property
    def is_captioner(self) -> bool:
        """Whether `model` is a captioner rather than the name of one."""
        return not isinstance(self.model, str) and not hasattr(self.model, "__fspath__")

    def load(self) -> Captioner:
        """Load the captioner; the one given where it is one already.

        Raises:
            ModelNotFoundError: No such model.
            CheckpointError: The model's weights do not fit or are unsafe.
        """
        settings = dict(self.options)
        gates = settings.pop("gates", None)
        if self.is_captioner:
            captioner: Captioner = self.model  # type: ignore[assignment]  # the line above has looked
        else:
            from geocc.inference.loading import load_captioner

            captioner = load_captioner(self.model, **settings)  # type: ignore[arg-type]  # the line above has looked
        if gates is None:
            return captioner
        from geocc.inference.gates import GatedCaptioner

        return GatedCaptioner(captioner, gates)


@dataclass(frozen=True, slots=True)
class CaptionerInfo:
    """What the layer and the journal keep of a captioner. Plain values, to be sent back from a worker.

    Attributes:
        name: What it is called.
        fingerprint: A text that changes whenever the captions may change.
        details: JSON-safe facts for the layer's metadata.
    """

    name: str
    fingerprint: str
    details: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, captioner: Captioner) -> CaptionerInfo:
        """The facts of a loaded captioner."""
        return cls(captioner.name, captioner.fingerprint, getattr(captioner, "details", {}))

    def to_metadata(self) -> dict[str, Any]:
        """The facts as one dictionary."""
        return {"name": self.name, "fingerprint": self.fingerprint} | dict(self.details)


class Executor(Protocol):
    """Anything that can caption the tiles of a plan."""

    def describe(self, spec: CaptionerSpec) -> CaptionerInfo:
        """Say who will caption; called once, before `run`, so that a model that cannot be loaded is told at once."""
        ...

    def run(
        self, pair: ScenePair, plan: TilePlan, spec: CaptionerSpec, settings: RunSettings
    ) -> Generator[Sequence[TileResult], None, None]:
        """Caption every tile of the plan, each exactly once.

        Args:
            pair: The two dates.
            plan: The tiles still to do; may be a part of the scene's plan, made with `TilePlan.take`.
            spec: Who captions.
            settings: How.

        Yields:
            Results as they land, in any order, a batch at a time: each batch is journalled before the next is asked for.
            Closing the iterator ends the work.

        Raises:
            ReadError: With `on_error="raise"`, a tile could not be read.
            CaptionError: With `on_error="raise"`, the captioner failed.
        """
        ...


class LocalExecutor:
    """Reads and captions in this process."""

    def __init__(self) -> None:
        self._loaded: tuple[CaptionerSpec, Captioner] | None = None

    def describe(self, spec: CaptionerSpec) -> CaptionerInfo:
        """Load the captioner, keep it for `run`, and say what it is."""
        return CaptionerInfo.of(self._load(spec))

    def run(
        self, pair: ScenePair, plan: TilePlan, spec: CaptionerSpec, settings: RunSettings
    ) -> Generator[Sequence[TileResult], None, None]:
        """Caption every tile of the plan; see `Executor.run`."""
        from geocc.inference.run import caption_batches

        return caption_batches(pair, plan, self._load(spec), settings)

    def _load(self, spec: CaptionerSpec) -> Captioner:
        if self._loaded is None or self._loaded[0] is not spec:
            self._loaded = spec, spec.load()
        return self._loaded[1]


def as_executor(executor: Any) -> Executor:
    """The executor behind the `executor` argument of `caption_changes`.

    Args:
        executor: None for this process; a client or cluster of Dask, ``"local"`` or the address of a scheduler, see
            `geocc.inference.DaskExecutor`; or an `Executor`.

    Raises:
        InputError: It is none of these.
    """
    if executor is None:
        return LocalExecutor()
    if callable(getattr(executor, "describe", None)) and callable(getattr(executor, "run", None)):
        given: Executor = executor
        return given
    from geocc.inference.dask_executor.cluster import is_dask

    if is_dask(executor) or _names_cluster(executor):
        from geocc.inference.dask_executor import DaskExecutor

        return DaskExecutor(executor)
    what = repr(executor) if isinstance(executor, str) else f"a {type(executor).__name__}"
    raise InputError(
        f"executor is {what}; expected None, which runs in this process, a dask.distributed.Client, 'local' for processes on "
        "this machine, the address of a Dask scheduler such as 'tcp://10.0.0.5:8786', or an object with the methods "
        "`describe` and `run` of geocc.inference.Executor."
    )


def _names_cluster(executor: Any) -> bool:
    return isinstance(executor, str) and (executor == "local" or "://" in executor or executor.endswith(".json"))


@contextmanager
def closing_executor(workers: Executor, *, given: Any) -> Iterator[None]:
    """Close at the end what `as_executor` opened: not an executor that somebody else may still use.

    Args:
        workers: What `as_executor` returned.
        given: What it was given.
    """
    try:
        yield
    finally:
        if workers is not given and hasattr(workers, "close"):
            workers.close()


def first_batch_size(batch_size: int | Literal["auto"], captioner: Captioner) -> int:
    """The batch size to begin with, found from the free memory where it is `"auto"`."""
    if batch_size != "auto":
        return batch_size
    bytes_free = getattr(captioner, "bytes_free", None)
    # A captioner that runs elsewhere (an endpoint, a stub) knows of no memory: any batch will do.
    return initial_batch_size(captioner.bytes_per_pair, bytes_free() if bytes_free else sys.maxsize)
