"""GeoParquet, with the metadata under our own key and a covering bounding box per row."""

from __future__ import annotations

from typing import TYPE_CHECKING

import geopandas as gpd
import pyarrow.parquet as pq

from .metadata import METADATA_KEY, dump_metadata, layer_metadata, load_metadata

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["read_geoparquet", "write_geoparquet"]


def write_geoparquet(gdf: gpd.GeoDataFrame, path: Path, *, layer: str, csv_safe: bool) -> None:
    """Write GeoParquet 1.1, compressed with zstd."""
    del layer, csv_safe
    metadata = layer_metadata(gdf)
    plain = gdf.copy()
    plain.attrs = {METADATA_KEY: metadata} if metadata else {}
    plain.to_parquet(path, index=False, schema_version="1.1.0", write_covering_bbox=True)
    # geopandas has no argument for further keys, and pandas' own key is for pandas alone.
    table = pq.read_table(path)
    keys = {**(table.schema.metadata or {}), METADATA_KEY.encode(): dump_metadata(metadata).encode()}
    pq.write_table(table.replace_schema_metadata(keys), path, compression="zstd")


def read_geoparquet(path: Path) -> gpd.GeoDataFrame:
    """Read GeoParquet, the metadata from our own key."""
    gdf = gpd.read_parquet(path)
    metadata = load_metadata((pq.read_schema(path).metadata or {}).get(METADATA_KEY.encode()))
    gdf.attrs = {METADATA_KEY: metadata} if metadata else {}
    return gdf
