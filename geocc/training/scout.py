"""Training a change scout: pairs decoded once, and a network that learns from their flags, masks and label images.

Every record has a flag; where it has a change mask the scout learns cell by cell as well, which teaches a small network far more
than one bit a pair does, and where it has label images also what stood there before and after.
"""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import torch
from PIL import Image
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  # torch's own abbreviation
from torch.utils.data import ConcatDataset, Dataset
from transformers import Trainer, TrainingArguments

from geocc.errors import InputError, ReadError
from geocc.model.registry import resolve_model
from geocc.model.scout import CELL, COVERS, ChangeScout, ChangeScoutConfig, load_scout
from geocc.training.images import read_change, read_pair
from geocc.training.run import globals_kept, refuse_used
from geocc.training.strict import Settings

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from geocc.data.records import Record

__all__ = ["ScoutExample", "ScoutRecipe", "StoredPairs", "read_example", "store_pairs", "train_scout"]

_ARRAYS = ("images", "masks", "labels", "changed")
#: In a stored mask: not known.
_UNKNOWN = 255
_FULL = 254

# Changed cells are few, and to miss one is worse than to see one too many.
_CHANGED_WEIGHT = 4.0
_MAP_SHARE, _OVERLAP_SHARE = 2.0, 0.5


class ScoutRecipe(Settings):
    """How a scout is trained.

    Attributes:
        steps: Optimizer steps.
        batch_size: Pairs of a step.
        learning_rate: Highest one; it rises over the first steps and falls to nothing.
        warmup_steps: Steps over which it rises.
        weight_decay: AdamW's.
        changed_weight: What a changed pair counts beside an unchanged one; more than 1 for a scout that should miss few.
        colour: Spread of the random gain and shift of each band of each date; 0 for none.
        cover_weight: What the covers of changed ground count beside the flag, and as much those of other ground, where label images
            tell them.
        covers: Names of the classes of the label images, in the order of their numbers from 1; empty to learn none of them. Left
            out, those of the start or the configuration, and `geocc.model.scout.COVERS` where these have none.
        image_size: Side in pixels of what the scout looks at, and of the stored pairs; left out, that of the start or the
            configuration.
        compile: Have torch compile the network; worth it for a few hundred steps or more.
        checkpoint_every: Steps between checkpoints.
        seed: Of the start, the order and the augmentation.
    """

    steps: Annotated[int, Field(ge=1)] = 3600
    batch_size: Annotated[int, Field(ge=2)] = 64
    learning_rate: Annotated[float, Field(gt=0)] = 3e-3
    warmup_steps: Annotated[int, Field(ge=0)] = 150
    weight_decay: Annotated[float, Field(ge=0)] = 0.05
    changed_weight: Annotated[float, Field(gt=0)] = 1.0
    colour: Annotated[float, Field(ge=0, lt=1)] = 0.1
    cover_weight: Annotated[float, Field(ge=0)] = 0.3
    covers: tuple[str, ...] | None = None
    image_size: Annotated[int, Field(ge=CELL)] | None = None
    compile: bool = False
    checkpoint_every: Annotated[int, Field(ge=1)] = 500
    seed: int = 0


