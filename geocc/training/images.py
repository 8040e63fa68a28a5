"""The two images of a record, read whole or refused by name: no sample is ever replaced by another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL import Image

from geocc.errors import ReadError

if TYPE_CHECKING:
    from pathlib import Path

    from geocc.data.records import Record

__all__ = ["IMAGE_KEYS", "check_header", "read_mask", "read_pair"]

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


def read_mask(record: Record) -> Image.Image | None:
    """Read a record's change mask; None where it has none.

    Raises:
        ReadError: The mask is missing or damaged; the text names record and file.
    """
    if record.mask_path is None:
        return None
    try:
        with Image.open(record.mask_path) as image:
            return image.convert("L")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise _unreadable(record, "mask_path", error) from error


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
