"""Fit geocc-mini's probability of change to pairs that it was not trained on, painted ones and real ones (Platt 1999).

Fitted to painted pairs alone, it called far more of the real tiles changed that were not: its scout is surest of what it has
seen painted, and of real ground that it has not seen its own head tells more. A scale for either can say so. How many
unchanged tiles are still called changed is a choice between two errors, which the limit makes: it is the probability of 0.5 that
every gate and column goes by, so that the limit lies in the weights and nobody has to know it.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import torch
from mini_real_validation import validation_tiles

from geocc.data.synthetic import training_pairs
from geocc.model import CCExpertForConditionalGeneration, CCExpertProcessor

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import nn

__all__ = ["CALIBRATION_SCENES", "calibrate", "fit_line", "limit_of"]

CALIBRATION_SCENES = range(200_000_000, 200_000_900)
"""Scenes by seed that neither the training data nor the benchmark has."""
REAL_SHARE = 0.25
"""What real tiles count for in the fit, all of them together; either series and answer as much as the other."""
CALLED_CHANGED = 0.08
"""Share of the unchanged real tiles that are called changed at most."""
_BATCH = 32


def calibrate(trained: Path, out: Path, *, scenes: range = CALIBRATION_SCENES, real: Path | None = None) -> None:
    """Write a trained model in bfloat16, with its change logit fitted.

    Args:
        trained: Folder of the trained model.
        out: Folder for the model as it ships. A scale for the logit of its own head, one for that of its scout if it has one, and a shift go
            into the weights of both; with one scale for their sum these pairs come out less likely.
        scenes: Seeds of the scenes that the painted pairs are cut from.
        real: Folder of the real series, or None for painted pairs alone and no limit.
    """
    pairs = list(training_pairs(scenes, per_scene=2, domain="all", max_shift_px=2.0))
    groups = [("painted", pair.changed) for pair in pairs]
    images = [np.stack([pair.t1, pair.t2]) for pair in pairs]
    if real is not None:
        for series, tile, changed in validation_tiles(real):
            groups.append((series, changed))
            images.append(tile)
    processor = CCExpertProcessor.from_pretrained(trained)
    model = CCExpertForConditionalGeneration.from_pretrained(trained).bfloat16().eval()
    # Each is the last layer of what it reads, and the logit is the sum of what they give.
    last: list[nn.Linear] = [model.model.change_head.pair_2]
    if model.config.scout_config is not None:
        last.append(model.model.scout_branch.pair)
    logits = _logits(model, processor, last, images)
    truth = torch.tensor([float(changed) for _, changed in groups])
    *scales, shift = fit_line(logits, truth, weights=_weights(groups))
    unchanged = torch.tensor([series != "painted" and not changed for series, changed in groups])
    limit = limit_of((logits @ torch.tensor(scales) + shift)[unchanged]) if unchanged.any() else 0.0
    told = f"logits times {', '.join(f'{scale:.3f}' for scale in scales)}, plus {shift:.3f}, less {limit:.3f}"
    print(f"{len(groups)} pairs: {told}", flush=True)
    with torch.no_grad():
        for layer, scale in zip(last, scales, strict=True):
            layer.weight.mul_(scale)
            layer.bias.mul_(scale)
        last[0].bias.add_(shift - limit)
    model.save_pretrained(out)
    processor.save_pretrained(out)


def fit_line(logits: torch.Tensor, truth: torch.Tensor, *, weights: torch.Tensor | None = None) -> list[float]:
    """Return the scale of each column of logits `(B, C)`, and the shift of their sum, that make the truth `(B,)` likeliest.

    Args:
        logits: What was given.
        truth: What was true, 0 or 1.
        weights: What each counts for `(B,)`; all the same if None.
    """
    given = torch.cat([logits, torch.ones(len(logits), 1)], dim=1).double()
    counted = torch.ones(len(truth)) if weights is None else weights
    line = torch.zeros(given.shape[1], dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([line], max_iter=300, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        each = torch.nn.functional.binary_cross_entropy_with_logits(given @ line, truth.double(), reduction="none")
        value = (each * counted.double()).sum() / counted.double().sum()
        value.backward()
        return value

    optimiser.step(loss)
    return line.tolist()


def limit_of(unchanged: torch.Tensor) -> float:
    """Return what to take off the logit, at least 0, so that few enough of the unchanged `(B,)` are left above 0."""
    return max(0.0, float(torch.quantile(unchanged, 1 - CALLED_CHANGED)))


def _weights(groups: Sequence[tuple[str, bool]]) -> torch.Tensor:
    """Return what each pair counts for, by the group it is of: painted ones the same each, real ones by series and answer."""
    sizes = Counter(groups)
    real = [group for group in sizes if group[0] != "painted"]
    painted = sum(size for group, size in sizes.items() if group[0] == "painted")
    share = REAL_SHARE if real else 0.0
    each = {group: share / len(real) / sizes[group] for group in real}
    return torch.tensor([each.get(group, (1 - share) / painted) for group in groups])


def _logits(
    model: CCExpertForConditionalGeneration,
    processor: CCExpertProcessor,
    last: Sequence[nn.Linear],
    images: Sequence[NDArray[np.uint8]],
) -> torch.Tensor:
    """Return what each of the last layers gives for pairs `(T=2, C=3, H, W)`, `(B, C)`."""
    given: list[list[torch.Tensor]] = [[] for _ in last]
    hooks = [
        layer.register_forward_hook(lambda _, __, made, parts=parts: parts.append(made.flatten().float()))
        for layer, parts in zip(last, given, strict=True)
    ]
    order = sorted(range(len(images)), key=lambda at: images[at].shape[-1])
    sides = [images[at].shape[-1] for at in order]
    with torch.inference_mode():
        for side in dict.fromkeys(sides):
            same = [at for at, one in zip(order, sides, strict=True) if one == side]
            for first in range(0, len(same), _BATCH):
                batch = np.stack([images[at] for at in same[first : first + _BATCH]])
                model.get_image_features(processor.pixel_values(batch).bfloat16())
    for hook in hooks:
        hook.remove()
    logits = torch.empty(len(images), len(last))
    logits[order] = torch.stack([torch.cat(parts) for parts in given], dim=1)
    return logits
