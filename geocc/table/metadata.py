"""The metadata that travel with a layer: plain JSON values, in `attrs` and in every file."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np

from geocc.errors import InputError
from geocc.scene.privacy import mask_secrets

if TYPE_CHECKING:
    import geopandas as gpd

__all__ = ["METADATA_KEY", "dump_metadata", "json_safe", "layer_metadata", "load_metadata"]

METADATA_KEY = "geocc"
"""The key under which `attrs` and the files hold the metadata."""


def json_safe(value: Any) -> Any:
    """Bring a value to what JSON can hold and ``==`` can compare, hiding secrets in URLs.

    Args:
        value: Nested mappings, sequences, sets, NumPy values, dates, paths, and JSON's own types.

    Returns:
        The same in dicts with string keys, lists, strings, integers, finite floats, booleans and None. NaN and
        infinities become None: JSON has neither, and NaN would make equal metadata compare as different.
    """
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    match value:
        case Mapping():
            return {str(key): json_safe(item) for key, item in value.items()}
        case list() | tuple():
            return [json_safe(item) for item in value]
        case set() | frozenset():
            return sorted((json_safe(item) for item in value), key=str)
        case None | bool() | int() | float():
            return value if value is None or math.isfinite(value) else None
        case date():
            return value.isoformat()
        case _:
            return mask_secrets(str(value))


def layer_metadata(gdf: gpd.GeoDataFrame) -> dict[str, Any]:
    """Return the JSON-safe metadata of a layer, empty where it has none."""
    found = gdf.attrs.get(METADATA_KEY, {})
    if not isinstance(found, Mapping):
        raise InputError(
            f"gdf.attrs[{METADATA_KEY!r}] is a {type(found).__name__}, expected a dict: "
            f"del gdf.attrs[{METADATA_KEY!r}] to write the layer without metadata"
        )
    safe: dict[str, Any] = json_safe(found)
    return safe


def dump_metadata(metadata: dict[str, Any]) -> str:
    """Write metadata as one line of ASCII JSON, which every container can hold."""
    return json.dumps(metadata, ensure_ascii=True, allow_nan=False)


def load_metadata(text: str | bytes | None) -> dict[str, Any]:
    """Read what `dump_metadata` wrote; anything else, as other programs may leave, counts as no metadata."""
    try:
        found = json.loads(text) if text else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
