"""GeoPackage, FlatGeobuf and GeoJSON, through GDAL."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import geopandas as gpd
import pyogrio
import shapely
import shapely.affinity

from .metadata import METADATA_KEY, dump_metadata, layer_metadata, load_metadata
from .schema import COLUMNS

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "read_flatgeobuf",
    "read_geojson",
    "read_geopackage",
    "write_flatgeobuf",
    "write_geojson",
    "write_geopackage",
]


def write_geopackage(gdf: gpd.GeoDataFrame, path: Path, *, layer: str, csv_safe: bool) -> None:
    """Write a GeoPackage of one layer, the metadata in its metadata tables."""
    del csv_safe
    # Version 1.3: what it lacks of 1.4 is not used here, and older programs open it without a warning.
    _write(gdf, path, driver="GPKG", layer=layer, layer_metadata=_as_items(gdf), VERSION="1.3")


def write_flatgeobuf(gdf: gpd.GeoDataFrame, path: Path, *, layer: str, csv_safe: bool) -> None:
    """Write a FlatGeobuf, the metadata in its header. Its spatial index orders the features."""
    del csv_safe
    _write(gdf, path, driver="FlatGeobuf", layer=layer, layer_metadata=_as_items(gdf))


def write_geojson(gdf: gpd.GeoDataFrame, path: Path, *, layer: str, csv_safe: bool) -> None:
    """Write GeoJSON as RFC 7946 wants it, the metadata as the foreign member ``geocc``.

    Coordinates are WGS 84 longitude and latitude to seven decimals, about a centimetre. A footprint that crosses the
    antimeridian is cut there into two parts.
    """
    del csv_safe
    metadata = layer_metadata(gdf)
    members = {"NATIVE_DATA": json.dumps({METADATA_KEY: metadata}), "NATIVE_MEDIA_TYPE": "application/vnd.geo+json"}
    _write(
        _within_180_degrees(gdf) if gdf.crs.is_geographic else gdf,
        path,
        driver="GeoJSON",
        layer=layer,
        RFC7946="YES",
        # A caption that happens to be JSON stays the text it is.
        AUTODETECT_JSON_STRINGS="NO",
        **(members if metadata else {}),
    )


def read_geopackage(path: Path) -> gpd.GeoDataFrame:
    """Read the one layer of change captions in a GeoPackage."""
    layers = [name for name, geometry in pyogrio.list_layers(path) if geometry is not None]
    if len(layers) != 1:
        raise ValueError(f"it holds the layers {layers}, expected one: geopandas.read_file(path, layer=...)")
    return _read(path, layer=layers[0])


def read_flatgeobuf(path: Path) -> gpd.GeoDataFrame:
    """Read a FlatGeobuf, its features brought back to the order of rows and columns."""
    return _read(path).sort_values(["row", "col", "tile_id"], kind="stable", ignore_index=True)


def read_geojson(path: Path) -> gpd.GeoDataFrame:
    """Read GeoJSON, texts that look like dates staying texts."""
    with path.open(encoding="utf-8") as file:
        collection = json.load(file)
    if not isinstance(collection, dict) or "features" not in collection:
        raise ValueError("it is not a FeatureCollection")
    gdf = _read(path, metadata=collection.get(METADATA_KEY, {}), DATE_AS_STRING="YES")
    # Without a feature, GeoJSON has no way to say what the columns were.
    return gdf if collection["features"] else gdf.reindex(columns=COLUMNS)


def _write(gdf: gpd.GeoDataFrame, path: Path, *, driver: str, **options: Any) -> None:
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


def _read(path: Path, *, metadata: Any = None, **options: Any) -> gpd.GeoDataFrame:
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


def _within_180_degrees(gdf: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Bring the parts of a geographic layer beyond 180 degrees, which GDAL leaves where they are, to the other side."""
    bounds = gdf.bounds
    beyond = (bounds["minx"] < -180) | (bounds["maxx"] > 180)
    if not beyond.any():
        return gdf
    wrapped = gdf.copy()
    wrapped.loc[beyond, "geometry"] = [_wrap(footprint) for footprint in gdf.geometry[beyond]]
    return wrapped


def _wrap(footprint: Any) -> Any:
    parts = [
        shapely.affinity.translate(footprint.intersection(shapely.box(west, -90, west + 360, 90)), xoff=-180 - west)
        for west in (-540, -180, 180)
    ]
    return shapely.unary_union([part for part in parts if part.area > 0])
