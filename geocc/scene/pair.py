"""Two dates of one place on one grid, read window by window."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeAlias

import numpy as np

from geocc.errors import InputError
from geocc.scene.alignment import align_sources, check_align
from geocc.scene.bands import BandChoice, BandTriple, bands_per_date
from geocc.scene.scaling import Scale, Stretch, choose_stretch
from geocc.scene.source import all_valid, known_valid
from geocc.scene.views import check_resampling
from geocc.scene.window import PixelWindow, Tile

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    import xarray as xr
    from numpy.typing import NDArray
    from odc.geo.geobox import GeoBox

    from geocc.scene.source import Source
    from geocc.scene.views import View

__all__ = ["Raster", "ScenePair", "describe_view", "open_date", "open_pair"]

Raster: TypeAlias = "xr.DataArray | xr.Dataset | str | os.PathLike[str] | Sequence[str | os.PathLike[str]]"

_XARRAY_SUFFIXES = {".nc", ".nc4", ".cdf", ".netcdf", ".h5", ".hdf5", ".zarr"}


@dataclass(frozen=True, eq=False)
class ScenePair:
    """Two dates of one place, three bands each, on one grid. Make it with `open_pair`.

    Nothing is held in memory but what was passed in memory: pixels are read, warped and scaled when a window is asked
    for. Safe to read from several threads, and to send to other processes.

    Attributes:
        geobox: The grid of the common ground: shape, affine and CRS.
        t1: The earlier date on this grid, as stored.
        t2: The later date on this grid, as stored.
        scale: The one stretch that brings both dates to uint8.
        align: How the dates were brought onto one grid.
        resampling: The kernel for a date that is warped.
    """

    geobox: GeoBox
    t1: View = field(repr=False)
    t2: View = field(repr=False)
    scale: Stretch
    align: str | GeoBox
    resampling: str

    @property
    def t1_label(self) -> pd.Timestamp | None:
        """When the earlier date was taken, None where the raster does not say."""
        return self.t1.source.label

    @property
    def t2_label(self) -> pd.Timestamp | None:
        """When the later date was taken, None where the raster does not say."""
        return self.t2.source.label

    @property
    def views(self) -> tuple[View, View]:
        """Both dates on the pair's grid."""
        return self.t1, self.t2

    def with_views(self, views: Sequence[View]) -> Self:
        """The same pair with its dates read in another way."""
        t1, t2 = views
        return replace(self, t1=t1, t2=t2)

    def read(self, window: PixelWindow, *, out: NDArray[np.uint8] | None = None) -> Tile:
        """Read both dates under a window of the grid.

        Args:
            window: May reach over the edge of the grid: what lies outside comes back as invalid zeros.
            out: Memory `(2, 3, h, w)` for the image of a window inside the grid.

        Returns:
            uint8 image `(T=2, C=3, h, w)` and validity `(h, w)`. A pixel is valid where it lies inside both scenes and
            neither date is nodata there; an invalid one is 0 in both.

        Raises:
            ReadError: A date cannot be read there.
        """
        height, width = self.geobox.shape.yx
        inside = window.clipped(height=height, width=width)
        if inside.is_empty:
            shape = (max(window.height, 0), max(window.width, 0))
            return Tile(np.zeros((2, 3, *shape), np.uint8), np.zeros(shape, bool))
        if inside == window:
            return self._read_inside(inside, out)
        tile = self._read_inside(inside, None)
        before = inside.row - window.row, inside.col - window.col
        after = window.height - inside.height - before[0], window.width - inside.width - before[1]
        margins = tuple(zip(before, after, strict=True))
        return Tile(np.pad(tile.image, ((0, 0), (0, 0), *margins)), np.pad(tile.valid, margins))

    def _read_inside(self, window: PixelWindow, out: NDArray[np.uint8] | None) -> Tile:
        dates = [view.read(window) for view in self.views]
        masks = [planes.valid for planes in dates if not known_valid(planes.valid)]
        valid = np.logical_and.reduce(masks) if masks else all_valid((window.height, window.width))
        image = np.empty((2, 3, *valid.shape), np.uint8) if out is None else out
        for picture, planes in zip(image, dates, strict=True):
            self.scale.apply(planes.values, valid, out=picture)
        return Tile(image, valid if masks else np.ones(valid.shape, bool))

    def describe(self) -> dict[str, Any]:
        """What the pair is made of, as plain JSON values without secrets: sources, bands, dates, grid, scale."""
        height, width = self.geobox.shape
        return {
            "t1": describe_view(self.t1),
            "t2": describe_view(self.t2),
            "grid": {"crs": str(self.geobox.crs), "transform": list(self.geobox.affine[:6]), "shape": [height, width]},
            "align": self.align if isinstance(self.align, str) else "geobox",
            "resampling": self.resampling,
            "scale": {"origin": self.scale.origin, "lo": list(self.scale.lo), "hi": list(self.scale.hi)},
        }


def describe_view(view: View) -> dict[str, Any]:
    """What one date is made of, as plain JSON values without secrets."""
    source = view.source
    height, width = source.geobox.shape
    return {
        "source": source.name,
        "date": None if source.label is None else source.label.isoformat(),
        "dtype": str(source.dtype),
        "bands": list(source.bands),
        "nodata": [_json_number(value) for value in source.nodata],
        "crs": str(source.geobox.crs),
        "transform": list(source.geobox.affine[:6]),
        "shape": [height, width],
        "warped": view.is_warped,
    }


