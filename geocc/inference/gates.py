"""Gates: spend nothing on ground that did not change.

    tile ─▶ pixel ─▶ scout ─▶ tower ─▶ feature ─▶ difference module, head ─▶ language model
              │        │                  │               │
              └────────┴──────────────────┴───────────────┴──▶ skipped_unchanged, the no-change sentence

Each gate gives a tile a score; tiles below its threshold go no further. A gate loses changed tiles, and how many is a matter
of its threshold: set it with `calibrate_gates` on tiles of which the truth is known. All are off unless asked for.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from geocc.errors import InputError
from geocc.inference.captioner import Caption, Captioner, TileBatch
from geocc.inference.encode_once import DateEncoder
from geocc.inference.loading import load_captioner
from geocc.inference.no_change import NO_CHANGE_SENTENCES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Scores = NDArray[np.float64]
    from geocc.inference.ccexpert import EncodedDate

__all__ = ["Gate", "GatedCaptioner", "Gates", "feature_scores", "pixel_scores", "scout_scores"]

_SIDE = 64  # pixels to which a tile is averaged: noise and shifts of a pixel fade
_BLOCKS = 6  # blocks per side, each compared by itself
_FLAT = 30.0  # grey levels squared: blocks with less contrast than this cannot tell of much


@dataclass(frozen=True, slots=True)
class Gate:
    """One gate.

    Attributes:
        threshold: Tiles with a lower score go no further.
        slope: With `intercept`, how the score tells of change: the probability that a tile with score s has changed is
            `sigmoid(slope * s + intercept)`, where half of all tiles have. None where the gate was not calibrated.
        intercept: See `slope`.
    """

    threshold: float
    slope: float | None = None
    intercept: float | None = None

    def __post_init__(self) -> None:
        if not math.isfinite(self.threshold):
            raise InputError(f"the threshold of a gate is {self.threshold}; expected a number.")

    def probability(self, score: float) -> float:
        """Probability that a tile of this score has changed; NaN where the gate was not calibrated."""
        if self.slope is None or self.intercept is None:
            return math.nan
        return float(1 / (1 + math.exp(-np.clip(self.slope * score + self.intercept, -500, 500))))


@dataclass(frozen=True, slots=True)
class Gates:
    """Which gates stand before a captioner. None leaves a gate out; a number is a threshold without calibration.

    Attributes:
        pixel: On `pixel_scores`, before any model: catches tiles that show the same picture twice.
        scout: On `scout_scores`: a small model's word on change, asked before a large one.
        feature: On `feature_scores`, after the vision tower; the captioner must be a `DateEncoder`.
        head: Change probability below which the language model is spared: `skip_unchanged` under another name.
        scout_model: The small model: the name or folder of a change scout, or of a model with a change head.
    """

    pixel: Gate | float | None = None
    scout: Gate | float | None = None
    feature: Gate | float | None = None
    head: float | None = None
    scout_model: str = "geocc-scout"

    def __post_init__(self) -> None:
        for name in ("pixel", "scout", "feature"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (Gate, int, float, type(None))):
                raise InputError(f"the gate {name} is {value!r}; expected a Gate, a threshold, or None.")
            if isinstance(value, (int, float)):
                object.__setattr__(self, name, Gate(float(value)))
        if self.head is not None and not 0 < self.head <= 1:
            raise InputError(f"the gate head is {self.head}; expected a probability in (0, 1], or None.")

    def to_json(self) -> dict[str, Any]:
        """The gates as plain JSON values."""
        return asdict(self)


def pixel_scores(images: NDArray[np.uint8]) -> Scores:
    """How much the picture differs where it differs most, brightness, contrast and small shifts aside.

    Both dates are averaged to 64 x 64 pixels and compared in 6 x 6 blocks: one less the correlation, the best of nine
    shifts by one of these pixels, damped where a block is flat. The score of a tile is that of its worst block.

    Args:
        images: `(B, T=2, C=3, H, W)` uint8.

    Returns:
        `(B,)` from 0, the same picture, to 2.
    """
    small = _averaged(images, min(_SIDE, *images.shape[-2:]))
    before, after = small[:, 0], small[:, 1]
    side = min(after.shape[-2:]) - 2
    if side < _BLOCKS:
        return np.full(len(images), 2.0)  # too small to tell: let them through
    side -= side % _BLOCKS
    after = after[..., 1 : 1 + side, 1 : 1 + side]
    mean_after, spread_after = _block_moments(after)
    best = np.full((len(images), _BLOCKS, _BLOCKS), np.inf)
    for row in range(3):
        for col in range(3):
            shifted = before[..., row : row + side, col : col + side]
            mean, spread = _block_moments(shifted)
            shared = (_averaged(shifted * after, _BLOCKS) - mean * mean_after).sum(axis=1)
            contrast = np.maximum(spread, spread_after)
            unlike = (1 - shared / np.sqrt(spread * spread_after + 1e-6)) * contrast / (contrast + _FLAT)
            best = np.minimum(best, unlike)
    scores: Scores = np.clip(best.reshape(len(images), -1).max(axis=1), 0, 2).astype(np.float64)
    return scores


def scout_scores(images: NDArray[np.uint8], scout: Captioner) -> Scores:
    """What a small model thinks of a pair: the logit of its change probability.

    Args:
        images: `(B, T=2, C=3, H, W)` uint8.
        scout: A captioner that gives change probabilities; one with words, best loaded with `skip_unchanged=1.0`, so that
            it says none.
    """
    told = scout.caption(TileBatch(images, tuple(map(str, range(len(images))))))
    chance = np.clip(np.array([caption.change_probability for caption in told], np.float64), 1e-9, 1 - 1e-9)
    scores: Scores = np.log(chance / (1 - chance))
    return scores


def feature_scores(earlier: Sequence[EncodedDate], later: Sequence[EncodedDate]) -> Scores:
    """The largest cosine distance of a token between two dates, on the last feature level.

    Args:
        earlier: B dates as `CCExpertCaptioner.encode_dates` returns them.
        later: Those of the later dates.
    """
    import torch

    scores = [
        1 - torch.nn.functional.cosine_similarity(a.levels[-1].float(), b.levels[-1].float(), dim=-1).min().item()
        for a, b in zip(earlier, later, strict=True)
    ]
    return np.array(scores, dtype=np.float64)


class GatedCaptioner:
    """A captioner behind gates: tiles that a gate stops get the no-change sentence, the rest the captioner's own.

    A tile that is stopped has `decoded=False`, and so the status `skipped_unchanged`, and the `change_probability` of the
    gate's calibration. `Gates.head` is not looked at: it is a setting of the captioner.

    Args:
        captioner: What captions the tiles that pass.
        gates: The gates.
        scout: The small model behind `gates.scout`; loaded by its name when left out.

    Raises:
        InputError: A feature gate before a captioner that cannot encode dates by themselves.
    """

    def __init__(self, captioner: Captioner, gates: Gates, *, scout: Captioner | None = None) -> None:
        if gates.feature is not None and not isinstance(captioner, DateEncoder):
            raise InputError(
                f"the gate feature needs a captioner that encodes each date by itself, and {captioner.name!r} does not; "
                "leave it out, or use a CCExpert model."
            )
        self.captioner = captioner
        self.gates = gates
        self._given_scout = scout

    @cached_property
    def _scout(self) -> Captioner:
        if self._given_scout is not None:
            return self._given_scout
        return load_captioner(self.gates.scout_model, skip_unchanged=1.0)

    @property
    def name(self) -> str:
        """The captioner's own name."""
        return self.captioner.name

    @property
    def fingerprint(self) -> str:
        """Sixteen hex digits that change with the captioner and the gates."""
        parts = [self.captioner.fingerprint, self.gates.to_json()]
        if self.gates.scout is not None:
            parts.append(self._scout.fingerprint)
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def details(self) -> dict[str, Any]:
        """The captioner's own facts, and the gates."""
        return dict(getattr(self.captioner, "details", {})) | {"gates": self.gates.to_json()}

    @property
    def input_size(self) -> int:
        """Side in pixels to which tiles are resized."""
        return self.captioner.input_size

    @property
    def bytes_per_pair(self) -> int:
        """The captioner's own working memory for a pair."""
        return self.captioner.bytes_per_pair

    def bytes_free(self) -> int:
        """The memory free where the captioner runs; without limit where it does not say."""
        import sys

        free: Callable[[], int] | None = getattr(self.captioner, "bytes_free", None)
        return sys.maxsize if free is None else free()

    def caption(self, batch: TileBatch) -> Sequence[Caption]:
        """Caption every tile of the batch, in its order."""
        captions: list[Caption | None] = [None] * len(batch)
        left = np.arange(len(batch))
        if isinstance(self.gates.pixel, Gate):
            left = _pass(left, pixel_scores(batch.images), self.gates.pixel, captions)
        if isinstance(self.gates.scout, Gate) and len(left):
            left = _pass(left, scout_scores(batch.images[left], self._scout), self.gates.scout, captions)
        if len(left):
            for position, caption in zip(*self._ask(batch, left, captions), strict=True):
                captions[position] = caption
        return [caption for caption in captions if caption is not None]

    def _ask(
        self, batch: TileBatch, left: NDArray[np.int64], captions: list[Caption | None]
    ) -> tuple[NDArray[np.int64], Sequence[Caption]]:
        """The captioner's captions of the tiles that are left, past the feature gate."""
        gate, images = self.gates.feature, batch.images[left]
        if not isinstance(gate, Gate) or not isinstance(self.captioner, DateEncoder):
            part = TileBatch(images, tuple(batch.tile_ids[position] for position in left))
            return left, self.captioner.caption(part)
        encoded = self.captioner.encode_dates(images.reshape(-1, *images.shape[2:]))
        earlier, later = list(encoded[::2]), list(encoded[1::2])
        place = {int(position): number for number, position in enumerate(left)}
        left = _pass(left, feature_scores(earlier, later), gate, captions)
        if not len(left):
            return left, []
        numbers = [place[int(position)] for position in left]
        return left, self.captioner.caption_encoded([earlier[n] for n in numbers], [later[n] for n in numbers])


