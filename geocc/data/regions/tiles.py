"""Tiles as records: pictures without loss, and beside them everything that is known of the ground."""

from __future__ import annotations

import zlib
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from PIL import Image

from geocc.data.records import Record
from geocc.scene.footprints import window_polygons
from geocc.scene.grid import grid_crs

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from odc.geo.geobox import GeoBox

    from geocc.data.regions.labels import TileLabel
    from geocc.scene.pair import ScenePair
    from geocc.scene.window import PixelWindow

__all__ = ["TileWriter", "room"]


@dataclass(slots=True)
class TileWriter:
    """Writes the tiles of one part after the other.

    Attributes:
        pair: The two dates.
        folder: Where the pictures go, `t1/` and `t2/`, which exist.
        name: `source` of the records, with which their uids begin.
        min_valid_fraction: Share of pixels, in [0, 1], that must be valid in both dates.
        max_unchanged: Largest share of unchanged tiles in a part, in [0, 1].
        seed: Chooses which of the unchanged tiles stay.
        fields: Further keys of the records.
        advance: Called after every tile that was dealt with and had been expected.
        dropped: Tiles left out so far, by reason.
    """

    pair: ScenePair
    folder: Path
    name: str
    min_valid_fraction: float
    max_unchanged: float
    seed: int
    fields: dict[str, Any]
    advance: Callable[[], object]
    dropped: Counter[str] = field(default_factory=Counter)

    def write(self, tiles: list[TileLabel], *, part: str) -> list[Record]:
        """Write the tiles of a part: all that changed, and as many unchanged ones as their share allows.

        Args:
            tiles: The tiles that are of this part.
            part: What the part is called.

        Returns:
            Records with absolute paths, in the order of the tiles.

        Raises:
            ReadError: A raster cannot be read.
            OSError: A picture cannot be written.
        """
        records: dict[str, Record] = {}
        for tile in tiles:
            if tile.changed:
                self._add(tile, records, part=part)
                self.advance()
        most = len(records) + room(len(records), self.max_unchanged)
        unchanged = [tile for tile in tiles if not tile.changed]
        rng = np.random.default_rng([self.seed, zlib.crc32(part.encode())])
        for position, number in enumerate(rng.permutation(len(unchanged)).tolist()):
            if len(records) >= most:
                self.dropped["unchanged_surplus"] += len(unchanged) - position
                break
            if self._add(unchanged[number], records, part=part):
                self.advance()
        return [records[tile.tile_id] for tile in tiles if tile.tile_id in records]

    def _add(self, label: TileLabel, records: dict[str, Record], *, part: str) -> bool:
        tile = self.pair.read(label.window)
        if tile.valid_fraction == 0 or tile.valid_fraction < self.min_valid_fraction:
            self.dropped["too_little_data"] += 1
            return False
        uid = f"{self.name}_{label.tile_id}"
        paths = [self.folder / date / f"{uid}.png" for date in ("t1", "t2")]
        for path, image in zip(paths, tile.image, strict=True):
            Image.fromarray(np.moveaxis(image, 0, -1)).save(path)
        records[label.tile_id] = Record.model_validate(
            {
                "uid": uid,
                "change_flag": int(label.changed),
                "img1_path": paths[0],
                "img2_path": paths[1],
                "change_caption": list(label.captions),
                "source": self.name,
                "split": part,
                "change_polygons": _polygons(label),
            }
            | _ground(self.pair, label.window)
            | self.fields
        )
        return True


def room(changed: int, max_unchanged: float) -> float:
    """Return how many unchanged tiles may go with so many changed ones.

    Args:
        changed: Number of changed tiles.
        max_unchanged: Largest share of unchanged ones among all, in [0, 1].
    """
    if max_unchanged == 1:
        return float("inf")
    # A hair more, so that rounding takes no tile away.
    return int(max_unchanged / (1 - max_unchanged) * changed + 1e-9)


def _ground(pair: ScenePair, window: PixelWindow) -> dict[str, Any]:
    """Where and when a tile was seen."""
    sides = {key: np.array([getattr(window, key)]) for key in ("row", "col", "height", "width")}
    days = [None if label is None else label.date().isoformat() for label in (pair.t1_label, pair.t2_label)]
    return {
        "gsd_m": _gsd_m(pair.geobox),
        "dates": None if days == [None, None] else tuple(days),
        "crs": str(pair.geobox.crs),
        "footprint": shapely.geometry.mapping(window_polygons(pair.geobox, **sides)[0]),
    }


def _gsd_m(geobox: GeoBox) -> float | None:
    """Side of a pixel in metres, where the CRS counts in lengths."""
    crs = grid_crs(geobox).proj
    if not crs.is_projected:
        return None
    return float(abs(geobox.affine.determinant) ** 0.5 * crs.axis_info[0].unit_conversion_factor)


def _polygons(label: TileLabel) -> dict[str, Any] | None:
    if not label.polygons:
        return None
    features = [
        {"type": "Feature", "properties": properties, "geometry": shapely.geometry.mapping(outline)}
        for outline, properties in label.polygons
    ]
    return {"type": "FeatureCollection", "features": features}
