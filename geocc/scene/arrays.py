"""An xarray object as a source: DataArrays with a band dimension, Datasets with one variable per band, lazily."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import rioxarray  # noqa: F401 - registers the `rio` accessor
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox

from geocc.errors import BandError, InputError, MissingCRSError, ReadError
from geocc.scene.bands import Band, BandTriple, pick_bands
from geocc.scene.blocks import BlockGrid
from geocc.scene.grid import Flip, crs_of, upright
from geocc.scene.labels import parse_label
from geocc.scene.privacy import mask_secrets
from geocc.scene.source import Planes, valid_pixels

if TYPE_CHECKING:
    from collections.abc import Hashable

    from numpy.typing import NDArray

    from geocc.scene.window import PixelWindow

__all__ = ["ArraySource", "open_array"]

_X_NAMES = ("x", "lon", "longitude", "easting")
_Y_NAMES = ("y", "lat", "latitude", "northing")
_TIME_NAMES = ("time", "t", "date", "datetime")
_EVEN = 1e-2  # pixels by which a coordinate may stray from even spacing: float32 coordinates stray this far


@dataclass(frozen=True, slots=True)
class _Axes:
    """Names of the spatial dimensions."""

    y: Hashable
    x: Hashable


@dataclass(frozen=True, eq=False)
class ArraySource:
    """Three bands of an xarray object; see `geocc.scene.source.Source` for the attributes.

    Attributes:
        layers: One array `(band, y, x)` that holds all bands, or three arrays `(y, x)`, in any order of dimensions.
        positions: Positions of red, green and blue along the band dimension of a single layer.
        band_dim: Name of that dimension, None for three layers.
    """

    date: str
    name: str
    geobox: GeoBox
    dtype: np.dtype[Any]
    bands: tuple[str, ...]
    nodata: tuple[float | None, ...]
    label: pd.Timestamp | None
    layers: tuple[xr.DataArray, ...] = field(repr=False)
    positions: tuple[int, int, int]
    band_dim: Hashable | None
    axes: _Axes
    flip: Flip

    @cached_property
    def blocks(self) -> BlockGrid | None:
        """The chunks of the array on the upright grid, None for one in memory and for one that does not tell."""
        rows, cols = (_chunk_edges(self.layers[0], dim) for dim in (self.axes.y, self.axes.x))
        if rows is None or cols is None:
            return None
        return BlockGrid(rows, cols).flipped(rows=self.flip.rows, cols=self.flip.cols)

    def read(self, window: PixelWindow) -> Planes:
        """Read one window, computing no more than it needs; raises ReadError, which names date, array and window."""
        stored = self.flip.stored(window, self.geobox)
        under = {self.axes.y: stored.rows, self.axes.x: stored.cols}
        try:
            values = self._load(under)
        except (OSError, RuntimeError) as error:
            raise ReadError(
                f"{self.date} ({self.name}) cannot be read at {window}: {mask_secrets(str(error))}. "
                "Check the files behind the array."
            ) from error
        return Planes(self.flip.turn(values), self.flip.turn(valid_pixels(values, self.nodata)))

    def _load(self, under: dict[Hashable, slice]) -> NDArray[Any]:
        if self.band_dim is None:
            parts = [layer.variable.isel(under).transpose(self.axes.y, self.axes.x) for layer in self.layers]
            # One compute for all, so that chunks which the bands share are made once.
            loaded = xr.Dataset({str(i): part for i, part in enumerate(parts)}).compute()
            return np.stack([loaded[str(i)].to_numpy() for i in range(len(parts))])
        distinct = sorted(set(self.positions))
        part = self.layers[0].variable.isel({**under, self.band_dim: distinct})
        values = part.transpose(self.band_dim, self.axes.y, self.axes.x).to_numpy()
        return values if distinct == list(self.positions) else values[[distinct.index(i) for i in self.positions]]


def _chunk_edges(layer: xr.DataArray, dim: Hashable) -> NDArray[np.int64] | None:
    """Where the chunks along a dimension begin and end."""
    if dim in layer.chunksizes:
        return np.cumsum([0, *layer.chunksizes[dim]], dtype=np.int64)
    size, chunk = layer.sizes[dim], layer.encoding.get("preferred_chunks", {}).get(dim)
    if layer.variable._in_memory or not isinstance(chunk, int):  # noqa: SLF001 - reading `.data` to see would load it
        return None
    return np.append(np.arange(0, size, chunk), size)


def open_array(
    data: xr.DataArray | xr.Dataset,
    *,
    date: str,
    bands: BandTriple | None,
    nodata: float | None,
    name: str | None = None,
) -> ArraySource:
    """Take an xarray object as one date of a pair, computing nothing.

    Args:
        data: Bands along a dimension of a DataArray, or one variable per band of a Dataset. The spatial dimensions are
            called y and x, lat and lon or latitude and longitude, in any order and direction.
        date: ``"t1"`` or ``"t2"``.
        bands: See `geocc.scene.bands.pick_bands`.
        nodata: Takes the place of the array's own nodata value, None keeps that.
        name: What to call it in messages; default, its type and own name.

    Raises:
        MissingCRSError: It has no CRS.
        InputError: Its dimensions or coordinates are not those of one raster.
        BandError: It lacks a band.
    """
    name = name or _name(data)
    where = f"{date} ({name})"
    layers = _layers(data, where)
    axes = _axes(layers[0], where)
    flat = [_squeezed(layer, axes, where) for layer in layers]
    band_dim = _band_dim(flat, axes, where)
    geobox, flip = upright(_geobox(flat[0], axes, where))
    available = _available(flat, band_dim)
    positions = pick_bands(available, wanted=bands, where=where)
    chosen = tuple(flat) if band_dim is not None else tuple(flat[i] for i in positions)
    owners = chosen * 3 if band_dim is not None else chosen
    return ArraySource(
        date=date,
        name=name,
        geobox=geobox,
        dtype=np.result_type(*(layer.dtype for layer in chosen)),
        bands=tuple((available[i].names or (str(i + 1),))[0] for i in positions),
        nodata=tuple(nodata if nodata is not None else _nodata(layer) for layer in owners[:3]),
        label=_label(data),
        layers=chosen,
        positions=positions,
        band_dim=band_dim,
        axes=axes,
        flip=flip,
    )


def _name(data: xr.DataArray | xr.Dataset) -> str:
    own = getattr(data, "name", None)
    return mask_secrets(f"{type(data).__name__} {own!r}" if own else type(data).__name__)


def _layers(data: xr.DataArray | xr.Dataset, where: str) -> list[xr.DataArray]:
    """The array itself, or the variables of a Dataset that have two spatial dimensions."""
    if isinstance(data, xr.DataArray):
        return [data]
    # Opened without decode_coords="all", the variable that holds the CRS is no coordinate, and each band loses it.
    loose = [name for name, array in data.data_vars.items() if {"crs_wkt", "spatial_ref"} & set(array.attrs)]
    layers = [array for array in data.set_coords(loose).data_vars.values() if _find_axes(array) is not None]
    if not layers:
        raise BandError(f"{where} has no variable with spatial dimensions: its variables are {list(data.data_vars)}.")
    return layers


def _axes(array: xr.DataArray, where: str) -> _Axes:
    axes = _find_axes(array)
    if axes is None:
        raise InputError(
            f"{where} has the dimensions {tuple(array.dims)}, none of which are known as spatial. Rename them, as in "
            '`ds.rename({"rows": "y", "cols": "x"})`, or name them with `ds.rio.set_spatial_dims(x_dim=..., y_dim=...)`.'
        )
    return axes


def _find_axes(array: xr.DataArray) -> _Axes | None:
    x, y = (_dim_called(array, names) for names in (_X_NAMES, _Y_NAMES))
    if x is None or y is None:
        x, y = array.rio._x_dim, array.rio._y_dim  # noqa: SLF001 - the public names raise where these are None
    return _Axes(y=y, x=x) if x in array.dims and y in array.dims else None


def _dim_called(array: xr.DataArray, names: tuple[str, ...]) -> Hashable | None:
    return next((dim for dim in array.dims if str(dim).lower() in names), None)


def _squeezed(array: xr.DataArray, axes: _Axes, where: str) -> xr.DataArray:
    """The array without dimensions of length 1, after making sure that it holds a single time."""
    for dim in array.dims:
        is_time = str(dim).lower() in _TIME_NAMES or (dim in array.coords and array[dim].dtype.kind == "M")
        if is_time and array.sizes[dim] > 1:
            raise InputError(
                f"{where} holds {array.sizes[dim]} times along {dim!r}, and one date of a pair is one time. "
                f"Choose it with `ds.isel({dim}=0)`, or the nearest with `ds.sel({dim}=..., method='nearest')`."
            )
    single = [dim for dim in array.dims if dim not in (axes.y, axes.x) and array.sizes[dim] == 1]
    return array.squeeze(single)


def _band_dim(flat: list[xr.DataArray], axes: _Axes, where: str) -> Hashable | None:
    """The dimension along which the bands lie, None where every layer is one band."""
    others = {dim for layer in flat for dim in layer.dims if dim not in (axes.y, axes.x)}
    if len(others) > 1 or (others and len(flat) > 1):
        raise InputError(
            f"{where} has the dimensions {sorted(map(str, others))} beside the spatial ones, and a raster has one for its "
            "bands at most. Choose along the others, as in `ds.isel(level=0)`, or pass one variable, as in `ds['name']`."
        )
    if any(layer.sizes[axes.y] != flat[0].sizes[axes.y] for layer in flat):
        raise InputError(f"{where} has variables of different sizes. Pass those of one grid, as in `ds[['red', ...]]`.")
    return others.pop() if others else None


def _available(flat: list[xr.DataArray], band_dim: Hashable | None) -> list[Band]:
    if band_dim is None:
        single = flat[0].attrs.get("long_name") if len(flat) == 1 else None
        return [Band(_texts(layer.name, layer.attrs.get("long_name") or single)) for layer in flat]
    array = flat[0]
    count = array.sizes[band_dim]
    keys = array[band_dim].to_numpy().tolist() if band_dim in array.coords else [None] * count
    names = array.attrs.get("long_name")
    names = list(names) if isinstance(names, (tuple, list)) and len(names) == count else [None] * count
    return [Band(_texts(key, name)) for key, name in zip(keys, names, strict=True)]


def _texts(*names: object) -> tuple[str, ...]:
    return tuple(name for name in names if isinstance(name, str) and name)


def _nodata(layer: xr.DataArray) -> float | None:
    value = layer.rio.nodata
    if value is None or np.isnan(value):  # decoded to NaN, which never counts as data; the attribute may tell another
        value = layer.attrs.get("nodata", value)
    return None if value is None else float(value)


def _label(data: xr.DataArray | xr.Dataset) -> pd.Timestamp | None:
    for name in data.coords:
        coord = data.coords[name]
        if str(name).lower() in _TIME_NAMES and coord.size == 1 and coord.dtype.kind == "M":
            return pd.Timestamp(coord.to_numpy().reshape(-1)[0])
    return parse_label(data.attrs.get("ACQUISITIONDATETIME") or data.attrs.get("TIFFTAG_DATETIME"))


def _geobox(array: xr.DataArray, axes: _Axes, where: str) -> GeoBox:
    crs = array.rio.crs
    if crs is None:
        raise MissingCRSError(
            f'{where} has no coordinate reference system. If you know it, write it: `ds.rio.write_crs("EPSG:...")`.'
        )
    shape = (array.sizes[axes.y], array.sizes[axes.x])
    return GeoBox(shape, _affine(array, axes, where), crs_of(crs))


def _affine(array: xr.DataArray, axes: _Axes, where: str) -> Affine:
    """From the coordinates, which follow every slicing; from the stored geotransform where there are none."""
    stored = _stored_affine(array)
    if axes.x not in array.coords or axes.y not in array.coords:
        corner = _affine_of_2d(array, axes)
        affine = _nearly(stored, corner, array, axes) if corner is not None else stored
        if affine is None:
            raise InputError(
                f"{where} has no coordinates along {axes.y!r} and {axes.x!r}, and no geotransform. Open it with "
                "`rioxarray.open_rasterio`, or write one: `ds.rio.write_transform(affine)`."
            )
        return affine
    step_x, step_y = (stored.a, stored.e) if stored is not None else (None, None)
    x_step, left = _even_steps(array[axes.x].to_numpy(), step_x, axes.x, where)
    y_step, top = _even_steps(array[axes.y].to_numpy(), step_y, axes.y, where)
    affine = Affine(x_step, 0.0, left, 0.0, y_step, top)
    if stored is not None and (stored.b or stored.d):
        return (
            GeoBox((1, 1), stored, None) * affine
        ).affine  # odc-geo's way with rotated grids: the coordinates count pixels
    return _nearly(stored, affine, array, axes)


def _stored_affine(array: xr.DataArray) -> Affine | None:
    numbers = (
        str(array.coords[array.rio.grid_mapping].attrs.get("GeoTransform", "")).split() if _has_mapping(array) else []
    )
    return Affine.from_gdal(*map(float, numbers)) if len(numbers) == 6 else None


def _has_mapping(array: xr.DataArray) -> bool:
    return array.rio.grid_mapping in array.coords


def _affine_of_2d(array: xr.DataArray, axes: _Axes) -> Affine | None:
    """The affine behind the two-dimensional coordinates that rioxarray gives to rotated rasters."""
    if "xc" not in array.coords or "yc" not in array.coords or min(array.sizes[axes.y], array.sizes[axes.x]) < 2:
        return None
    xc, yc = (array[name].transpose(axes.y, axes.x) for name in ("xc", "yc"))
    height, width = xc.shape
    (x0, x1, x2), (y0, y1, y2) = ([float(grid[corner]) for corner in ((0, 0), (0, -1), (-1, 0))] for grid in (xc, yc))
    a, d = (x1 - x0) / (width - 1), (y1 - y0) / (width - 1)
    b, e = (x2 - x0) / (height - 1), (y2 - y0) / (height - 1)
    return Affine(a, b, x0 - (a + b) / 2, d, e, y0 - (d + e) / 2)


def _even_steps(values: NDArray[Any], fallback: float | None, dim: Hashable, where: str) -> tuple[float, float]:
    """Step of a coordinate of pixel centres, and the outer edge of its first pixel."""
    values = values.astype(float)
    if len(values) == 1:
        if fallback is None:
            raise InputError(
                f"{where} is one pixel long along {dim!r}, so its coordinate does not tell the pixel size. Write it: "
                "`ds.rio.write_transform(affine)`."
            )
        return fallback, float(values[0]) - fallback / 2
    step = float(values[-1] - values[0]) / (len(values) - 1)
    even = values[0] + step * np.arange(len(values))
    if step == 0 or not np.isfinite(step) or np.abs(values - even).max() > _EVEN * abs(step):
        raise InputError(
            f"{where} has an uneven coordinate {dim!r}, and a raster's pixels are all of one size. Bring it to a regular "
            f"grid first, as in `ds.interp({dim}=np.linspace(...))`."
        )
    return step, float(values[0]) - step / 2


def _nearly(stored: Affine | None, affine: Affine, array: xr.DataArray, axes: _Axes) -> Affine:
    """The stored affine where it says the same as the coordinates, for it was not rounded by taking differences."""
    if stored is None:
        return affine
    grids = [GeoBox((array.sizes[axes.y], array.sizes[axes.x]), candidate, None) for candidate in (affine, stored)]
    ours, theirs = (np.array(one.pix2wld(*one.boundary(2).T)) for one in grids)
    return stored if np.abs(ours - theirs).max() <= _EVEN * abs(affine.determinant) ** 0.5 else affine