def _json_number(value: float | None) -> float | str | None:
    # JSON has no NaN and no infinity.
    return value if value is None or np.isfinite(value) else str(value)


def open_pair(
    ds_t1: Raster,
    ds_t2: Raster,
    *,
    bands: BandChoice | None = None,
    align: str | GeoBox = "error",
    resampling: str = "bilinear",
    scale: Scale = "auto",
    nodata: float | tuple[float | None, float | None] | None = None,
) -> ScenePair:
    """Open two dates of one place and put them on one grid, reading no pixel but a small sample where a stretch is needed.

    Example:
        >>> pair = open_pair("2009.tif", "2020.tif", align="t1")  # doctest: +SKIP
        >>> pair.read(PixelWindow(row=0, col=0, height=256, width=256)).image.shape  # doctest: +SKIP
        (2, 3, 256, 256)

    Args:
        ds_t1: The earlier date: a DataArray, a Dataset with one variable per band, or a path or URL that rasterio or
            (NetCDF, Zarr) xarray opens. Dask-backed arrays stay lazy; files are read in windows only. A list of paths is
            one raster whose red, green and blue lie in files of their own, in this order, on one grid.
        ds_t2: The later date.
        bands: Red, green and blue as three names or numbers counted from 1, or a pair of such triples, one per date.
            Names match band descriptions, coordinates and variable names in any case; red, green and blue also match R,
            G and B, Sentinel-2's B04, B03 and B02, and a file's colour interpretation. Default: the bands so called, or
            else the first three of a raster with three or four bands that names no colour.
        align: ``"error"`` refuses grids that differ by more than whole pixels; ``"t1"`` or ``"t2"`` warps the other date
            onto that grid; a `odc.geo.geobox.GeoBox` warps both. Warping happens per window. The grid is then cropped to
            the common ground.
        resampling: Kernel for the date that is warped: nearest, bilinear, cubic, cubic_spline, lanczos or average.
        scale: How values become uint8. ``"auto"`` takes uint8, and wider types that hold whole numbers from 0 to 255, as
            they are; anything else is stretched by one stretch per band that both dates share, from round numbers around
            the 2nd and 98th percentile of a sample of both. ``(lo, hi)``, or three such pairs for red, green and blue,
            sets it. None takes uint8 only.
        nodata: Value that marks pixels without data, or one per date; default, what each raster declares. NaN and
            infinity never count as data. A pixel is invalid where all three bands hold a value from 0 up, for that may be a
            measurement too, or where any holds a negative one.

    Raises:
        AlignmentError: The grids differ, and `align` is ``"error"``.
        NoOverlapError: The dates share less than a pixel of ground.
        MissingCRSError: A raster does not say where it lies.
        BandError: A band is missing, or it is unclear which are red, green and blue.
        ScaleError: No one stretch fits both dates.
        ReadError: A raster cannot be opened.
        InputError: Another argument cannot be used as given.
    """
    check_align(align)
    check_resampling(resampling)
    band_choices, nodatas = bands_per_date(bands), _per_date(nodata)
    t1 = open_date("t1", ds_t1, band_choices[0], nodatas[0])
    t2 = open_date("t2", ds_t2, band_choices[1], nodatas[1])
    aligned = align_sources(t1, t2, align=align, resampling=resampling)
    stretch = choose_stretch(scale, [aligned.t1, aligned.t2], shape=aligned.geobox.shape.yx)
    return ScenePair(aligned.geobox, aligned.t1, aligned.t2, stretch, align, resampling)


def _per_date(nodata: float | tuple[float | None, float | None] | None) -> tuple[float | None, float | None]:
    if not isinstance(nodata, (tuple, list)):
        return nodata, nodata
    if len(nodata) != 2:
        raise InputError(f"nodata={nodata!r} is neither one value nor one per date, as in nodata=(0, 255).")
    return nodata[0], nodata[1]


def open_date(date: str, data: Raster, bands: BandTriple | None, nodata: float | None) -> Source:
    """A source over whatever was passed, called `date` in messages; heavy packages are imported for the kind that it is."""
    if isinstance(data, (list, tuple)) and all(isinstance(path, (str, os.PathLike)) for path in data):
        from geocc.scene.band_files import open_band_files

        return open_band_files(data, date=date, bands=bands, nodata=nodata)
    if not isinstance(data, (str, os.PathLike)):
        import xarray as xr

        from geocc.scene.arrays import open_array

        if isinstance(data, (xr.DataArray, xr.Dataset)):
            return open_array(data, date=date, bands=bands, nodata=nodata)
        raise InputError(
            f"{date} is a {type(data).__name__}, and should be an xarray.DataArray, an xarray.Dataset, or the path or URL of "
            "a raster. A NumPy array does not say where it lies: open the file with `rioxarray.open_rasterio`."
        )
    path = os.fspath(data)
    if Path(path.rstrip("/")).suffix.lower() in _XARRAY_SUFFIXES:
        from geocc.scene.netcdf import open_with_xarray

        return open_with_xarray(path, date=date, bands=bands, nodata=nodata)
    from geocc.scene.files import open_file

    return open_file(path, date=date, bands=bands, nodata=nodata)
