"""Thresholds of gates, from tiles of which it is known whether they changed."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from geocc.errors import InputError
from geocc.inference.encode_once import DateEncoder
from geocc.inference.gates import Gate, Gates, feature_scores, pixel_scores, scout_scores
from geocc.inference.loading import load_captioner

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from geocc.inference.captioner import Captioner

__all__ = ["GateName", "calibrate_gate", "calibrate_gates", "gate_scores"]

GateName = Literal["pixel", "scout", "feature"]
_BATCH = 16


def calibrate_gates(
    pairs: Iterable[tuple[NDArray[np.uint8], bool]],
    model: str | os.PathLike[str] | Captioner | None = None,
    *,
    names: Sequence[GateName] = ("scout",),
    recall: float = 0.995,
    scout: str | os.PathLike[str] | Captioner = "geocc-scout",
) -> Gates:
    """Set the thresholds of gates so that they let through a stated share of the changed tiles.

    The tiles must be like those that will be captioned, and none that a model behind a gate was trained on. What may be lost
    is shared equally among the gates.

    Args:
        pairs: Tiles `(T=2, C=3, H, W)` uint8, all of one size, each with whether it changed.
        model: The captioner behind the gates; needed for the feature gate alone.
        names: Which gates to calibrate.
        recall: Share of the changed tiles, in (0, 1), that all these gates together let through.
        scout: The small model of the scout gate.

    Raises:
        InputError: An argument cannot be used, or there are too few tiles for that recall.

    Examples:
        >>> pictures = np.random.default_rng(0).integers(0, 256, (40, 2, 3, 64, 64), dtype=np.uint8)
        >>> pictures[::2, 1] = pictures[::2, 0]  # every other pair shows one picture twice
        >>> tiles = [(pair, number % 2 == 1) for number, pair in enumerate(pictures)]
        >>> calibrate_gates(tiles, names=["pixel"], recall=0.9).pixel.threshold > 0.5
        True
    """
    if not names or set(names) - set(get_args(GateName)) or len(set(names)) < len(names):
        raise InputError(f"names is {list(names)}; expected some of {', '.join(get_args(GateName))}, each once.")
    scores, changed = gate_scores(pairs, model, names=names, scout=scout)
    each = 1 - (1 - recall) / len(names)
    found = {name: calibrate_gate(scores[name], changed, recall=each) for name in names}
    named = scout if isinstance(scout, str) else getattr(scout, "name", str(scout))
    return Gates(**found, scout_model=named)  # type: ignore[arg-type]  # a gate under each of the names


def gate_scores(
    pairs: Iterable[tuple[NDArray[np.uint8], bool]],
    model: str | os.PathLike[str] | Captioner | None = None,
    *,
    names: Sequence[GateName],
    scout: str | os.PathLike[str] | Captioner = "geocc-scout",
) -> tuple[dict[GateName, NDArray[np.float64]], NDArray[np.bool_]]:
    """The scores that gates give to tiles, and which of those changed; the arguments are those of `calibrate_gates`."""
    small = _load(scout, skip_unchanged=1.0) if "scout" in names else None
    large: Any = _load(model) if "feature" in names and model is not None else None
    if "feature" in names and not isinstance(large, DateEncoder):
        raise InputError("the feature gate needs the model that it stands in: pass model=..., a CCExpert model.")
    parts: dict[GateName, list[NDArray[np.float64]]] = {name: [] for name in names}
    truth: list[bool] = []
    stream = iter(pairs)
    while batch := list(itertools.islice(stream, _BATCH)):
        images = np.stack([image for image, _ in batch])
        truth += [bool(changed) for _, changed in batch]
        if "pixel" in names:
            parts["pixel"].append(pixel_scores(images))
        if small is not None:
            parts["scout"].append(scout_scores(images, small))
        if large is not None:
            encoded = large.encode_dates(images.reshape(-1, *images.shape[2:]))
            parts["feature"].append(feature_scores(encoded[::2], encoded[1::2]))
    if not truth:
        raise InputError("there are no pairs to calibrate on.")
    return {name: np.concatenate(found) for name, found in parts.items()}, np.array(truth)


def calibrate_gate(scores: NDArray[np.float64], changed: NDArray[np.bool_], *, recall: float = 0.995) -> Gate:
    """Set the threshold of one gate.

    Args:
        scores: `(N,)` what the gate says of tiles.
        changed: `(N,)` which of them changed.
        recall: Share of the changed tiles that the gate lets through, in (0, 1).

    Returns:
        The highest threshold that keeps the recall on these tiles, and a logistic curve through all scores, in which the
        changed and the unchanged tiles weigh alike.

    Raises:
        InputError: `recall` is no such share, or fewer than `1 / (1 - recall)` tiles changed, or none stayed as it was.
    """
    if not 0 < recall < 1:
        raise InputError(f"recall is {recall}; expected a share between 0 and 1, such as 0.995.")
    count, needed = int(changed.sum()), int(np.ceil(1 / (1 - recall) - 1e-9))
    if count < needed or count == len(changed):
        raise InputError(
            f"{count} of {len(changed)} tiles changed; a recall of {recall} needs {needed} or more that did, and some that "
            "did not. Give more tiles, or a lower recall."
        )
    lost = int((1 - recall) * count + 1e-9)
    slope, intercept = _logistic(scores, changed)
    return Gate(float(np.sort(scores[changed])[lost]), slope, intercept)


def _logistic(scores: NDArray[np.float64], changed: NDArray[np.bool_]) -> tuple[float, float]:
    """Slope and intercept of the probability of change, both sorts of tile weighing alike."""
    from scipy.optimize import minimize

    mean, spread = float(scores.mean()), float(scores.std()) or 1.0
    z, sign = (scores - mean) / spread, np.where(changed, 1.0, -1.0)
    weights = np.where(changed, 0.5 / changed.mean(), 0.5 / (1 - changed.mean())) / len(changed)

    def loss(parameters: NDArray[np.float64]) -> float:
        margin = sign * (parameters[0] * z + parameters[1])
        # The ridge keeps the slope finite where the scores separate the two.
        return float((weights * np.logaddexp(0, -margin)).sum() + 1e-4 * parameters[0] ** 2)

    slope, intercept = minimize(loss, np.array([1.0, 0.0]), method="BFGS").x.tolist()
    return slope / spread, intercept - slope * mean / spread


def _load(model: str | os.PathLike[str] | Captioner, **settings: Any) -> Captioner:
    if not isinstance(model, str) and not hasattr(model, "__fspath__"):
        return model
    return load_captioner(model, **settings)  # type: ignore[arg-type]  # a name or path
