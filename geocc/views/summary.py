"""What a view says of a layer in a few words: counts, dates, model, and the tiles in the order of their change."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import pandas as pd

from geocc.errors import InputError
from geocc.table import TileStatus, restore_dtypes, validate_layer
from geocc.table.metadata import layer_metadata

if TYPE_CHECKING:
    import geopandas as gpd

    from .quicklook import PairLike

__all__ = [
    "Summary",
    "TileKind",
    "by_change",
    "drawn_outlines",
    "facts_of",
    "flattened",
    "kind_of",
    "plural",
    "summarize",
    "text_of",
]


class TileKind(StrEnum):
    """What a tile looks like on a map."""

    CHANGED = "changed"
    UNCHANGED = "unchanged"
    NODATA = "nodata"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Summary:
    """A layer in numbers.

    Attributes:
        t1: The earlier date as text, empty where unknown.
        t2: The later date as text, empty where unknown.
        model: What the captioner is called, empty where unknown.
        tiles: Number of tiles.
        changed: Number of tiles that changed.
        unchanged: Number of tiles that did not.
        nodata: Number of tiles with too few valid pixels.
        failed: Number of tiles that failed.
    """

    t1: str
    t2: str
    model: str
    tiles: int
    changed: int
    unchanged: int
    nodata: int
    failed: int


def summarize(gdf: gpd.GeoDataFrame, pair: PairLike | None = None) -> Summary:
    """Count a layer's tiles and name its dates and model; the pair tells the dates where the layer does not."""
    status = gdf["status"].value_counts()
    return Summary(
        t1=_date(gdf["t1"], None if pair is None else pair.t1_label),
        t2=_date(gdf["t2"], None if pair is None else pair.t2_label),
        model=_model(layer_metadata(gdf)),
        tiles=len(gdf),
        changed=int(gdf["changed"].fillna(value=False).sum()),
        unchanged=int((~gdf["changed"].fillna(value=True)).sum()),
        nodata=int(status.get(TileStatus.SKIPPED_NODATA.value, 0)),
        failed=int(status.get(TileStatus.FAILED.value, 0)),
    )


def by_change(gdf: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Check a layer and bring it to the order in which a reader wants it: changed first, the most probable first of all.

    Raises:
        InputError: It is not a layer of change captions.
    """
    layer = restore_dtypes(gdf)
    validate_layer(layer)
    # Captioned tiles before those without an answer, which `changed` has as missing.
    layer = layer.assign(_changed=layer["changed"].astype("float64"))
    return layer.sort_values(
        ["_changed", "change_probability", "row", "col"],
        ascending=[False, False, True, True],
        na_position="last",
        ignore_index=True,
    ).drop(columns="_changed")


def drawn_outlines(outlines: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Check a layer of outlines, and leave out whole tiles in which nothing stood out.

    Raises:
        InputError: It is none.
    """
    if "outlined" not in outlines.columns:
        raise InputError(
            f"outlines have the columns {', '.join(map(str, outlines.columns))}; expected what geocc.outline_changes returns, "
            "with its column `outlined`."
        )
    return outlines[outlines["outlined"].astype(bool)]


def kind_of(row: Any) -> TileKind:
    """Return what a row of a layer, as `itertuples` gives it, looks like."""
    if row.status == TileStatus.FAILED:
        return TileKind.FAILED
    if row.status == TileStatus.SKIPPED_NODATA:
        return TileKind.NODATA
    return TileKind.CHANGED if row.changed else TileKind.UNCHANGED


def text_of(row: Any) -> str:
    """Return what there is to read of a row: its caption, or why it has none. Untrusted."""
    kind = kind_of(row)
    if kind is TileKind.NODATA:
        return "Not captioned: too few valid pixels in both dates."
    return str(row.error if kind is TileKind.FAILED else row.caption)


def facts_of(row: Any) -> list[str]:
    """Return the numbers known of a row, in words, and the name of its tile."""
    numbers = (
        ("change probability", row.change_probability, "{:.2f}"),
        ("confidence", row.confidence, "{:.2f}"),
        ("valid", row.valid_fraction if row.valid_fraction < 1 else math.nan, "{:.0%}"),
    )
    known = [f"{name} {shape.format(value)}" for name, value, shape in numbers if not math.isnan(value)]
    return [*known, f"tile {row.tile_id}"]


def flattened(metadata: Mapping[str, Any], *, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield nested metadata as dotted names and texts."""
    for key, value in metadata.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            yield from flattened(value, prefix=f"{name}.")
        elif isinstance(value, list | tuple):
            yield name, ", ".join(map(str, value))
        else:
            yield name, "" if value is None else str(value)


def plural(count: int, noun: str) -> str:
    """Return a count with its noun: ``1 tile``, ``1,024 tiles``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _date(column: Any, label: pd.Timestamp | None) -> str:
    known = column.dropna()
    moment = known.iloc[0] if len(known) else label
    if moment is None or pd.isna(moment):
        return ""
    moment = pd.Timestamp(moment)
    return f"{moment:%Y-%m-%d}" if moment == moment.normalize() else f"{moment:%Y-%m-%d %H:%M}"


def _model(metadata: Mapping[str, Any]) -> str:
    for key in ("captioner", "model"):
        found = metadata.get(key)
        if isinstance(found, Mapping):
            found = found.get("name") or found.get("id")
        if found:
            return str(found)
    return ""
