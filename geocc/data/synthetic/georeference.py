"""Synthetic scenes as georeferenced data."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr
from affine import Affine

from geocc.errors import WriteError

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

    from geocc.data.synthetic.scene import SyntheticScene

__all__ = ["changes_frame", "to_geotiffs", "to_xarray", "transform"]

CRS = "EPSG:32633"
"""UTM zone 33 north: metres, as the ground sampling distance is."""


def transform(scene: SyntheticScene) -> Affine:
    """Return the affine from pixel corners to the CRS; every seed lies somewhere else."""
    rng = np.random.default_rng([scene.seed, 11])
    west, north = 400_000 + 10 * int(rng.integers(20_000)), 5_300_000 + 10 * int(rng.integers(60_000))
    return Affine(scene.gsd_m, 0.0, float(west), 0.0, -scene.gsd_m, float(north))


def to_xarray(scene: SyntheticScene) -> tuple[xr.DataArray, xr.DataArray]:
    """Return both dates as `(band, y, x)` uint8 rasters with CRS, transform and a `time` coordinate."""
    import rioxarray  # noqa: F401  # registers the `rio` accessor

    affine = transform(scene)
    height, width = scene.change_mask.shape
    coordinates = {
        "band": np.arange(1, 4),
        "y": affine.f + affine.e * (np.arange(height) + 0.5),
        "x": affine.c + affine.a * (np.arange(width) + 0.5),
    }
    first, second = (
        xr.DataArray(image, dims=("band", "y", "x"), coords={**coordinates, "time": date}, name="image")
        .rio.write_crs(CRS)
        .rio.write_transform(affine)
        for image, date in zip((scene.t1, scene.t2), _dates(scene), strict=True)
    )
    return first, second


def changes_frame(scene: SyntheticScene) -> GeoDataFrame:
    """Return one row per change: `kind`, `category_from`, `category_to`, `area_m2`, and the outline of its pixels."""
    import geopandas as gpd
    from shapely.affinity import affine_transform

    affine = transform(scene)
    coefficients = [affine.a, affine.b, affine.d, affine.e, affine.c, affine.f]
    return gpd.GeoDataFrame(
        {
            "kind": [change.kind for change in scene.changes],
            "category_from": [str(change.category_from) for change in scene.changes],
            "category_to": [str(change.category_to) for change in scene.changes],
            "area_m2": [float(change.mask.sum()) * scene.gsd_m**2 for change in scene.changes],
        },
        geometry=[affine_transform(change.polygon, coefficients) for change in scene.changes],
        crs=CRS,
    )


def to_geotiffs(scene: SyntheticScene, folder: str | Path) -> tuple[Path, Path]:
    """Write `t1.tif` and `t2.tif`, tiled and compressed, into a folder, which is made if need be.

    Raises:
        WriteError: If the folder cannot be written to.
    """
    folder = Path(folder)
    paths = (folder / "t1.tif", folder / "t2.tif")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, raster in zip(paths, to_xarray(scene), strict=True):
            _write(raster, path)
    except OSError as error:
        raise WriteError(f"cannot write the scene into {folder}: {error}; give a folder that can be written") from error
    return paths


def _write(raster: xr.DataArray, path: Path) -> None:
    """Write a raster beside its place, then move it there, so that no half of a file is ever found."""
    unfinished = path.with_name(f".{path.stem}-{os.getpid()}.tif")
    date = f"{raster['time'].dt.strftime('%Y:%m:%d %H:%M:%S').item()}"  # as TIFF writes it
    file = raster.drop_vars("time").assign_attrs(long_name=("red", "green", "blue"))
    layout = {"driver": "GTiff", "tiled": True, "blockxsize": 256, "blockysize": 256, "photometric": "rgb"}
    try:
        file.rio.to_raster(unfinished, compress="deflate", predictor=2, tags={"TIFFTAG_DATETIME": date}, **layout)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _dates(scene: SyntheticScene) -> tuple[pd.Timestamp, pd.Timestamp]:
    """Return two days, some years apart."""
    rng = np.random.default_rng([scene.seed, 13])
    first = pd.Timestamp("2014-03-01") + pd.Timedelta(days=int(rng.integers(600)))
    return first, first + pd.Timedelta(days=int(rng.integers(700, 3000)))
