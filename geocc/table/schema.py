"""The columns of the result, what each may hold, and the check that a layer keeps to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import geopandas as gpd
import pandas as pd

from geocc.errors import InputError, MissingCRSError

from .metadata import layer_metadata
from .result import UNIT_INTERVAL, TileStatus
from .text import clean_caption

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["COLUMNS", "DTYPES", "restore_dtypes", "validate_layer"]

DTYPES = {
    "tile_id": "string",
    "row": "int32",
    "col": "int32",
    "caption": "string",
    "changed": "boolean",
    "change_probability": "float64",
    "confidence": "float64",
    "status": "string",
    "error": "string",
    "valid_fraction": "float64",
    # Milliseconds are what GeoPackage keeps: a date is the same before and after any file.
    "t1": "datetime64[ms]",
    "t2": "datetime64[ms]",
}
"""The pandas dtype of every column but `geometry`. Dates carry no time zone and are UTC."""

COLUMNS = (*DTYPES, "geometry")
"""The columns of the result, in order."""


def restore_dtypes(gdf: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Bring the columns of a layer to their order and dtypes, as after `geopandas.read_file`, which loses some.

    Args:
        gdf: A layer with at least the columns of `COLUMNS`. Further columns are kept, before `geometry`.

    Returns:
        A new layer with the same values and `attrs`.

    Raises:
        InputError: A column is missing, or holds what its dtype cannot.
    """
    _check_columns(gdf)
    extra = [name for name in gdf.columns if name not in COLUMNS]
    layer = gdf[[*DTYPES, *extra, "geometry"]].copy()
    for name, dtype in DTYPES.items():
        if not _has_dtype(layer[name], dtype):
            layer[name] = _cast(layer[name], dtype)
    # Files that cannot tell an empty text from none give back none; the status tells.
    blank = layer["caption"].isna() & layer["status"].isin([status for status in TileStatus if status.has_caption])
    if blank.any():
        layer.loc[blank, "caption"] = ""
    return layer


def validate_layer(gdf: gpd.GeoDataFrame) -> None:
    """Check that a GeoDataFrame is a layer of change captions, whole or in part.

    Rows may have been dropped or reordered, and columns added; what is left must keep to the schema.

    Args:
        gdf: What `build_layer` or `read_layer` returned, or a selection of it.

    Raises:
        InputError: It is not such a layer. The message names the column, the first offending tile, and the remedy.
        MissingCRSError: It has no CRS.
    """
    _check_columns(gdf)
    layer_metadata(gdf)
    if gdf.crs is None:
        raise MissingCRSError("the layer has no CRS: gdf.set_crs(...) with the CRS its footprints are in")
    for name, dtype in DTYPES.items():
        if not _has_dtype(gdf[name], dtype):
            raise InputError(
                f"column {name!r} has dtype {gdf[name].dtype}, expected {dtype}: geocc.table.restore_dtypes(gdf)"
            )
    for is_wrong, what in _ROW_RULES:
        wrong = is_wrong(gdf)
        if wrong.any():
            first = gdf.loc[wrong.to_numpy(), "tile_id"].iloc[0]
            raise InputError(f"{int(wrong.sum())} of {len(gdf)} tiles, the first {first!r}: {what}")


def _check_columns(gdf: Any) -> None:
    if not isinstance(gdf, gpd.GeoDataFrame):
        raise InputError(f"got a {type(gdf).__name__}, expected a geopandas.GeoDataFrame")
    missing = [name for name in COLUMNS if name not in gdf.columns]
    if missing:
        raise InputError(
            f"the layer lacks {', '.join(missing)}: expected the columns {', '.join(COLUMNS)}, as build_layer makes them"
        )
    if gdf.active_geometry_name != "geometry":
        raise InputError(
            f"the active geometry is {gdf.active_geometry_name!r}, expected 'geometry': gdf.set_geometry('geometry')"
        )
    others = [name for name in gdf.columns if name != "geometry" and str(gdf[name].dtype) == "geometry"]
    if others:
        raise InputError(f"a layer has one geometry, and this has {', '.join(others)} too: gdf.drop(columns={others})")


def _has_dtype(column: Any, dtype: str) -> bool:
    # Compared as dtypes: by name, pandas' two kinds of string are the same.
    return bool(column.dtype == pd.api.types.pandas_dtype(dtype))


def _cast(column: Any, dtype: str) -> Any:
    try:
        if dtype.startswith("datetime64"):
            return pd.to_datetime(column, format="ISO8601", utc=True).dt.tz_localize(None).astype(dtype)
        if dtype == "float64":
            # float() reads decimal text exactly; pandas' own parser may be off by the last bit.
            return column.map(float, na_action="ignore").astype(dtype)
        if dtype == "boolean":
            return column.astype("object").map(_truth, na_action="ignore").astype(dtype)
        return column.astype(dtype)
    except (TypeError, ValueError) as error:
        raise InputError(f"column {column.name!r} cannot be brought to {dtype}: {error}") from error


def _truth(value: Any) -> bool:
    for truth in (True, False):
        if value == truth or str(value).lower() == str(truth).lower():
            return truth
    raise ValueError(f"{value!r} is neither true nor false")


def _has_caption(gdf: gpd.GeoDataFrame) -> Any:
    return gdf["status"].isin([status for status in TileStatus if status.has_caption])


def _is_unclean(text: Any) -> Any:
    return text.map(lambda value: value != clean_caption(value), na_action="ignore").eq(other=True).fillna(value=False)


def _is_out_of_range(gdf: gpd.GeoDataFrame) -> Any:
    return ((gdf[list(UNIT_INTERVAL)] < 0) | (gdf[list(UNIT_INTERVAL)] > 1)).any(axis="columns")


def _is_not_areal(gdf: gpd.GeoDataFrame) -> Any:
    return gdf.geometry.isna() | gdf.geometry.is_empty | ~gdf.geom_type.isin(["Polygon", "MultiPolygon"])


_ROW_RULES: tuple[tuple[Callable[[gpd.GeoDataFrame], Any], str], ...] = (
    (lambda gdf: gdf["tile_id"].isna(), "tile_id is missing"),
    (lambda gdf: gdf["tile_id"].duplicated(), "tile_id is not unique: gdf.drop_duplicates('tile_id')"),
    (lambda gdf: ~gdf["status"].isin(list(TileStatus)), f"status is none of {', '.join(TileStatus)}"),
    (
        lambda gdf: (gdf["caption"].notna() != _has_caption(gdf)) | (gdf["changed"].notna() != _has_caption(gdf)),
        "caption and changed go with status 'ok' and 'skipped_unchanged', and only with them",
    ),
    (
        lambda gdf: gdf["error"].fillna("").ne("") != gdf["status"].eq(TileStatus.FAILED.value),
        "an error text goes with status 'failed', and only with it",
    ),
    (_is_out_of_range, f"{', '.join(UNIT_INTERVAL)} must be 0 to 1, or NaN for unknown"),
    (
        lambda gdf: _is_unclean(gdf["caption"]) | _is_unclean(gdf["error"]),
        "the caption or error holds control characters or is too long: map geocc.table.clean_caption over the column",
    ),
    (_is_not_areal, "the footprint is not a polygon"),
)
