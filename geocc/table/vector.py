"""GeoPackage and FlatGeobuf, through GDAL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import geopandas as gpd
import pyogrio

from .metadata import METADATA_KEY, dump_metadata, layer_metadata, load_metadata

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["ogr_read", "ogr_write", "read_flatgeobuf", "read_geopackage", "write_flatgeobuf", "write_geopackage"]


def write_geopackage(gdf: gpd.GeoDataFrame, path: Path, *, layer: str, csv_safe: bool) -> None:
    """Write a GeoPackage of one layer, the metadata in its metadata tables."""
    del csv_safe
    # Version 1.3: what it lacks of 1.4 is not used here, and older programs open it without a warning.
    ogr_write(gdf, path, driver="GPKG", layer=layer, layer_metadata=_as_items(gdf), VERSION="1.3")


def write_flatgeobuf(gdf: gpd.GeoDataFrame, path: Path, *, layer: str, csv_safe: bool) -> None:
    """Write a FlatGeobuf, the metadata in its header. Its spatial index orders the features."""
    del csv_safe
    ogr_write(gdf, path, driver="FlatGeobuf", layer=layer, layer_metadata=_as_items(gdf))


def read_geopackage(path: Path) -> gpd.GeoDataFrame:
    """Read the one layer of change captions in a GeoPackage."""
    layers = [name for name, geometry in pyogrio.list_layers(path) if geometry is not None]
    if len(layers) != 1:
        raise ValueError(f"it holds the layers {layers}, expected one: geopandas.read_file(path, layer=...)")
    return ogr_read(path, layer=layers[0])


def read_flatgeobuf(path: Path) -> gpd.GeoDataFrame:
    """Read a FlatGeobuf, its features brought back to the order of rows and columns."""
    return ogr_read(path).sort_values(["row", "col", "tile_id"], kind="stable", ignore_index=True)


def ogr_write(gdf: gpd.GeoDataFrame, path: Path, *, driver: str, **options: Any) -> None:
    """Write with GDAL, and see that every row arrived."""
    # Named, so that an empty selection still makes a polygon layer; promoted together or not at all.
    is_mixed = gdf.geom_type.eq("MultiPolygon").any()
    pyogrio.write_dataframe(
        gdf,
        path,
        driver=driver,
        geometry_type="MultiPolygon" if is_mixed and driver != "GeoJSON" else "Polygon" if not is_mixed else None,
        promote_to_multi=bool(is_mixed) and driver != "GeoJSON",
        **options,
    )
    # GDAL reports some write errors as warnings only, such as a disk that fills up as the file is closed.
    written = pyogrio.read_info(path, force_feature_count=True)["features"]
    if written != len(gdf):
        raise OSError(f"only {written} of {len(gdf)} rows arrived")


def ogr_read(path: Path, *, metadata: Any = None, **options: Any) -> gpd.GeoDataFrame:
    """Read with GDAL; the metadata are those given, or else the layer's own."""
    layer = options.get("layer")
    gdf = gpd.GeoDataFrame(pyogrio.read_dataframe(path, **options))
    if metadata is None:
        items = pyogrio.read_info(path, layer=layer)["layer_metadata"] or {}
        metadata = load_metadata(items.get(METADATA_KEY))
    if metadata:
        gdf.attrs[METADATA_KEY] = metadata
    return gdf


def _as_items(gdf: gpd.GeoDataFrame) -> dict[str, str] | None:
    metadata = layer_metadata(gdf)
    return {METADATA_KEY: dump_metadata(metadata)} if metadata else None
