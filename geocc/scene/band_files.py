"""One date whose bands lie in files of their own, as Sentinel-2's and the assets of most STAC items do."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import numpy as np

from geocc.errors import AlignmentError, BandError
from geocc.scene.alignment import grid_text
from geocc.scene.bands import Band, BandTriple, pick_bands
from geocc.scene.files import FileSource, open_file
from geocc.scene.grid import LatticeShift, grid_crs, lattice_shift, same_crs
from geocc.scene.source import Planes, known_valid, valid_pixels

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from odc.geo.geobox import GeoBox

    from geocc.scene.blocks import BlockGrid
    from geocc.scene.window import PixelWindow

__all__ = ["BandFilesSource", "open_band_files"]


@dataclass(frozen=True, eq=False)
class BandFilesSource:
    """Three files of one band each; see `geocc.scene.source.Source` for the other attributes.

    Attributes:
        files: Red, green and blue; their own nodata values are looked at here, over all three.
    """

    date: str
    name: str
    geobox: GeoBox
    dtype: np.dtype[Any]
    bands: tuple[str, ...]
    nodata: tuple[float | None, ...]
    label: pd.Timestamp | None
    blocks: BlockGrid
    files: tuple[FileSource, ...] = field(repr=False)

    def read(self, window: PixelWindow) -> Planes:
        """Read one window of all three; raises ReadError, which names date, file and window."""
        parts = [file.read(window) for file in self.files]
        values = np.concatenate([part.values[:1] for part in parts])  # noqa: PD011 - an array
        valid = valid_pixels(values, self.nodata)
        for part in parts:
            if not known_valid(part.valid):
                valid = valid & part.valid
        return Planes(values, valid)


def open_band_files(
    paths: Sequence[str | os.PathLike[str]], *, date: str, bands: BandTriple | None, nodata: float | None
) -> BandFilesSource:
    """Open files of one band each as one raster.

    Args:
        paths: Red, green and blue in this order; or more, of which `bands` chooses.
        date: ``"t1"`` or ``"t2"``.
        bands: Numbers from 1 along `paths`, or names: those of the files, of their last part (``B04`` of
            ``T32TQM_20200831_B04.tif``) or of their bands.
        nodata: Takes the place of the files' own nodata values, None keeps those.

    Raises:
        AlignmentError: The files are not on one grid.
        BandError: There are not three files, or one has more than a band.
        GeoccError: As `geocc.scene.files.open_file`.
    """
    texts = [os.fspath(path) for path in paths]
    if len(texts) < 3 or (len(texts) > 3 and bands is None):
        raise BandError(
            f"{date} is a list of {len(texts)} files; expected red, green and blue in this order, as in "
            '["B04.tif", "B03.tif", "B02.tif"], or more with bands=, which says which three.'
        )
    chosen = pick_bands(
        [_named(text) for text in texts], wanted=bands or (1, 2, 3), where=f"{date} ({len(texts)} files)"
    )
    opened = {i: _open_single(texts[i], date=date) for i in dict.fromkeys(chosen)}
    files = [opened[i] for i in chosen]
    _check_one_grid(files)
    first = files[0]
    return BandFilesSource(
        date=date,
        name=", ".join(dict.fromkeys(file.name for file in files)),
        geobox=first.geobox,
        dtype=np.result_type(*(file.dtype for file in files)),
        bands=tuple(_named(texts[i]).names[-1] for i in chosen),
        nodata=tuple(file.nodata[0] if nodata is None else nodata for file in files),
        label=next((file.label for file in files if file.label is not None), None),
        blocks=first.blocks,
        files=tuple(replace(file, nodata=(None, None, None)) for file in files),
    )


def _named(text: str) -> Band:
    stem = PurePath(text.partition("?")[0]).stem
    return Band(names=(stem, stem.rpartition("_")[2]))


def _open_single(text: str, *, date: str) -> FileSource:
    file = open_file(text, date=date, bands=(1, 1, 1), nodata=None)
    count = file.handles.get().count
    if count != 1:
        raise BandError(
            f"{date} ({file.name}) is one of a list of files and has {count} bands; expected one band in each. A file that "
            "holds all bands is passed by itself, without a list."
        )
    return file


def _check_one_grid(files: Sequence[FileSource]) -> None:
    first = files[0].geobox
    for file in files:
        grid = file.geobox
        one = same_crs(grid_crs(grid), grid_crs(first)) and lattice_shift(first, grid) == LatticeShift(0, 0)
        if not one or grid.shape != first.shape:
            lines = "\n".join(f"  {other.name}: {grid_text(other.geobox)}" for other in dict.fromkeys(files))
            raise AlignmentError(
                f"The band files of {files[0].date} are not on one grid:\n{lines}\n"
                "Take bands of one resolution, or bring them to one: `gdalwarp -tr 10 10 IN.tif OUT.tif`."
            )
