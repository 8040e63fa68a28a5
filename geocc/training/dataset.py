"""Samples as the trainer takes them: two images and one caption, or all captions, in an order that follows from seed and epoch alone."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, NamedTuple

from torch.utils.data import Dataset, Sampler

from geocc.training.augmentation import Augmentation, augment_captions
from geocc.training.change_maps import ChangeImages
from geocc.training.images import read_change, read_pair

if TYPE_CHECKING:
    from collections.abc import Iterator

    from PIL import Image

    from geocc.data.samples import Samples

__all__ = ["EpochSampler", "PackedSample", "PairDataset", "PairSample", "Place"]


class Place(NamedTuple):
    """Where a sample stands.

    Attributes:
        epoch: Number of the pass over the data, from 0.
        at: Place in that pass.
    """

    epoch: int
    at: int


class PairSample(NamedTuple):
    """One sample.

    Attributes:
        uid: Name of its record.
        images: Two RGB images, the earlier date first.
        caption: What to learn to say.
        changed: Whether anything changed.
        truth: What its change mask and label images tell, as far as they were asked for and are there.
    """

    uid: str
    images: tuple[Image.Image, Image.Image]
    caption: str
    changed: bool
    truth: ChangeImages = ChangeImages()


class PackedSample(NamedTuple):
    """One pair with all that is said of it.

    Attributes:
        uid: Name of its record.
        images: Two RGB images, the earlier date first.
        captions: What to learn to say; one or more.
        changed: Whether anything changed.
        truth: What its change mask and label images tell, as far as they were asked for and are there.
    """

    uid: str
    images: tuple[Image.Image, Image.Image]
    captions: tuple[str, ...]
    changed: bool
    truth: ChangeImages = ChangeImages()


class PairDataset(Dataset["PairSample | PackedSample"]):
    """Reads the samples of a mixture by their place, in any number of workers alike.

    A sample that cannot be read is an error; the reference takes another in its place without a word.

    Args:
        samples: From `Mixture.samples`.
        augmentation: What may be done to the pairs; nothing when left out.
        seed: Seed of the augmentation.
        packed: Whether each sample holds all captions of its record; `samples` are then one for each record.
        masks: Whether the records' change masks are read too.
        labels: Whether their label images are read besides.
    """

    def __init__(
        self,
        samples: Samples,
        *,
        augmentation: Augmentation | None = None,
        seed: int = 0,
        packed: bool = False,
        masks: bool = False,
        labels: bool = False,
    ) -> None:
        self._masks = masks
        self._labels = labels
        self._samples = samples
        self._augmentation = augmentation or Augmentation()
        self._seed = seed
        self._packed = packed

    def __len__(self) -> int:
        """Return the number of samples of an epoch."""
        return len(self._samples)

    def __getitem__(self, place: Place | int) -> PairSample | PackedSample:
        """Read one sample.

        Args:
            place: Epoch and place; a number alone is a place in the epoch that the samples are at.

        Raises:
            ReadError: An image of its record cannot be read.
            InputError: Its record is broken.
        """
        epoch, at = (self._samples.epoch, place) if isinstance(place, int) else place
        if epoch != self._samples.epoch:
            self._samples = self._samples.at_epoch(epoch)
        if self._packed:
            record, captions = self._samples.with_all_captions(at)
        else:
            record, caption = self._samples[at]
            captions = (caption,)
        images, changed = read_pair(record), bool(record.change_flag)
        truth = read_change(record, labels=self._labels) if self._masks else ChangeImages()
        if not self._augmentation.off:
            # Of the place alone: neither workers nor an interruption change what is drawn.
            rng = random.Random(f"augment {self._seed} {epoch} {at}")
            pictures, captions = augment_captions(
                (*images, *truth.images), captions, changed=changed, settings=self._augmentation, rng=rng
            )
            images, truth = (pictures[0], pictures[1]), truth.with_images(pictures[2:])
        if self._packed:
            return PackedSample(record.uid, images, captions, changed, truth)
        return PairSample(record.uid, images, captions[0], changed, truth)


class EpochSampler(Sampler[Place]):
    """Yields the places of an epoch; `Samples` shuffles them, so that a run can be taken up at any of them.

    Args:
        length: Samples of an epoch.
    """

    def __init__(self, length: int) -> None:
        self._length = length
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose places come next."""
        self.epoch = epoch

    def __len__(self) -> int:
        """Return the number of samples of an epoch."""
        return self._length

    def __iter__(self) -> Iterator[Place]:
        """Yield the places in order."""
        epoch = self.epoch
        return (Place(epoch, at) for at in range(self._length))
