"""NetCDF files and Zarr stores as sources, opened lazily by xarray."""

from __future__ import annotations

from typing import TYPE_CHECKING

import xarray as xr

from geocc.errors import ReadError
from geocc.scene.arrays import ArraySource, open_array
from geocc.scene.privacy import mask_secrets

if TYPE_CHECKING:
    from geocc.scene.bands import BandTriple

__all__ = ["open_with_xarray"]


def open_with_xarray(path: str, *, date: str, bands: BandTriple | None, nodata: float | None) -> ArraySource:
    """Open a NetCDF file or a Zarr store for windowed reading; the arguments are those of `open_array`.

    Raises:
        ReadError: xarray cannot open it.
    """
    name = mask_secrets(path)
    try:
        data = _open(path)
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise ReadError(
            f"{date} ({name}) cannot be opened: {mask_secrets(str(error))}. NetCDF needs `pip install h5netcdf h5py`, Zarr "
            "`pip install zarr`; otherwise open it yourself and pass the xarray.Dataset."
        ) from None  # the cause's own text may hold a signed address
    return open_array(data, date=date, bands=bands, nodata=nodata, name=name)


def _open(path: str) -> xr.Dataset:
    # Without masking, integers stay integers and nodata is compared in their own type. Packed values do need it.
    data = xr.open_dataset(path, decode_coords="all", mask_and_scale=False, cache=False)
    if any({"scale_factor", "add_offset"} & set(array.attrs) for array in data.data_vars.values()):
        data.close()
        data = xr.open_dataset(path, decode_coords="all", cache=False)
    return data