def _pass(left: NDArray[np.int64], scores: Scores, gate: Gate, captions: list[Caption | None]) -> NDArray[np.int64]:
    """The tiles that pass a gate; the others get their caption."""
    for position, score in zip(left, scores, strict=True):
        if score < gate.threshold:
            captions[position] = Caption(
                NO_CHANGE_SENTENCES[0],
                changed=False,
                change_probability=gate.probability(float(score)),
                decoded=False,
            )
    return left[~(scores < gate.threshold)]  # a score that is not a number stops nothing


def _block_moments(images: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Means `(B, C, n, n)` of the blocks, and their variances summed over the channels `(B, n, n)`."""
    mean = _averaged(images, _BLOCKS)
    return mean, np.maximum(_averaged(images * images, _BLOCKS) - mean**2, 0).sum(axis=1)


def _averaged(images: NDArray[Any], side: int) -> NDArray[np.float32]:
    """Images `(..., H, W)` as means of `side` x `side` equal blocks; what is left over at the edges is left out."""
    rows, cols = images.shape[-2] // side, images.shape[-1] // side
    cut = images[..., : rows * side, : cols * side]
    blocks = cut.reshape(*cut.shape[:-2], side, rows, side, cols)
    return np.asarray(blocks.mean(axis=(-3, -1), dtype=np.float32))
