"""What is known of tiles before they are written."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

    from geocc.scene.window import PixelWindow

__all__ = ["Labels", "TileLabel"]


@dataclass(frozen=True, slots=True)
class TileLabel:
    """One tile and what is said of it.

    Attributes:
        tile_id: Its name, as a tile plan or a layer gives it.
        window: Its pixels.
        changed: Whether anything changed.
        captions: Sentences, at least one.
        polygons: What changed inside it: outline in pixels of the tile, x to the right and y downwards, and properties.
    """

    tile_id: str
    window: PixelWindow
    changed: bool
    captions: tuple[str, ...]
    polygons: tuple[tuple[BaseGeometry, dict[str, Any]], ...] = ()


@dataclass(slots=True)
class Labels:
    """The tiles of which something is known.

    Attributes:
        tiles: Tiles with captions.
        dropped: Tiles that are no training data, counted by reason.
        planned: Tiles there were.
        unused_polygons: Polygons that no tile meets.
    """

    tiles: list[TileLabel]
    planned: int
    dropped: dict[str, int] = field(default_factory=dict)
    unused_polygons: int = 0
