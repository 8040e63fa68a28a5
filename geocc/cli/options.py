"""Options that several commands share, and how their text becomes values."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from geocc.errors import BandError, InputError, ReadError, WriteError

if TYPE_CHECKING:
    import geopandas as gpd
    from shapely.geometry.base import BaseGeometry

__all__ = [
    "T1",
    "T2",
    "Align",
    "Bands",
    "BandsT2",
    "MinValidFraction",
    "Nodata",
    "Resampling",
    "Roi",
    "Scale",
    "Stride",
    "TileSize",
    "check_parent",
    "parse_bands",
    "parse_raster",
    "parse_roi",
    "parse_scale",
]

T1 = Annotated[
    str,
    typer.Argument(
        help="Raster of the earlier date: a path or URL, or three with commas: RED,GREEN,BLUE.", metavar="T1"
    ),
]
T2 = Annotated[str, typer.Argument(help="Raster of the later date.", metavar="T2")]
Bands = Annotated[
    str | None,
    typer.Option(help="Red, green and blue by name or 1-based number: 'red,green,blue' or '3,2,1'.", metavar="R,G,B"),
]
BandsT2 = Annotated[
    str | None, typer.Option("--bands-t2", help="The same for T2, where its bands differ.", metavar="R,G,B")
]
TileSize = Annotated[int, typer.Option(help="Side of a tile in pixels.", min=1)]
Stride = Annotated[int | None, typer.Option(help="Step between tiles in pixels. Default: the tile size.", min=1)]
Roi = Annotated[
    str | None,
    typer.Option(
        help="Region of interest: a vector file, or 'xmin,ymin,xmax,ymax' in the scene's CRS.", metavar="FILE|BOX"
    ),
]
Align = Annotated[
    str, typer.Option(help="What to do about grids that differ: 'error', or warp the other date onto 't1' or 't2'.")
]
Resampling = Annotated[str, typer.Option(help="How warping interpolates, by its GDAL name.")]
Scale = Annotated[
    str, typer.Option(help="How values become uint8, for both dates alike: 'auto' or 'low,high'.", metavar="LOW,HIGH")
]
MinValidFraction = Annotated[float, typer.Option(help="Skip tiles with a smaller share of valid pixels.", min=0, max=1)]
Nodata = Annotated[float | None, typer.Option(help="Value that marks missing pixels.")]

#: Formats that hold geometry and nothing that could reach for other files.
ROI_SUFFIXES = (".gpkg", ".geojson", ".json", ".fgb", ".shp", ".parquet")


def check_parent(path: Path | None) -> None:
    """Refuse a file whose folder is not there before the long work begins.

    Raises:
        WriteError: The folder does not exist.
    """
    if path is not None and not path.absolute().parent.is_dir():
        raise WriteError(f"{path} cannot be written: its folder does not exist; make it with: mkdir -p {path.parent}")


def parse_raster(text: str) -> str | list[str]:
    """Turn a raster of the command line into what `caption_changes` takes: `RED,GREEN,BLUE` into a list of three paths."""
    parts = text.split(",")
    return parts if len(parts) == 3 and all(parts) and not Path(text).exists() else text


def parse_bands(bands: str | None, bands_t2: str | None) -> Any:
    """Turn `--bands` and `--bands-t2` into what `caption_changes` takes.

    Raises:
        BandError: Not three names or numbers, or `--bands-t2` alone.
    """
    if bands is None:
        if bands_t2 is not None:
            raise BandError("--bands-t2 was given without --bands; give both: --bands 3,2,1 --bands-t2 4,3,2.")
        return None
    first = _triple("--bands", bands)
    return first if bands_t2 is None else (first, _triple("--bands-t2", bands_t2))


def _triple(option: str, text: str) -> tuple[str | int, ...]:
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != 3 or not all(parts):
        raise BandError(
            f"{option} is {text!r}; expected three names or 1-based numbers, such as 'red,green,blue' or 3,2,1."
        )
    return tuple(int(part) if part.isdecimal() else part for part in parts)


def parse_roi(roi: str | None) -> gpd.GeoDataFrame | BaseGeometry | None:
    """Turn `--roi` into a geometry: a box in the scene's CRS, or the features of a vector file in its own.

    Raises:
        InputError: Neither a box nor a vector file of a known format.
        ReadError: The file cannot be read.
    """
    if roi is None:
        return None
    if re.fullmatch(r"\s*[-+.\deE]+(\s*,\s*[-+.\deE]+){3}\s*", roi):
        return _box(roi)
    path = Path(roi)
    if path.suffix.lower() not in ROI_SUFFIXES:
        raise InputError(
            f"--roi is {roi!r}; expected 'xmin,ymin,xmax,ymax' in the scene's CRS, or a file ending in "
            f"{', '.join(ROI_SUFFIXES)}."
        )
    import geopandas as gpd

    try:
        return gpd.read_parquet(path) if path.suffix.lower() == ".parquet" else gpd.read_file(path)
    except (OSError, ValueError, RuntimeError) as error:  # pyogrio's DataSourceError is a RuntimeError
        raise ReadError(f"the region of interest {path} cannot be read: {error}") from error


def _box(text: str) -> BaseGeometry:
    import shapely

    try:
        xmin, ymin, xmax, ymax = (float(part) for part in text.split(","))
    except ValueError as error:
        raise InputError(f"--roi is {text!r}; expected four numbers: xmin,ymin,xmax,ymax.") from error
    if not (xmin < xmax and ymin < ymax):
        raise InputError(f"--roi is {text!r}; expected xmin < xmax and ymin < ymax.")
    return shapely.box(xmin, ymin, xmax, ymax)


def parse_scale(text: str) -> str | tuple[float, float]:
    """Turn `--scale` into what `caption_changes` takes.

    Raises:
        InputError: Neither `auto` nor two numbers.
    """
    if text == "auto":
        return text
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError as error:
        raise InputError(f"--scale is {text!r}; expected 'auto' or two numbers, such as 0,3000.") from error
    return low, high
