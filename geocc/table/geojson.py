"""GeoJSON as RFC 7946 wants it: longitude and latitude, cut at the antimeridian."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import shapely
import shapely.affinity

from .metadata import METADATA_KEY, layer_metadata
from .schema import COLUMNS
from .vector import ogr_read, ogr_write

if TYPE_CHECKING:
    from pathlib import Path

    import geopandas as gpd

__all__ = ["read_geojson", "write_geojson"]

_SIDE_PARTS = 16
_TOLERATED_SAG = 0.002
_SAMPLE_SIZE = 256


def write_geojson(gdf: gpd.GeoDataFrame, path: Path, *, layer: str, csv_safe: bool) -> None:
    """Write GeoJSON as RFC 7946 wants it, the metadata as the foreign member ``geocc``.

    Coordinates are WGS 84 longitude and latitude to seven decimals, about a centimetre. A footprint that crosses the
    antimeridian is cut there into two parts, and one whose straight sides are curves on the globe gets more corners.
    """
    del csv_safe
    metadata = layer_metadata(gdf)
    members = {"NATIVE_DATA": json.dumps({METADATA_KEY: metadata}), "NATIVE_MEDIA_TYPE": "application/vnd.geo+json"}
    ogr_write(
        _within_180_degrees(gdf) if gdf.crs.is_geographic else _following_curves(gdf),
        path,
        driver="GeoJSON",
        layer=layer,
        RFC7946="YES",
        # A caption that happens to be JSON stays the text it is.
        AUTODETECT_JSON_STRINGS="NO",
        **(members if metadata else {}),
    )


def read_geojson(path: Path) -> gpd.GeoDataFrame:
    """Read GeoJSON, texts that look like dates staying texts."""
    with path.open(encoding="utf-8") as file:
        collection = json.load(file)
    if not isinstance(collection, dict) or "features" not in collection:
        raise ValueError("it is not a FeatureCollection")
    gdf = ogr_read(path, metadata=collection.get(METADATA_KEY, {}), DATE_AS_STRING="YES")
    # Without a feature, GeoJSON has no way to say what the columns were.
    return gdf if collection["features"] else gdf.reindex(columns=COLUMNS)


def _following_curves(gdf: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Add corners to the sides of footprints if any side would otherwise miss the ground by a visible part of a tile."""
    if gdf.empty:
        return gdf
    part = shapely.length(gdf.geometry.to_numpy()).max() / 4 / _SIDE_PARTS
    sample = gdf.geometry.iloc[:: max(1, len(gdf) // _SAMPLE_SIZE)]
    coarse, dense = (shapes.to_crs("EPSG:4326").to_numpy() for shapes in (sample, sample.segmentize(part)))
    sag = shapely.hausdorff_distance(coarse, dense)
    if not (sag > _TOLERATED_SAG * shapely.length(coarse)).any():
        return gdf
    return gdf.set_geometry(gdf.geometry.segmentize(part))


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
