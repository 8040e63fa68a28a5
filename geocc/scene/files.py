"""A raster file as a source: opened by an allow-list of drivers, read in windows, one handle per thread.

Rasters are untrusted. A VRT is a text that makes GDAL open other files and addresses, and GDAL goes by content, so that
one may be called ``scene.tif``; headers may claim a size that no memory holds. See https://gdal.org/user/security.html.
"""

from __future__ import annotations

import os
import threading
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from odc.geo.geobox import GeoBox
from rasterio.enums import MaskFlags
from rasterio.env import ensure_env_with_credentials, env_ctx_if_needed
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import DatasetReader
from rasterio.windows import Window

from geocc.errors import InputError, MissingCRSError, ReadError
from geocc.scene.bands import Band, BandTriple, pick_bands
from geocc.scene.blocks import BlockGrid
from geocc.scene.grid import Flip, crs_of, upright
from geocc.scene.labels import parse_label
from geocc.scene.privacy import mask_secrets
from geocc.scene.source import Planes, valid_pixels

if TYPE_CHECKING:
    import pandas as pd

    from geocc.scene.window import PixelWindow

__all__ = ["MAX_BLOCK_BYTES", "MAX_PIXELS", "FileSource", "open_file"]

MAX_PIXELS = 10**11
"""Pixels per band above which a file's header is not believed: ten times a 100,000 x 100,000 mosaic."""

MAX_BLOCK_BYTES = 2**30
"""Size of one internal block above which a file is refused: GDAL allocates whole blocks, whatever the window."""

# Formats whose pixels are in the file itself or beside it. Those that fetch from elsewhere (VRT, GTI, WMS, ERS, PCIDSK
# links, HTTP, ...) stay out.
_DRIVERS = ["GTiff", "JP2OpenJPEG", "JP2KAK", "JP2ECW", "HFA", "ENVI", "NITF", "PNG", "JPEG", "WEBP", "GPKG", "MBTiles"]


