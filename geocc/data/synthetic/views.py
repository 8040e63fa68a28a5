"""The ways to look at one painted pair: mirrored, turned, and with the dates exchanged, its facts as true as before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray
    from shapely.geometry.base import BaseGeometry

    from geocc.data.synthetic.facts import Fact

__all__ = ["VIEWS", "View"]


@dataclass(frozen=True, slots=True)
class View:
    """One way to look at a pair.

    Attributes:
        flip: Whether left and right change places, before anything is turned.
        quarters: By how many quarters it is turned, anticlockwise.
        exchanged: Whether the later date comes first.
    """

    flip: bool
    quarters: int
    exchanged: bool

    def picture(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return a square picture `(..., height, width)` as it looks so."""
        return np.rot90(image[..., ::-1] if self.flip else image, self.quarters, axes=(-2, -1))

    def facts(self, facts: Iterable[Fact]) -> tuple[Fact, ...]:
        """Return what there is to say of the pair seen so."""
        turned = (fact.turned(flip=self.flip, quarters=self.quarters) for fact in facts)
        return tuple(fact.reversed() if self.exchanged else fact for fact in turned)

    def outline(self, geometry: BaseGeometry, *, side: int) -> BaseGeometry:
        """Return an outline in pixels of a square picture where it lies in the picture seen so.

        Args:
            geometry: The outline, x to the right and y down.
            side: Side of the picture.
        """
        from shapely.affinity import affine_transform

        if self.flip:
            geometry = affine_transform(geometry, [-1, 0, 0, 1, side, 0])
        for _ in range(self.quarters):
            geometry = affine_transform(geometry, [0, 1, -1, 0, 0, side])
        return geometry


# In steps of five through the eight orders of rows and columns, so that the first few are as unlike as can be.
VIEWS = tuple(
    View(flip=5 * number % 8 >= 4, quarters=5 * number % 4, exchanged=(number + number // 8) % 2 == 1)
    for number in range(16)
)
"""All there are, the pair as it was painted first."""
