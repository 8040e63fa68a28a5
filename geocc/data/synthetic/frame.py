"""The pixel frame of a scene, and windows in it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Frame", "Window"]


@dataclass(frozen=True, slots=True)
class Frame:
    """Size of a scene.

    Attributes:
        height: Rows.
        width: Columns.
        gsd_m: Ground sampling distance, the side of a pixel in metres.
    """

    height: int
    width: int
    gsd_m: float

    def px(self, metres: float) -> float:
        """Return a length in pixels."""
        return metres / self.gsd_m

    @property
    def hectares(self) -> float:
        """Area of the ground."""
        return self.height * self.width * self.gsd_m**2 / 1e4

    def grown(self, margin: int) -> Frame:
        """Return this frame with `margin` pixels more on every side."""
        return Frame(height=self.height + 2 * margin, width=self.width + 2 * margin, gsd_m=self.gsd_m)


@dataclass(frozen=True, slots=True)
class Window:
    """A rectangle of pixels, rows `top` to `top + height`, columns `left` to `left + width`."""

    top: int
    left: int
    height: int
    width: int

    @property
    def rows(self) -> slice:
        """The rows, as an index."""
        return slice(self.top, self.top + self.height)

    @property
    def cols(self) -> slice:
        """The columns, as an index."""
        return slice(self.left, self.left + self.width)
