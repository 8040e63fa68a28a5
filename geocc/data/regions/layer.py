"""Captions of tiles from a layer that geocc wrote and a person corrected."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

import numpy as np
import shapely

from geocc.data.regions.labels import Labels, TileLabel
from geocc.data.regions.vectors import column_texts, in_pixels, name_some
from geocc.errors import InputError
from geocc.inference.no_change import NO_CHANGE_SENTENCES, says_no_change
from geocc.scene.window import PixelWindow
from geocc.table.result import TileStatus

if TYPE_CHECKING:
    import geopandas as gpd
    from numpy.typing import NDArray
    from odc.geo.geobox import GeoBox

__all__ = ["CORRECTED", "FlagFrom", "is_layer", "label_layer"]

FlagFrom: TypeAlias = Literal["agree", "caption", "changed"]

CORRECTED = "corrected_caption"
"""Column of a layer that goes before `caption` where it is filled."""

_LAYER_COLUMNS = ("tile_id", "row", "col", "caption", "changed", "status")
_OFF_GRID = 0.25  # pixels: GeoJSON rounds, and conversion there and back adds to it
_TRUTHS = {"true": True, "1": True, "1.0": True, "false": False, "0": False, "0.0": False}


def is_layer(gdf: gpd.GeoDataFrame) -> bool:
    """Tell whether a GeoDataFrame is a layer of change captions, one row a tile, rather than polygons of changes."""
    return set(_LAYER_COLUMNS) <= set(gdf.columns)


def label_layer(
    layer: gpd.GeoDataFrame, geobox: GeoBox, *, caption_column: str | None = None, flag_from: FlagFrom = "agree"
) -> Labels:
    """Take the captions of a layer that geocc wrote and a person corrected.

    Args:
        layer: Its rows, in any CRS. Further columns are of no matter, rows may have been deleted.
        geobox: The grid of the scene that it was made from.
        caption_column: Column of the captions. Default: `corrected_caption` where it is there and filled, else `caption`.
        flag_from: What says whether a tile changed: its `caption`, its `changed`, or both, which then must `agree`.

    Returns:
        Labels, their windows those of the layer. Dropped: `failed` and `skipped_nodata`, by their status.

    Raises:
        InputError: A caption is empty, a flag contradicts its caption, a name comes twice, a value is missing, or a
            footprint is not where row and column say. Each names the tiles.
        MissingCRSError: The layer has no CRS.
    """
    if flag_from not in get_args(FlagFrom):
        raise InputError(f"flag_from is {flag_from!r}; expected {', '.join(get_args(FlagFrom))}.")
    ids = column_texts(layer, "tile_id")
    if nameless := [f"row {index}" for index, name in zip(layer.index, ids, strict=True) if not name]:
        raise InputError(f"no tile_id at {name_some(nameless)}: only tiles that geocc wrote can be used.")
    if twice := [name for name, count in Counter(ids).items() if count > 1]:
        raise InputError(f"tile_id is not unique: {name_some(twice)}; delete the copies.")
    status = column_texts(layer, "status")
    if strange := [name for name, one in zip(ids, status, strict=True) if one not in set(TileStatus)]:
        raise InputError(
            f"status of {name_some(strange)} is none of {', '.join(TileStatus)}: leave it as geocc wrote it."
        )
    told = np.array([TileStatus(one).has_caption for one in status], dtype=bool)
    dropped = {one: status.count(one) for one in TileStatus if not one.has_caption and one in status}
    kept, ids = layer[told], [name for name, is_told in zip(ids, told, strict=True) if is_told]
    captions = _captions(kept, caption_column, ids=ids)
    flags = _flags(kept, captions, ids=ids, flag_from=flag_from)
    windows = _windows(kept, geobox, ids=ids)
    tiles = [
        TileLabel(name, window, changed=flag, captions=(caption,))
        for name, window, flag, caption in zip(ids, windows, flags, captions, strict=True)
    ]
    # A GIS, and FlatGeobuf, put rows into an order of their own; the split must not follow it.
    tiles.sort(key=lambda tile: (tile.window, tile.tile_id))
    return Labels(tiles, len(layer), {str(reason): count for reason, count in dropped.items()})


def _captions(layer: gpd.GeoDataFrame, column: str | None, *, ids: list[str]) -> list[str]:
    if column is None and CORRECTED in layer.columns:
        both = zip(column_texts(layer, CORRECTED), column_texts(layer, "caption"), strict=True)
        captions = [corrected or written for corrected, written in both]
    else:
        captions = column_texts(layer, column or "caption")
    if empty := [name for name, caption in zip(ids, captions, strict=True) if not caption]:
        raise InputError(
            f"the caption is empty for {name_some(empty)}: write one, such as {NO_CHANGE_SENTENCES[0]!r}, or delete the "
            "tile from the layer."
        )
    return captions


def _flags(layer: gpd.GeoDataFrame, captions: list[str], *, ids: list[str], flag_from: FlagFrom) -> list[bool]:
    told = [not says_no_change(caption) for caption in captions]
    if flag_from == "caption":
        return told
    words = [text.lower() for text in column_texts(layer, "changed")]
    if unclear := [name for name, word in zip(ids, words, strict=True) if word not in _TRUTHS]:
        raise InputError(
            f"'changed' is neither true nor false for {name_some(unclear)}: set it, or let the captions say: "
            'flag_from="caption", on the command line --flag-from caption.'
        )
    flags = [_TRUTHS[word] for word in words]
    if flag_from == "changed":
        return flags
    if contrary := [name for name, flag, said in zip(ids, flags, told, strict=True) if flag != said]:
        first = ids.index(contrary[0])
        raise InputError(
            f"'changed' and the caption contradict each other for {name_some(contrary)}; {contrary[0]} is "
            f"{'changed' if flags[first] else 'unchanged'} and says {captions[first]!r}. Correct one of them, or say which "
            'to trust: flag_from="caption" or "changed", on the command line --flag-from.'
        )
    return flags


def _windows(layer: gpd.GeoDataFrame, geobox: GeoBox, *, ids: list[str]) -> list[PixelWindow]:
    """The tiles' pixels: row and column as written, height and width by the footprints, which must lie there."""
    start = np.array([_whole(layer, name, ids=ids) for name in ("col", "row")], dtype=np.int64).reshape(2, -1)
    bounds: NDArray[np.float64] = shapely.bounds(in_pixels(layer, geobox, names=ids)).reshape(-1, 4)
    size = np.rint(bounds[:, 2:] - bounds[:, :2]).astype(np.int64)
    placed = np.column_stack([start.T, start.T + size])
    height, width = geobox.shape
    off = (np.abs(bounds - placed) > _OFF_GRID).any(axis=1)
    off |= (placed[:, 2] > width) | (placed[:, 3] > height) | (size < 1).any(axis=1)
    if off.any():
        raise InputError(
            f"the footprints of {name_some(np.array(ids, dtype=object)[off])} do not lie where their row and col are on the "
            f"scene's grid of {width} x {height} pixels: give the two rasters, and the align=, that the layer was made with."
        )
    return [PixelWindow(*(int(value) for value in (y, x, h, w))) for (x, y), (w, h) in zip(start.T, size, strict=True)]


def _whole(layer: gpd.GeoDataFrame, column: str, *, ids: list[str]) -> list[int]:
    texts = column_texts(layer, column)
    # A GIS may have made decimals of them.
    if wrong := [name for name, text in zip(ids, texts, strict=True) if not re.fullmatch(r"\d{1,9}(\.0+)?", text)]:
        raise InputError(f"{column!r} is no whole number from 0 for {name_some(wrong)}: leave it as geocc wrote it.")
    return [int(float(text)) for text in texts]
