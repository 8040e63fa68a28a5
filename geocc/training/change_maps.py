"""What change masks and label images say of every image token: whether it changed, and from what to what."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from PIL import Image
    from torch import Tensor

__all__ = ["ChangeImages", "change_map", "stack_maps"]

# So much of a token must have changed for the token to count as changed in full: a small house is seen, a fringe is not.
_FULL_SHARE = 0.08


class ChangeImages(NamedTuple):
    """What is known, pixel by pixel, of the change of a pair.

    Attributes:
        mask: 0 where nothing changed; None where that is not known.
        labels: Classes of either date where it changed, 0 elsewhere; None where they are not known.
        classes: The classes that the labels tell apart, so that of others nothing is known; None for all.
    """

    mask: Image.Image | None = None
    labels: tuple[Image.Image, Image.Image] | None = None
    classes: tuple[int, ...] | None = None

    @property
    def images(self) -> tuple[Image.Image, ...]:
        """The images that there are, in order."""
        return (*((self.mask,) if self.mask is not None else ()), *(self.labels or ()))

    def with_images(self, images: Sequence[Image.Image]) -> ChangeImages:
        """Return the same with others in the place of `images`, as they are once a pair was flipped."""
        mask, labels = (images[0], images[1:]) if self.mask is not None else (None, images)
        return self._replace(mask=mask, labels=(labels[0], labels[1]) if labels else None)


def change_map(images: ChangeImages, *, changed: bool, grid: int, classes: int = 0) -> Tensor:
    """Return what happened to a pair's image tokens.

    Args:
        images: What is known of the pair, of any size.
        changed: Whether the pair changed at all; of one that did not, every token is known.
        grid: Tokens per side.
        classes: Number of classes, from 1; label images hold no higher ones.

    Returns:
        `(grid * grid, 1 + 2 * classes)` float32, token by token and row by row: whether it changed, then whether each
        class is new there, then whether each class is gone. 0 for no, 1 where a twelfth of the token or more did, in
        between for less, NaN where nothing is known.
    """
    maps = np.full((grid * grid, 1 + 2 * classes), np.nan if changed else 0.0, dtype=np.float32)
    if images.mask is not None:
        mask = np.asarray(images.mask.convert("L") if images.mask.mode not in {"1", "L"} else images.mask) > 0
        maps[:, 0] = _shares(mask.astype(np.uint8), mask, grid=grid, classes=1)[:, 0]
    if images.labels is not None and changed:
        before, after = (np.asarray(label) for label in images.labels)
        known = [number for number in images.classes or range(1, classes + 1) if 0 < number <= classes]
        for start, labels in ((1, after), (1 + classes, before)):
            columns = _shares(labels, before != after, grid=grid, classes=classes)
            for number in known:
                maps[:, start + number - 1] = columns[:, number - 1]
    return torch.from_numpy(maps)


def stack_maps(truths: Sequence[tuple[ChangeImages, bool]], *, grid: int, classes: int = 0) -> Tensor:
    """Return the maps of a batch, `(B, grid * grid, 1 + 2 * classes)`; see `change_map`.

    Args:
        truths: For each pair what is known, and whether it changed.
        grid: Tokens per side.
        classes: Number of classes.
    """
    return torch.stack([change_map(one, changed=changed, grid=grid, classes=classes) for one, changed in truths])


def _shares(labels: NDArray[np.uint8], where: NDArray[np.bool_], *, grid: int, classes: int) -> NDArray[np.float32]:
    """Return how much of every token each class fills, `(grid * grid, classes)`, 1 from `_FULL_SHARE` on."""
    height, width = labels.shape
    rows, cols = np.nonzero(where)
    token = rows * grid // height * grid + cols * grid // width
    counts = np.bincount(token * 256 + labels[rows, cols], minlength=grid * grid * 256).reshape(-1, 256)
    shares = counts[:, 1 : classes + 1] * (grid * grid / (height * width) / _FULL_SHARE)
    full: NDArray[np.float32] = np.minimum(shares, 1).astype(np.float32)
    return full