@dataclass(frozen=True)
class ScoutExample:
    """A pair as a scout learns from it.

    Attributes:
        images: `(T=2, C=3, S, S)` uint8.
        mask: `(S / 4, S / 4)` uint8: share of each cell that changed, from 0 to 254; 255 where that is not known.
        labels: `(T=2, S / 4, S / 4)` uint8: class of either date, of changed ground or of all; 0 where not known.
        changed: Whether anything changed.
    """

    images: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    changed: bool

    @classmethod
    def of(
        cls,
        images: Sequence[Image.Image],
        *,
        changed: bool,
        mask: NDArray[np.bool_] | None = None,
        labels: Sequence[NDArray[np.uint8]] | None = None,
        side: int = 192,
    ) -> ScoutExample:
        """Bring a pair to the size of the scout.

        Args:
            images: Two RGB images, the earlier date first.
            changed: Whether anything changed.
            mask: `(H, W)` which pixels changed; None where that is not known.
            labels: Two `(H, W)` of classes, of changed ground or of all, 0 where not known; None where none is.
            side: Side of the scout's input.
        """
        pictures = [image.resize((side, side), Image.Resampling.BICUBIC) for image in images]
        cells = side // CELL
        if mask is None:
            shares = np.full((cells, cells), _UNKNOWN if changed else 0, np.uint8)
        else:
            whole = Image.fromarray(mask.astype(np.float32))
            shares = np.asarray(whole.resize((cells, cells), Image.Resampling.BOX))
            shares = np.round(shares * _FULL).astype(np.uint8)
        small = np.zeros((2, cells, cells), np.uint8)
        if labels is not None:
            small = np.stack(
                [np.asarray(Image.fromarray(one).resize((cells, cells), Image.Resampling.NEAREST)) for one in labels]
            )
        return cls(np.stack([np.asarray(picture).transpose(2, 0, 1) for picture in pictures]), shares, small, changed)


def read_example(record: Record, *, side: int = 192) -> ScoutExample:
    """Read a record as a scout learns from it.

    Args:
        record: The record.
        side: Side of the scout's input.

    Raises:
        ReadError: An image of it is missing or damaged.
    """
    truth = read_change(record, labels=True)
    return ScoutExample.of(
        read_pair(record),
        changed=bool(record.change_flag),
        mask=None if truth.mask is None else np.asarray(truth.mask) > 0,
        labels=None if truth.labels is None else [np.asarray(label) for label in truth.labels],
        side=side,
    )


def store_pairs(examples: Iterable[ScoutExample], folder: str | os.PathLike[str]) -> StoredPairs:
    """Write examples to a folder, from which training reads them without decoding anything again.

    Args:
        examples: Of one size; held in memory until they are written.
        folder: A new folder, or one that was written so before.

    Raises:
        InputError: There are none.
    """
    rows = list(examples)
    if not rows:
        raise InputError("there are no pairs to train a scout on.")
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    (target / "whole").unlink(missing_ok=True)
    for name, key in zip(_ARRAYS, ("images", "mask", "labels", "changed"), strict=True):
        np.save(target / f"{name}.npy", np.stack([np.asarray(getattr(row, key)) for row in rows]))
    (target / "whole").touch()  # last: what was cut short is not taken for whole
    return StoredPairs(target)


