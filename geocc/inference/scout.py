"""A change scout as a captioner: whether the ground changed, for a small part of a large model's price, and no more than that."""

from __future__ import annotations

import contextlib
import hashlib
import json
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import nn

from geocc.errors import InputError
from geocc.inference.captioner import Caption, TileBatch, require_numbers
from geocc.inference.device import choose_device, choose_dtype, free_memory
from geocc.inference.no_change import NO_CHANGE_SENTENCES
from geocc.model.registry import resolve_model

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from geocc.model.scout import ChangeScout, ScoutOutput

__all__ = ["CHANGED_SENTENCE", "ScoutCaptioner", "ScoutMaps"]

#: What a scout says of a tile that changed; what it changed into is for a model with words to say.
CHANGED_SENTENCE = "something has changed"
_WEIGHTS = "model.safetensors"


class _View(NamedTuple):
    """How a pair is looked at.

    Attributes:
        turn: How it is turned, which done again turns a map back.
        exchanged: Whether the dates are exchanged.
    """

    turn: Callable[[Tensor], Tensor]
    exchanged: bool


# Ground changed, or not, however the pair is turned and whichever date is said to be the first.
_VIEWS = (
    _View(lambda pixels: pixels, exchanged=False),
    _View(lambda pixels: pixels.transpose(-1, -2), exchanged=True),
    _View(lambda pixels: pixels.flip(-1), exchanged=False),
    _View(lambda pixels: pixels.flip(-2), exchanged=True),
)


class ScoutMaps(NamedTuple):
    """What a scout sees in the cells of tiles, `S` of them on a side, each the mean of its views.

    Attributes:
        change: `(B, S, S)` probabilities in [0, 1] that the ground changed. Not calibrated: in training a changed cell counts
            for more than an unchanged one.
        covers: `(B, T=2, covers, S, S)` probabilities in [0, 1] of what stands there at either date, should it have changed; None
            from a scout that tells no covers apart.
    """

    change: NDArray[np.float32]
    covers: NDArray[np.float32] | None


