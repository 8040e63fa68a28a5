"""The change of a pair as a mask: where, and from what to what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw

from geocc.data.masks.vocabulary import BINARY, SECOND_COLOURS
from geocc.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from geocc.data.masks.vocabulary import Vocabulary

__all__ = ["ChangeMask", "classes_by_colour"]


@dataclass(frozen=True, slots=True, eq=False)
class ChangeMask:
    """Where a pair changed, and from what to what.

    Attributes:
        changed: `(height, width)` bool.
        before: `(height, width)` class of the earlier date; 0 where it is not known.
        after: The same of the later date.
        vocabulary: What the classes are called; empty for a mask without classes.
    """

    changed: NDArray[np.bool_]
    before: NDArray[np.int64]
    after: NDArray[np.int64]
    vocabulary: Vocabulary

    @classmethod
    def binary(cls, mask: NDArray[Any]) -> ChangeMask:
        """Take a mask that tells where something changed, and not what.

        Args:
            mask: `(height, width)`, or `(height, width, channels)`; 0 in all channels where nothing changed.

        Raises:
            InputError: It has another shape.
        """
        changed: NDArray[np.bool_] = _plane(mask if mask.ndim < 3 else np.asarray(mask.any(axis=-1))) != 0
        unknown = np.zeros(changed.shape, dtype=np.int64)
        return cls(changed, unknown, unknown, BINARY)

    @classmethod
    def from_to(cls, before: NDArray[Any], after: NDArray[Any], *, vocabulary: Vocabulary) -> ChangeMask:
        """Take the classes of either date. It changed where both are known and differ.

        Args:
            before: `(height, width)` classes of the earlier date, 0 where unknown or unchanged.
            after: The same of the later date.
            vocabulary: What the classes are called.

        Raises:
            InputError: The shapes differ, or a class has no name.
        """
        before, after = _plane(before).astype(np.int64), _plane(after).astype(np.int64)
        if before.shape != after.shape:
            raise InputError(f"the labels have shapes {before.shape} and {after.shape}; expected one shape.")
        unknown = sorted((set(np.unique(before)) | set(np.unique(after))) - {0} - set(vocabulary))
        if unknown:
            raise InputError(
                f"the labels hold the class {unknown[0]}, which has no name; expected 0 or {sorted(vocabulary)}: give a "
                "vocabulary that names it."
            )
        return cls((before != after) & (before > 0) & (after > 0), before, after, vocabulary)

    @classmethod
    def from_polygons(
        cls, polygons: Iterable[tuple[Any, int, int]], *, height: int, width: int, vocabulary: Vocabulary
    ) -> ChangeMask:
        """Take polygons of change.

        Args:
            polygons: Shapely polygon or multipolygon in pixel coordinates, class before, class after. A later one
                lies on top.
            height: Height of the frame in pixels.
            width: Its width.
            vocabulary: What the classes are called.

        Raises:
            InputError: A class has no name.
        """
        planes = [Image.new("I", (width, height)) for _ in range(2)]
        for geometry, *classes in polygons:
            for part in getattr(geometry, "geoms", [geometry]):
                stencil = Image.new("1", (width, height))
                draw = ImageDraw.Draw(stencil)
                draw.polygon([(x, y) for x, y, *_ in part.exterior.coords], fill=1)
                for hole in part.interiors:
                    draw.polygon([(x, y) for x, y, *_ in hole.coords], fill=0)
                for plane, value in zip(planes, classes, strict=True):
                    plane.paste(value, mask=stencil)
        return cls.from_to(np.asarray(planes[0]), np.asarray(planes[1]), vocabulary=vocabulary)


def classes_by_colour(
    image: NDArray[np.uint8], *, colours: Mapping[tuple[int, int, int], int] | None = None
) -> NDArray[np.int64]:
    """Turn a label image in colours into classes.

    Args:
        image: `(height, width, 3)`.
        colours: Class of each colour. Default: those of SECOND.

    Returns:
        `(height, width)` classes.

    Raises:
        InputError: A colour has no class: the image was stored with loss, or belongs to another data set.
    """
    colours = SECOND_COLOURS if colours is None else colours
    if image.ndim != 3 or image.shape[2] != 3:
        raise InputError(f"the label image has shape {image.shape}; expected (height, width, 3).")
    codes = image.astype(np.int64) @ np.array([65536, 256, 1])
    classes = np.full(codes.shape, -1, dtype=np.int64)
    for (red, green, blue), value in colours.items():
        classes[codes == red * 65536 + green * 256 + blue] = value
    if (classes < 0).any():
        code = int(codes[classes < 0][0])
        colour = (code >> 16, code >> 8 & 255, code & 255)
        raise InputError(f"the label image holds the colour {colour}, which has no class; expected {sorted(colours)}.")
    return classes


def _plane(array: NDArray[Any]) -> NDArray[Any]:
    if array.ndim != 2 or 0 in array.shape:
        raise InputError(f"the mask has shape {array.shape}; expected (height, width).")
    return array
