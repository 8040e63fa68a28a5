"""All captions of a pair behind one run of its images and the question: one row where there would be six."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.utils.rnn import pad_sequence

from geocc.errors import InputError
from geocc.training.change_maps import stack_maps
from geocc.training.collator import RECORD_IDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from geocc.model import CCExpertProcessor
    from geocc.training.dataset import PackedSample

__all__ = ["PackedCollator", "PackedRow"]

_IGNORED = -100


class PackedCollator:
    """Makes batches of pairs with all of their captions.

    What is learned is what the same captions teach as samples of their own in one batch, loss for loss: the words of the
    question that carry a loss in the reference's training count once for each caption, and so does the change head's.

    Args:
        processor: Turns pixels and captions into tensors, and masks the labels.
        padding_side: Side on which short rows are filled; no target is ever predicted from padding, on neither side.
        max_length: Longest sample in tokens, image slots included, counted for each caption by itself.
        change_labels: Whether the batch also says which pairs changed, for a model with a change head.
        map_grid: Tokens per side of the change maps that the batch also holds, a pair once; None for none.
        map_classes: Number of classes in those maps.
    """

    def __init__(
        self,
        processor: CCExpertProcessor,
        *,
        padding_side: str = "right",
        max_length: int = 32768,
        change_labels: bool = False,
        map_grid: int | None = None,
        map_classes: int = 0,
    ) -> None:
        self._processor = processor
        self._padding_side = padding_side
        self._max_length = max_length
        self._change_labels = change_labels
        self._map_grid = map_grid
        self._map_classes = map_classes
        self._question = len(processor.prompt_ids())

    def __call__(self, samples: Sequence[PackedSample]) -> dict[str, Any]:
        """Make a batch.

        Args:
            samples: B pairs with their captions.

        Returns:
            `input_ids` and `branches` `(B, S)`, `labels` `(B, 1 + T)` and `predictors` `(B, T)` as
            `CCExpertForConditionalGeneration.forward` takes them, `pixel_values` `(B, T=2, C, H, W)`, the `record_ids`,
            and, where asked for, `change_labels` `(B,)` and `change_maps` `(B, N, 1 + 2 * classes)`.

        Raises:
            InputError: A sample is too long.
        """
        rows = [self._row(sample) for sample in samples]
        left = self._padding_side == "left"
        longest = max(len(row.ids) for row in rows)
        fills = {"input_ids": self._processor.pad_token_id, "branches": -1}
        batch: dict[str, Any] = {
            name: pad_sequence(
                [torch.tensor(values) for values in columns],
                batch_first=True,
                padding_value=fills[name],
                padding_side=self._padding_side,
            )
            for name, columns in (("input_ids", [r.ids for r in rows]), ("branches", [r.branches for r in rows]))
        }
        shifts = [longest - len(row.ids) if left else 0 for row in rows]
        batch["labels"] = _stack([[_IGNORED, *row.targets] for row in rows], fill=_IGNORED)
        batch["predictors"] = _stack(
            [[at + shift for at in row.predictors] for row, shift in zip(rows, shifts, strict=True)], fill=0
        )
        batch["pixel_values"] = self._processor.pixel_values([sample.images for sample in samples])
        if self._change_labels:
            batch["change_labels"] = torch.tensor([float(sample.changed) for sample in samples])
        if self._map_grid is not None:
            truths = [(sample.truth, sample.changed) for sample in samples]
            batch["change_maps"] = stack_maps(truths, grid=self._map_grid, classes=self._map_classes)
        batch[RECORD_IDS] = [sample.uid for sample in samples]
        return batch

    def _row(self, sample: PackedSample) -> PackedRow:
        examples = self._processor(captions=list(sample.captions), padding_side="right", return_tensors=None)
        row = PackedRow(question=self._question)
        for number, mask in enumerate(examples["attention_mask"]):
            length = sum(mask)
            if length > self._max_length:
                raise InputError(
                    f"record {sample.uid!r}: with its caption of {len(sample.captions[number])} characters the sample "
                    f"is {length} tokens long, and max_length is {self._max_length}; shorten the caption, or raise "
                    "recipe.max_length."
                )
            row.add(examples["input_ids"][number][:length], examples["labels"][number][:length])
        return row


@dataclass(slots=True)
class PackedRow:
    """A question with its answers.

    Attributes:
        question: Length of the question, up to where the answers begin.
        ids: Token ids.
        branches: 0 for the question, then the number of the answer.
        targets: What is to be predicted, answer by answer, the question's own targets with each.
        predictors: Position whose state predicts each.
    """

    question: int
    ids: list[int] = field(default_factory=list)
    branches: list[int] = field(default_factory=list)
    targets: list[int] = field(default_factory=list)
    predictors: list[int] = field(default_factory=list)

    def add(self, ids: Sequence[int], labels: Sequence[int]) -> None:
        """Add an answer, given as the whole sample that it would be in by itself."""
        if not self.ids:
            self.ids += ids[: self.question]
            self.branches += [0] * self.question
        number, shift = self.branches[-1] + 1, len(self.ids) - self.question
        self.ids += ids[self.question :]
        self.branches += [number] * (len(ids) - self.question)
        for at in range(1, len(ids)):
            if labels[at] != _IGNORED:
                self.targets.append(labels[at])
                # An answer's first token is predicted from the question's last, whichever answer it is.
                self.predictors.append(at - 1 if at <= self.question else at - 1 + shift)


def _stack(rows: Sequence[Sequence[int]], *, fill: int) -> Tensor:
    return pad_sequence([torch.tensor(row) for row in rows], batch_first=True, padding_value=fill)
