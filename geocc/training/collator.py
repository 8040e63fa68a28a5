"""Samples become a batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from geocc.errors import InputError
from geocc.training.change_maps import stack_maps

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geocc.model import CCExpertProcessor
    from geocc.training.dataset import PairSample

__all__ = ["RECORD_IDS", "ImageCollator", "PairCollator"]

#: Key of a batch that holds the uids of its records; the model never sees it.
RECORD_IDS = "record_ids"


class PairCollator:
    """Makes batches, padded and masked as the reference pads and masks them.

    Args:
        processor: Turns pixels and captions into tensors, and masks the labels.
        padding_side: Side on which short samples are filled; the reference fills on the right (parity NOTES.md 19).
        pad_to_multiple_of: What the length of a batch in tokens is a multiple of.
        max_length: Longest sample in tokens, image slots included.
        change_labels: Whether the batch also says which pairs changed, for a model with a change head.
        map_grid: Tokens per side of the change maps that the batch also holds; None for none.
        map_classes: Number of classes in those maps.
    """

    def __init__(
        self,
        processor: CCExpertProcessor,
        *,
        padding_side: str = "right",
        pad_to_multiple_of: int = 1,
        max_length: int = 32768,
        change_labels: bool = False,
        map_grid: int | None = None,
        map_classes: int = 0,
    ) -> None:
        self._processor = processor
        self._padding_side = padding_side
        self._pad_to_multiple_of = pad_to_multiple_of
        self._max_length = max_length
        self._change_labels = change_labels
        self._map_grid = map_grid
        self._map_classes = map_classes

    def __call__(self, samples: Sequence[PairSample]) -> dict[str, Any]:
        """Make a batch.

        Args:
            samples: B samples.

        Returns:
            `input_ids`, `attention_mask` and `labels` `(B, S)`, `pixel_values` `(B, T=2, C, H, W)`, the `record_ids`,
            and, where asked for, `change_labels` `(B,)` and `change_maps` `(B, N, 1 + 2 * classes)`.

        Raises:
            InputError: A sample is too long. The reference cuts it, answer first.
        """
        batch: dict[str, Any] = dict(
            self._processor(
                [sample.images for sample in samples],
                captions=[sample.caption for sample in samples],
                padding_side=self._padding_side,
                pad_to_multiple_of=self._pad_to_multiple_of,
            )
        )
        self._check_length(batch, samples)
        return batch | self._change(samples)

    def _change(self, samples: Sequence[PairSample]) -> dict[str, Any]:
        """Return what a batch says besides images and text."""
        batch: dict[str, Any] = {}
        if self._change_labels:
            batch["change_labels"] = torch.tensor([float(sample.changed) for sample in samples])
        if self._map_grid is not None:
            truths = [(sample.truth, sample.changed) for sample in samples]
            batch["change_maps"] = stack_maps(truths, grid=self._map_grid, classes=self._map_classes)
        batch[RECORD_IDS] = [sample.uid for sample in samples]
        return batch

    def _check_length(self, batch: dict[str, Any], samples: Sequence[PairSample]) -> None:
        lengths = batch["attention_mask"].sum(dim=1).tolist()
        longest = max(range(len(samples)), key=lengths.__getitem__)
        if lengths[longest] > self._max_length:
            raise InputError(
                f"record {samples[longest].uid!r}: with its caption of {len(samples[longest].caption)} characters the "
                f"sample is {lengths[longest]} tokens long, and max_length is {self._max_length}; shorten the caption, "
                "or raise recipe.max_length."
            )


class ImageCollator(PairCollator):
    """Makes batches without a word, for stages in which only the eye learns; arguments as `PairCollator`'s."""

    def __call__(self, samples: Sequence[PairSample]) -> dict[str, Any]:
        """Make a batch.

        Args:
            samples: B samples.

        Returns:
            `pixel_values` `(B, T=2, C, H, W)`, the `record_ids`, and, where asked for, `change_labels` `(B,)` and
            `change_maps` `(B, N, 1 + 2 * classes)`.
        """
        return {"pixel_values": self._processor.pixel_values([sample.images for sample in samples])} | self._change(
            samples
        )