class _Handles:
    """Open datasets, one per process and thread: GDAL's are safe in neither two threads nor a forked child."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._local = threading.local()

    def get(self) -> Any:
        pid = os.getpid()
        if getattr(self._local, "pid", None) != pid:
            self._local.dataset, self._local.pid = _open(self.path), pid
        return self._local.dataset

    def __reduce__(self) -> tuple[type[_Handles], tuple[str]]:
        return _Handles, (self.path,)


@dataclass(frozen=True, eq=False)
class FileSource:
    """Three bands of a raster file; see `geocc.scene.source.Source` for the attributes.

    Attributes:
        indexes: 1-based numbers of the red, green and blue band.
        has_mask: Whether the file carries an alpha or mask band, which then decides with the values what is valid.
        blocks: The blocks in which the file is stored, on the upright grid.
    """

    date: str
    name: str
    geobox: GeoBox
    dtype: np.dtype[Any]
    bands: tuple[str, ...]
    nodata: tuple[float | None, ...]
    label: pd.Timestamp | None
    indexes: tuple[int, int, int]
    has_mask: bool
    flip: Flip
    blocks: BlockGrid
    handles: _Handles = field(repr=False)

    @property
    def path(self) -> str:
        """The path or address as it was given, secrets and all."""
        return self.handles.path

    def read(self, window: PixelWindow) -> Planes:
        """Read one window; raises ReadError, which names date, file and window."""
        stored = self.flip.stored(window, self.geobox)
        where = Window(stored.col, stored.row, stored.width, stored.height)
        try:
            with env_ctx_if_needed():  # outside of an Env, GDAL writes its remarks to stderr
                dataset = self.handles.get()
                values = self._bands_under(dataset, where)
                mask = dataset.read_masks(self.indexes[0], window=where) > 0 if self.has_mask else None
        except (RasterioError, OSError, ValueError) as error:
            raise ReadError(
                f"{self.date} ({self.name}) cannot be read at {window}: {mask_secrets(_cause(error))}. The file is "
                "damaged or incomplete there: check it with `gdalinfo -checksum`, and fetch it again."
            ) from None  # the cause's own text may hold a signed address
        valid = valid_pixels(values, self.nodata)
        return Planes(self.flip.turn(values), self.flip.turn(valid if mask is None else valid & mask))

    def _bands_under(self, dataset: Any, where: Window) -> Any:
        distinct = sorted(set(self.indexes))
        values = dataset.read(distinct, window=where)
        if distinct == list(self.indexes):
            return values
        return values[[distinct.index(i) for i in self.indexes]]


def open_file(path: str, *, date: str, bands: BandTriple | None, nodata: float | None) -> FileSource:
    """Open a raster file for windowed reading.

    Args:
        path: Path, URL or GDAL ``/vsi`` path of a raster.
        date: ``"t1"`` or ``"t2"``.
        bands: See `geocc.scene.bands.pick_bands`.
        nodata: Takes the place of the file's own nodata values, None keeps those.

    Raises:
        ReadError: The file is missing, of a refused format, or claims an impossible size.
        MissingCRSError: It has no CRS.
        InputError: It has no geotransform.
        BandError: It lacks a band.
    """
    name = mask_secrets(path)
    where = f"{date} ({name})"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)  # said better below
            dataset = _open(path)
    except (RasterioError, OSError, ValueError) as error:
        raise ReadError(_refusal(path, where, error)) from None  # the cause's own text may hold a signed address
    with dataset:
        _check_size(dataset, where)
        geobox, flip = upright(_geobox(dataset, where))
        available = [_band(dataset, index) for index in dataset.indexes]
        indexes = tuple(i + 1 for i in pick_bands(available, wanted=bands, where=where))
        return FileSource(
            date=date,
            name=name,
            geobox=geobox,
            dtype=np.result_type(*(dataset.dtypes[i - 1] for i in indexes)),
            bands=tuple((available[i - 1].names or (str(i),))[0] for i in indexes),
            nodata=tuple(nodata if nodata is not None else dataset.nodatavals[i - 1] for i in indexes),
            label=_label(dataset),
            indexes=(indexes[0], indexes[1], indexes[2]),
            has_mask=MaskFlags.per_dataset in dataset.mask_flag_enums[indexes[0] - 1],
            flip=flip,
            blocks=_blocks(dataset, indexes).flipped(rows=flip.rows, cols=flip.cols),
            handles=_Handles(path),
        )


def _blocks(dataset: Any, indexes: tuple[int, ...]) -> BlockGrid:
    block_height, block_width = (
        max(sides) for sides in zip(*(dataset.block_shapes[i - 1] for i in indexes), strict=True)
    )
    return BlockGrid.regular(
        height=dataset.height, width=dataset.width, block_height=block_height, block_width=block_width
    )


def _open(path: str) -> Any:
    # What rasterio.open does, which takes one driver only. Shared handles are not safe between threads.
    return ensure_env_with_credentials(DatasetReader)(path, driver=_DRIVERS, sharing=False)


def _cause(error: Exception) -> str:
    # rasterio says "See previous exception for details" and keeps GDAL's sentence in the chain.
    return str(error.__cause__ or error).rstrip(".")


def _refusal(path: str, where: str, error: Exception) -> str:
    if _looks_like_vrt(path):
        return (
            f"{where} is a VRT, whatever its name: it can make GDAL read other files and addresses, so geocc does not "
            "open it. Turn one that you trust into a GeoTIFF with `gdal_translate IN.vrt OUT.tif`."
        )
    return (
        f"{where} cannot be opened: {mask_secrets(_cause(error))}. Give the path or URL of a GeoTIFF or of another raster "
        "that holds its own pixels (`gdal_translate IN OUT.tif` makes one), of a NetCDF file or of a Zarr store."
    )


def _looks_like_vrt(path: str) -> bool:
    if path.lstrip().startswith("<VRT") or path.lower().startswith("vrt:"):
        return True
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - `path` may be an address, which Path would mangle
            return b"<VRTDataset" in file.read(4096)
    except (OSError, ValueError):
        return False


def _check_size(dataset: Any, where: str) -> None:
    height, width = dataset.shape
    if height * width > MAX_PIXELS:
        raise ReadError(
            f"{where} claims {width} x {height} pixels, more than the {MAX_PIXELS:.0e} that geocc believes a file's header. "
            "If it is true, open it yourself with `rioxarray.open_rasterio(path, chunks=True)` and pass the array."
        )
    itemsize = max(np.dtype(dtype).itemsize for dtype in dataset.dtypes)
    block = max(rows * cols for rows, cols in dataset.block_shapes) * itemsize * dataset.count
    if block > MAX_BLOCK_BYTES:
        raise ReadError(
            f"{where} is stored in blocks of {block / 2**20:.0f} MiB, each of which has to be read whole. "
            "Tile it first: `gdal_translate -co TILED=YES IN OUT.tif`."
        )


def _geobox(dataset: Any, where: str) -> GeoBox:
    if dataset.transform.is_identity and (dataset.gcps[0] or dataset.rpcs):
        raise InputError(
            f"{where} is placed by ground control points or RPCs, not by a geotransform. Rectify it first: "
            "`gdalwarp IN OUT.tif`."
        )
    if dataset.crs is None:
        raise MissingCRSError(
            f"{where} has no coordinate reference system. If you know it, write it into the file with "
            f"`gdal_edit.py -a_srs EPSG:... FILE`, or open it with `ds = rioxarray.open_rasterio(FILE)` and pass "
            '`ds.rio.write_crs("EPSG:...")`.'
        )
    return GeoBox(dataset.shape, dataset.transform, crs_of(dataset.crs))


def _band(dataset: Any, index: int) -> Band:
    description = dataset.descriptions[index - 1]
    return Band(names=(description,) if description else (), colour=dataset.colorinterp[index - 1].name)


def _label(dataset: Any) -> pd.Timestamp | None:
    tags = {**dataset.tags(ns="IMAGERY"), **dataset.tags()}
    return parse_label(tags.get("ACQUISITIONDATETIME") or tags.get("TIFFTAG_DATETIME"))
