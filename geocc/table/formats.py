"""The file formats a layer can have, by suffix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from .checks import FORMAT_NAMES
from .delimited import read_csv, sidecar_path, write_csv
from .geojson import read_geojson, write_geojson
from .geoparquet import read_geoparquet, write_geoparquet
from .vector import read_flatgeobuf, read_geopackage, write_flatgeobuf, write_geopackage

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import geopandas as gpd

__all__ = ["FORMATS", "Format"]


class Writer(Protocol):
    """Writes a layer to a path where nothing is yet."""

    def __call__(self, gdf: gpd.GeoDataFrame, path: Path, /, *, layer: str, csv_safe: bool) -> None:
        """Write; any exception means that the file is of no use."""
        ...


@dataclass(frozen=True, slots=True)
class Format:
    """A file format.

    Attributes:
        name: What it is called in messages.
        write: Writes a layer.
        read: Reads what `write` wrote, up to dtypes.
        companion: Where the file lies that goes with it, for formats that need two.
    """

    name: str
    write: Writer
    read: Callable[[Path], gpd.GeoDataFrame]
    companion: Callable[[Path], Path] | None = None


_GEOPARQUET = Format(FORMAT_NAMES[".parquet"], write_geoparquet, read_geoparquet)
_GEOJSON = Format(FORMAT_NAMES[".geojson"], write_geojson, read_geojson)

FORMATS = {
    ".gpkg": Format(FORMAT_NAMES[".gpkg"], write_geopackage, read_geopackage),
    ".parquet": _GEOPARQUET,
    ".geoparquet": _GEOPARQUET,
    ".fgb": Format(FORMAT_NAMES[".fgb"], write_flatgeobuf, read_flatgeobuf),
    ".geojson": _GEOJSON,
    ".json": _GEOJSON,
    ".csv": Format(FORMAT_NAMES[".csv"], write_csv, read_csv, sidecar_path),
}
"""Every format by the suffix of its files."""
