"""The two real series of geocc-mini: what it is trained on, what is held out, and how water and vegetation are told."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations
from typing import TYPE_CHECKING

import rioxarray

from geocc.data.own_region import Indices

if TYPE_CHECKING:
    from pathlib import Path

    import xarray as xr

__all__ = ["EAST_MARGIN_PX", "SERIES", "Series"]

EAST_MARGIN_PX = 4
"""Columns between what is trained on and what is held out: grids differ by up to a pixel between years, and warping mixes neighbours."""

_NAIP = "naip/m_4709963_se_14_1_{}.tif"


@dataclass(frozen=True, slots=True)
class Series:
    """Dates of one place.

    Attributes:
        name: Its name.
        files: File of each year, below the data folder.
        trained: Years whose western two thirds are trained on; the others, and the eastern third of all, are held out.
        gsd_m: Side of a pixel in metres.
        indices: How water and vegetation are told.
        overlap: Share of a training tile's side by which it overlaps the next.
        same_class_is_same: Whether ground that is surely of one class at both dates did not change. Fields are, which bear
            another crop each year; forest that became pasture is not.
        doubt: Share of an unchanged tile of two dates in which an index may differ more than light alone makes it.
        bands: Bands of the pictures, as a model sees them: natural colours of NAIP; SWIR, NIR and red of Landsat.
    """

    name: str
    files: dict[int, str]
    trained: tuple[int, ...]
    gsd_m: float
    indices: Indices
    overlap: float
    same_class_is_same: bool
    doubt: float
    bands: tuple[int, int, int] = (1, 2, 3)

    def open(self, data: Path, year: int) -> xr.DataArray:
        """Return the whole raster of a year."""
        return rioxarray.open_rasterio(data / self.files[year])  # type: ignore[return-value]  # one variable: no list

    def west(self, data: Path, year: int) -> xr.DataArray:
        """Return the western two thirds of a year, in memory."""
        if year not in self.trained:
            raise ValueError(f"{self.name} {year} is held out of training; expected one of {self.trained}.")
        raster = self.open(data, year)
        return raster.isel(x=slice(0, self.first_held_out_column(raster.sizes["x"]))).load()

    @staticmethod
    def first_held_out_column(width: int) -> int:
        """Return the column from which a raster of that width is held out."""
        return width * 2 // 3

    def pairs(self) -> list[tuple[int, int]]:
        """Return the pairs of trained years, in both orders of time."""
        return list(permutations(self.trained, 2))


SERIES = (
    Series(
        name="naip",
        files={
            year: _NAIP.format(day)
            for year, day in (
                (2009, 20090818), (2010, 20100629), (2012, 20120731), (2014, 20140720), (2018, 20180716), (2020, 20200831)
            )
        },
        trained=(2009, 2010, 2012, 2014),
        gsd_m=5.0,
        indices=Indices(green=2, nir=4, red=1, water=(0.1, 0.35), vegetation=(0.0, 0.25)),
        overlap=0.5,
        same_class_is_same=True,
        # A meadow that is greener this year is a meadow.
        doubt=0.3,
    ),
    Series(
        name="landsat",
        files={year: f"landsat/{year}.tif" for year in (1985, 1990, 2000, 2010, 2020)},
        trained=(1985, 1990, 2000),
        gsd_m=30.0,
        # NDWI takes the muddy river for ground; MNDWI does not.
        indices=Indices(green=4, nir=2, red=3, swir=1, water=(0.0, 0.3), vegetation=(0.3, 0.55)),
        overlap=0.5,
        same_class_is_same=False,
        # Clearings in the forest are as green to NDVI, and not to the eye.
        doubt=0.05,
    ),
)  # fmt: skip