class ScoutCaptioner:
    """Says of tiles whether they changed, by a `ChangeScout`.

    It stands before a large model as `Gates(scout=...)`, and alone makes a layer of change without words.

    Args:
        scout: The network, on its device.
        name: What to call it in the result.
        revision: What tells these weights from others of that name, for example a sha256.
        dtype: What its products are computed in.
        views: In how many views each pair is looked at, of which the mean counts: 1, or 4, mirrored and turned and with the
            dates exchanged. Four cost four times as much and lose fewer small changes.
        skip_unchanged: Pairs whose change probability is below this get the status `skipped_unchanged`.
    """

    def __init__(
        self,
        scout: ChangeScout,
        *,
        name: str = "scout",
        revision: str = "",
        dtype: torch.dtype = torch.float32,
        views: int = 4,
        skip_unchanged: float | None = None,
    ) -> None:
        if not 1 <= views <= len(_VIEWS):
            raise InputError(f"views is {views}; expected a number from 1 to {len(_VIEWS)}.")
        self._scout = scout.eval()
        self._name = name
        self._revision = revision
        self._dtype = dtype
        self._views = views
        self._skip_unchanged = skip_unchanged

    @classmethod
    def from_pretrained(
        cls,
        model: str | os.PathLike[str] = "geocc-scout",
        *,
        revision: str | None = None,
        local_files_only: bool = False,
        device: str | torch.device | None = None,
        dtype: str | torch.dtype = "auto",
        prompt: str | None = None,
        max_new_tokens: int | None = None,  # noqa: ARG003  # of the captioners that write
        views: int = 4,
        skip_unchanged: float | None = None,
    ) -> ScoutCaptioner:
        """Load a scout by name, folder or hub id.

        Args:
            model: `geocc-scout`, a folder that `geocc.training.train_scout` wrote, or a hub id.
            revision: Commit, tag or branch of a hub id.
            local_files_only: Do not ask the hub.
            device: Torch device; the fastest one present when left out.
            dtype: Torch dtype or its name; `"auto"` takes bfloat16 where the device computes faster in it.
            prompt: A scout cannot be asked anything; only there to be refused.
            max_new_tokens: Of no effect, as a scout writes none; there so that every captioner is loaded alike.
            views: See the class.
            skip_unchanged: See the class.

        Raises:
            ModelNotFoundError: No such model.
            CheckpointError: The weights are no scout's, or damaged.
            InputError: A prompt is given.
        """
        if prompt is not None:
            raise InputError(
                f"prompt is {prompt!r}, and {str(model)!r} is a change scout, which has no words; leave the prompt out, or use "
                "a model that answers, such as 'geocc-mini'."
            )
        from geocc.model.scout import load_scout

        source = resolve_model(model, revision=revision, local_files_only=local_files_only)
        target = choose_device(device)
        scout = load_scout(source.path)
        nn.Module.to(scout, target)
        return cls(
            scout,
            name=str(model),
            revision=source.revision or _digest(source.path),
            dtype=choose_dtype(dtype, target),
            views=views,
            skip_unchanged=skip_unchanged,
        )

    @property
    def name(self) -> str:
        """What the model was asked for by."""
        return self._name

    @property
    def fingerprint(self) -> str:
        """Sixteen hex digits that change with the weights and the dtype."""
        return hashlib.sha256(json.dumps(self.details, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def details(self) -> dict[str, Any]:
        """What the answers depend on, for the layer's metadata; JSON-safe."""
        return {
            "name": self._name,
            "revision": self._revision,
            "views": self._views,
            "skip_unchanged": self._skip_unchanged,
            "dtype": str(self._dtype).removeprefix("torch."),
            "device": self._scout.device.type,
        }

    @property
    def input_size(self) -> int:
        """Side in pixels to which tiles are resized."""
        return int(self._scout.config.image_size)

    @property
    def bytes_per_pair(self) -> int:
        """Working memory of one pair."""
        return 4 * int(self._scout.config.numbers_per_pair)  # bytes of a float32

    def bytes_free(self) -> int:
        """Return the memory free on the model's device."""
        return free_memory(self._scout.device)

    @torch.inference_mode()
    def caption(self, batch: TileBatch) -> Sequence[Caption]:
        """Judge every tile of the batch, in its order.

        Raises:
            CaptionError: The network's probabilities are not numbers.
        """
        logits = [seen.change_logits.double() for _, seen in self._look(batch)]
        chances = torch.stack(logits).mean(dim=0).sigmoid().tolist()  # float32 knows no chance between 1 and 1 - 6e-8
        require_numbers([(chance,) for chance in chances], dtype=str(self._dtype))
        limit = 0.0 if self._skip_unchanged is None else self._skip_unchanged
        return [
            Caption(
                CHANGED_SENTENCE if chance >= 0.5 and chance >= limit else NO_CHANGE_SENTENCES[0],  # even
                changed=chance >= 0.5 and chance >= limit,
                change_probability=chance,
                decoded=chance >= limit,
            )
            for chance in chances
        ]

    @property
    def covers(self) -> tuple[str, ...]:
        """Names of what it tells apart on changed ground, in the order of its maps; empty for a scout that does not."""
        return tuple(self._scout.config.covers)

    @torch.inference_mode()
    def maps(self, batch: TileBatch) -> ScoutMaps:
        """Say of every cell of the batch's tiles how likely it changed, and from what to what.

        Args:
            batch: The tiles.

        Raises:
            CaptionError: The network's probabilities are not numbers.
        """
        found = self._look(batch)
        logits = [view.turn(seen.map_logits.float()) for view, seen in found]
        change: NDArray[np.float32] = torch.stack(logits).mean(dim=0).sigmoid().cpu().numpy()
        told = [
            view.turn(seen.cover_logits.float().flip(1) if view.exchanged else seen.cover_logits.float())
            for view, seen in found
            if seen.cover_logits is not None
        ]
        covers = torch.stack(told).mean(dim=0).softmax(dim=2).cpu().numpy() if told else None
        for chances in (change, covers):
            if chances is not None:
                means = chances.mean(axis=tuple(range(1, chances.ndim)))
                require_numbers([(float(mean),) for mean in means], dtype=str(self._dtype))
        return ScoutMaps(change, covers)

    def _look(self, batch: TileBatch) -> list[tuple[_View, ScoutOutput]]:
        """Return what is found in each view."""
        images = torch.from_numpy(batch.images).to(self._scout.device)
        mixed = self._dtype != torch.float32
        with torch.autocast(images.device.type, self._dtype) if mixed else contextlib.nullcontext():
            pixels = self._scout.pixel_values(images)
            return [
                (view, self._scout(view.turn(pixels.flip(1) if view.exchanged else pixels)))
                for view in _VIEWS[: self._views]
            ]


def _digest(path: Path) -> str:
    """Return the sha256 of a folder's weights."""
    with (path / _WEIGHTS).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
