"""Two dates brought onto one grid, or refused: nothing is ever resampled unasked.

| grids of the two dates                 | align="error"  | "t1" / "t2"             | a GeoBox          |
|----------------------------------------|----------------|-------------------------|-------------------|
| one lattice, whole pixels apart        | cropped        | cropped                 | warped unless on it |
| other CRS, resolution, offset or angle | AlignmentError | the other date is warped | both are warped  |
| no common ground of a pixel            | NoOverlapError | NoOverlapError          | NoOverlapError    |
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from odc.geo.geobox import GeoBox

from geocc.errors import AlignmentError, InputError, MissingCRSError, NoOverlapError
from geocc.scene.grid import crop, grid_crs, ground_in_pixels, lattice_shift, lonlat_extent, same_crs
from geocc.scene.views import ShiftedView, View, WarpedView

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shapely.geometry.base import BaseGeometry

    from geocc.scene.source import Source

__all__ = ["Aligned", "align_sources", "check_align", "grid_difference", "grid_text", "no_overlap", "view_on"]


@dataclass(frozen=True, slots=True)
class Aligned:
    """Both dates on the grid of their common ground."""

    geobox: GeoBox
    t1: View
    t2: View


def check_align(align: str | GeoBox) -> None:
    """Raise InputError unless `align` is "error", "t1", "t2" or a GeoBox with a CRS."""
    if isinstance(align, GeoBox):
        if align.crs is None:
            raise MissingCRSError(
                "The GeoBox given as align= has no CRS. Make it with one: GeoBox(shape, affine, 'EPSG:...')."
            )
    elif align not in ("error", "t1", "t2"):
        raise InputError(f'align={align!r} is not one of "error", "t1", "t2" or an odc.geo.geobox.GeoBox.')


def align_sources(t1: Source, t2: Source, *, align: str | GeoBox, resampling: str) -> Aligned:
    """Put two dates on one grid, cropped to their common ground and reading no pixel.

    The grid is that of t1 under ``"error"`` and ``"t1"``, that of t2 under ``"t2"``, or the given one; it is cropped in
    whole pixels, outwards, to the ground that both dates cover.

    Raises:
        AlignmentError: The grids differ and `align` is ``"error"``.
        NoOverlapError: The dates share less than a pixel of ground.
    """
    reference = align if isinstance(align, GeoBox) else (t2 if align == "t2" else t1).geobox
    ground = ground_in_pixels(t1.geobox, reference) & ground_in_pixels(t2.geobox, reference)
    geobox = crop(reference, ground)
    if geobox is None:
        raise NoOverlapError(no_overlap([t1, t2], align))
    views = [view_on(source, geobox, resampling) for source in (t1, t2)]
    if align == "error" and any(view.is_warped for view in views):
        raise AlignmentError(grid_difference(t1, t2, ground, common=geobox))
    return Aligned(geobox, *views)


def view_on(source: Source, geobox: GeoBox, resampling: str) -> View:
    """A source on a grid, shifted by whole pixels where that is enough, warped where not."""
    if same_crs(grid_crs(source.geobox), grid_crs(geobox)):
        shift = lattice_shift(geobox, source.geobox)
        if shift is not None:
            return ShiftedView(source, row=-shift.rows, col=-shift.cols)
    return WarpedView(source, geobox, resampling)


def no_overlap(sources: Sequence[Source], align: str | GeoBox) -> str:
    """Say where each date lies, and the remedy."""
    lines = [f"  {source.date} ({source.name}): {lonlat_extent(source.geobox)}" for source in sources]
    if isinstance(align, GeoBox):
        lines.append(f"  align= grid: {lonlat_extent(align)}")
    extents = "\n".join(lines)
    return (
        f"The {'two' if len(sources) == 2 else len(sources)} dates share no ground of at least one pixel:\n{extents}\n"
        "Give rasters of one place. If these are, the CRS of one is wrong: check it with `gdalinfo`, and mend it with "
        '`ds.rio.write_crs("EPSG:...")`.'
    )


def grid_difference(t1: Source, t2: Source, ground: BaseGeometry, *, common: GeoBox) -> str:
    """Both grids, what they share, and the remedy."""
    grids = "\n".join(f"  {source.date} ({source.name}): {grid_text(source.geobox)}" for source in (t1, t2))
    t1_share = ground.area / (t1.geobox.shape.x * t1.geobox.shape.y)
    t2_share = ground_in_pixels(t1.geobox, t2.geobox).area / (t2.geobox.shape.x * t2.geobox.shape.y)
    one, other = t1.date, t2.date
    return (
        f"The two dates are not on one grid: {_reason(t1.geobox, t2.geobox)}.\n{grids}\n"
        f"  overlap: {lonlat_extent(common)}; {t1_share:.1%} of {one}, {t2_share:.1%} of {other}\n"
        f'To warp {other} onto the grid of {one} tile by tile, pass align="t1" (command line: --align t1); or bring it there yourself: '
        "ds_t2 = ds_t2.rio.reproject_match(ds_t1)."
    )


def _reason(one: GeoBox, other: GeoBox) -> str:
    if not same_crs(grid_crs(one), grid_crs(other)):
        return "their CRS differ"
    (a1, b1, _, d1, e1, _, *_), (a2, b2, _, d2, e2, _, *_) = one.affine, other.affine
    size = max(abs(a1), abs(b1), abs(d1), abs(e1))
    if max(abs(a1 - a2), abs(b1 - b2), abs(d1 - d2), abs(e1 - e2)) > 1e-6 * size:
        return "their resolutions or orientations differ"
    col, row = one.wld2pix(*other.pix2wld(0.0, 0.0))
    return f"their pixels lie {col - round(col):+.3f} columns and {row - round(row):+.3f} rows beside each other"


def grid_text(geobox: GeoBox) -> str:
    """CRS, resolution, origin and size of a grid, for messages."""
    affine, crs = geobox.affine, grid_crs(geobox)
    height, width = geobox.shape
    rotation = f", rotation terms ({affine.b:.10g}, {affine.d:.10g})" if affine.b or affine.d else ""
    name = f"EPSG:{crs.epsg}" if crs.epsg else crs.proj.name
    return (
        f"CRS {name}, resolution ({affine.a:.10g}, {affine.e:.10g}) {crs.units[0]}{rotation}, "
        f"origin ({affine.c:.10g}, {affine.f:.10g}), {width} x {height} pixels"
    )
