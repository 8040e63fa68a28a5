"""The two images of a record, read whole or refused by name: no sample is ever replaced by another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL import Image

from geocc.errors import ReadError
from geocc.training.change_maps import ChangeImages

if TYPE_CHECKING:
    from pathlib import Path

    from geocc.data.records import Record

__all__ = ["IMAGE_KEYS", "check_header", "read_change", "read_pair"]

#: Keys of a record that name its images, the earlier date first.
IMAGE_KEYS = ("img1_path", "img2_path")

# More than eight bits a channel: Pillow would clip them to white.
_DEEP_MODES = frozenset({"I", "F", "I;16", "I;16B", "I;16L", "I;16N"})


def read_pair(record: Record) -> tuple[Image.Image, Image.Image]:
    """Read both images of a record as RGB, as the reference does.

    Raises:
        ReadError: An image is missing, damaged or deeper than eight bits; the text names record, key and file.
    """
    earlier, later = (_read(record, key) for key in IMAGE_KEYS)
    return earlier, later


def read_change(record: Record, *, labels: bool = False) -> ChangeImages:
    """Read what a record's images tell of its change.

    Args:
        record: The record.
        labels: Whether its label images are read besides its mask.

    Raises:
        ReadError: An image is missing or damaged, or a label image is no image of classes; the text names record and
            file.
    """
    mask = None if record.mask_path is None else _read_map(record, "mask_path").convert("L")
    if not labels or record.label1_path is None or record.label2_path is None:
        return ChangeImages(mask)
    before, after = (_read_map(record, key) for key in ("label1_path", "label2_path"))
    for image, key in ((before, "label1_path"), (after, "label2_path")):
        if image.mode not in {"L", "P"}:
            raise ReadError(
                f"record {record.uid!r}, key {key!r}: {getattr(record, key)} is of mode {image.mode!r}; expected one channel "
                "of eight bits that holds the number of each pixel's class."
            )
    classes = record.label_classes
    return ChangeImages(mask, (before, after), None if classes is None else tuple(classes))


def _read_map(record: Record, key: str) -> Image.Image:
    try:
        with Image.open(getattr(record, key)) as image:
            image.load()
            return image
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise _unreadable(record, key, error) from error


def check_header(record: Record) -> None:
    """Look at the headers of both images, which finds missing and foreign files but not every damaged one.

    Raises:
        ReadError: An image is missing, is no image, or is deeper than eight bits.
    """
    for key in IMAGE_KEYS:
        try:
            with Image.open(getattr(record, key)) as image:
                _refuse_deep(record, key, image)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise _unreadable(record, key, error) from error


def _read(record: Record, key: str) -> Image.Image:
    try:
        with Image.open(getattr(record, key)) as image:
            _refuse_deep(record, key, image)
            return image.convert("RGB")
    except ReadError:
        raise
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise _unreadable(record, key, error) from error


def _refuse_deep(record: Record, key: str, image: Image.Image) -> None:
    if image.mode in _DEEP_MODES:
        raise ReadError(
            f"record {record.uid!r}, key {key!r}: {getattr(record, key)} is of mode {image.mode!r}, deeper than eight "
            "bits; scale both dates of the pair to uint8 by one stretch first."
        )


def _unreadable(record: Record, key: str, error: Exception) -> ReadError:
    if isinstance(error, ReadError):
        return error
    path: Path = getattr(record, key)
    fault = "is not there" if isinstance(error, FileNotFoundError) else f"cannot be read as an image ({error})"
    return ReadError(
        f"record {record.uid!r}, key {key!r}: {path} {fault}; mend the file, or take the record out of the data."
    )