class StoredPairs(Dataset[dict[str, Any]]):
    """Pairs that `store_pairs` wrote, mapped into memory.

    Args:
        folder: The folder.

    Raises:
        ReadError: It does not hold whole arrays.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        place = Path(folder)
        if not (place / "whole").exists():
            raise ReadError(f"{place} does not hold stored pairs, or not all of them; write them with store_pairs.")
        self._arrays = {name: np.load(place / f"{name}.npy", mmap_mode="r") for name in _ARRAYS}

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self._arrays["changed"])

    @property
    def side(self) -> int:
        """Side in pixels of their images."""
        return int(self._arrays["images"].shape[-1])

    @property
    def highest_label(self) -> int:
        """Highest class that the label images hold; 0 where they hold none."""
        return int(self._arrays["labels"].max())

    def __getitem__(self, at: int) -> dict[str, Any]:
        """Return the arrays of one pair."""
        return {name: np.array(array[at]) for name, array in self._arrays.items()}


def train_scout(
    pairs: Sequence[StoredPairs],
    output: str | os.PathLike[str],
    *,
    start: str | os.PathLike[str] | None = None,
    config: ChangeScoutConfig | None = None,
    recipe: ScoutRecipe | None = None,
    resume: bool = False,
) -> ChangeScout:
    """Train a scout, from nothing or from another scout.

    What is global in the process (seeds, environment, log levels) is as before afterwards.

    Args:
        pairs: What it learns from.
        output: Folder for checkpoints, and for the scout in `model`.
        start: A scout to start from: `geocc-scout`, or a folder; from nothing when left out. For ground of one's own,
            begin with a few hundred steps at a third of the learning rate.
        config: Sizes of one from nothing; the defaults are those of `geocc-scout`.
        recipe: How; `ScoutRecipe()` when left out.
        resume: Go on from the last checkpoint in `output`.

    Returns:
        The scout, in `eval` mode. Its logits are not calibrated.

    Raises:
        InputError: Both `start` and `config` are given, label images hold numbers that the covers do not name, or pairs are
            stored with another side than the scout looks at.
        ModelNotFoundError: There is no model `start`.
        CheckpointError: `start` is no scout.
        WriteError: `output` holds a run already, and `resume` is not set.
    """
    recipe = recipe or ScoutRecipe()
    folder = Path(output)
    if not resume:
        refuse_used(folder)
    if start is not None and config is not None:
        raise InputError(
            f"start is {str(start)!r}, which has its sizes, and config gives others; leave one of them out."
        )
    with globals_kept():
        torch.manual_seed(recipe.seed)
        scout = ChangeScout(config or ChangeScoutConfig()) if start is None else load_scout(resolve_model(start).path)
        scout = scout.knowing((scout.config.covers or COVERS) if recipe.covers is None else recipe.covers)
        scout = scout.seeing(recipe.image_size or scout.config.image_size)
        _check_labels(pairs, scout.config.covers)
        _check_sides(pairs, scout.config.image_size)
        _train(pairs, folder, scout, recipe, resume=resume)
    draft = folder / ".model.draft"
    shutil.rmtree(draft, ignore_errors=True)  # cut short
    scout.save_pretrained(draft)
    (draft / "recipe.json").write_text(json.dumps(recipe.model_dump(), indent=2) + "\n")
    shutil.rmtree(folder / "model", ignore_errors=True)
    draft.replace(folder / "model")
    return scout


def _check_labels(pairs: Sequence[StoredPairs], covers: Sequence[str]) -> None:
    highest = max((stored.highest_label for stored in pairs), default=0)
    if covers and highest > len(covers):
        raise InputError(
            f"label images hold the class {highest}, and there are {len(covers)} covers: {', '.join(covers)}; name all classes, as "
            "in ScoutRecipe(covers=(...)), or learn none of them with ScoutRecipe(covers=())."
        )


def _check_sides(pairs: Sequence[StoredPairs], image_size: int) -> None:
    others = sorted({stored.side for stored in pairs} - {image_size})
    if others:
        raise InputError(
            f"pairs are stored with sides of {', '.join(map(str, others))} pixels, and the scout looks at {image_size}; store them "
            f"anew with read_example(record, side={image_size}), or train with ScoutRecipe(image_size={others[0]})."
        )


def _train(
    pairs: Sequence[StoredPairs], folder: Path, scout: ChangeScout, recipe: ScoutRecipe, *, resume: bool
) -> None:
    student = _Student(scout, recipe)
    on_cpu = not torch.accelerator.is_available()
    arguments = TrainingArguments(
        output_dir=str(folder),
        max_steps=recipe.steps,
        per_device_train_batch_size=recipe.batch_size,
        learning_rate=recipe.learning_rate,
        warmup_steps=recipe.warmup_steps,
        lr_scheduler_type="linear",
        weight_decay=recipe.weight_decay,
        adam_beta2=0.99,
        max_grad_norm=5.0,
        bf16=True,
        torch_compile=recipe.compile,
        use_cpu=on_cpu,
        seed=recipe.seed,
        save_strategy="steps",
        save_steps=recipe.checkpoint_every,
        save_total_limit=2,
        logging_steps=50,
        disable_tqdm=not sys.stderr.isatty(),
        report_to=[],
        dataloader_drop_last=True,
        dataloader_pin_memory=not on_cpu,
        remove_unused_columns=False,
    )
    trainer = Trainer(
        student,
        arguments,
        train_dataset=ConcatDataset(pairs),
        data_collator=_Collator(scout, recipe),
    )
    trainer.train(resume_from_checkpoint=resume and any(folder.glob("checkpoint-*")))
    scout.eval()


class _Collator:
    """Makes batches, each pair turned and mirrored alike in all it has, the dates exchanged or not, other colours in each."""

    def __init__(self, scout: ChangeScout, recipe: ScoutRecipe) -> None:
        self._scout = scout
        self._colour = recipe.colour
        self._generator = torch.Generator().manual_seed(recipe.seed)

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, Tensor]:
        images, masks, labels, changed = (torch.from_numpy(np.stack([row[name] for row in rows])) for name in _ARRAYS)
        for axes in ((-1,), (-2,)):
            if self._tossed(1):
                images, masks, labels = (array.flip(axes) for array in (images, masks, labels))
        if self._tossed(1):
            images, masks, labels = (array.transpose(-1, -2) for array in (images, masks, labels))
        exchanged = self._tossed(len(rows))  # what came is then what went, and the flag the same
        images = torch.where(exchanged[:, None, None, None, None], images.flip(1), images)
        labels = torch.where(exchanged[:, None, None, None], labels.flip(1), labels)
        return {
            "pixel_values": self._coloured(self._scout.pixel_values(images)),
            "masks": masks,
            "labels": labels.long(),
            "changed": changed.float(),
        }

    def _tossed(self, count: int) -> Tensor:
        return torch.rand(count, generator=self._generator) < 0.5  # a coin

    def _coloured(self, pixels: Tensor) -> Tensor:
        def drawn(dates: int) -> Tensor:
            return self._colour * torch.randn(len(pixels), dates, 3, 1, 1, generator=self._generator)

        coloured = pixels * (1 + drawn(2)) + drawn(2) + 1.5 * drawn(1)
        laid_out: Tensor = coloured.flatten(0, 1).contiguous(memory_format=torch.channels_last).unflatten(0, (-1, 2))
        return laid_out


class _Student(nn.Module):
    """A scout with its loss."""

    def __init__(self, scout: ChangeScout, recipe: ScoutRecipe) -> None:
        super().__init__()
        self.scout = scout
        self.changed_weight = recipe.changed_weight
        self.cover_weight = recipe.cover_weight

    def forward(self, pixel_values: Tensor, masks: Tensor, labels: Tensor, changed: Tensor) -> dict[str, Tensor]:
        found = self.scout(pixel_values)
        known = (masks != _UNKNOWN).float()
        shares = masks.float() / _FULL * known
        cells, flags = found.map_logits.float(), found.change_logits.float()
        counts = torch.where(changed > 0, self.changed_weight, 1.0)
        loss = F.binary_cross_entropy_with_logits(flags, changed, weight=counts)
        loss = loss + _MAP_SHARE * F.binary_cross_entropy_with_logits(
            cells, shares, weight=known * (1 + _CHANGED_WEIGHT * shares)
        )
        likely = cells.sigmoid() * known
        overlap = (2 * (likely * shares).sum((1, 2)) + 1) / (likely.sum((1, 2)) + shares.sum((1, 2)) + 1)
        loss = loss + _OVERLAP_SHARE * ((1 - overlap) * changed).mean()
        if found.cover_logits is not None:
            covers, changing = found.cover_logits.float(), shares > 0.5
            # Apart, for changed ground is little, and what it was and became is what is asked in the end.
            costs = _cover_loss(covers, labels, where=changing) + _cover_loss(covers, labels, where=~changing)
            loss = loss + self.cover_weight * costs
        return {"loss": loss}


def _cover_loss(logits: Tensor, labels: Tensor, *, where: Tensor) -> Tensor:
    """Return what the covers of either date cost, over the cells in which they are known.

    Of a pair's cells of one cover, `n` count as the root of `n`: what is small is as much worth naming as what is large.
    """
    loss = logits.new_zeros(())
    for date in (0, 1):
        given = torch.where(where, labels[:, date], 0)  # numbered from 1; 0 is not known
        wrong = F.cross_entropy(logits[:, date], given - 1, ignore_index=-1, reduction="none")
        cells = F.one_hot(given, logits.shape[2] + 1).sum((1, 2)).clamp(min=1)
        weight = cells.rsqrt().gather(1, given.flatten(1)).view_as(wrong) * (given > 0)
        loss = loss + (wrong * weight).sum() / (weight.sum() + 1)
    return loss
