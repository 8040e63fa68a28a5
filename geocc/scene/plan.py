"""The tile plan: where the tiles of a scene lie. Data without pixels, made without reading one."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from functools import cached_property
from numbers import Integral
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from geocc.errors import InputError
from geocc.scene.footprints import window_polygons
from geocc.scene.grid import grid_crs
from geocc.scene.pair import ScenePair
from geocc.scene.plan_file import grid_from_json, grid_to_json, load_columns, save_columns
from geocc.scene.plan_html import estimate, plan_html
from geocc.scene.roi import Region, region_in_pixels, windows_in_region
from geocc.scene.window import PixelWindow

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from geopandas import GeoSeries
    from numpy.typing import NDArray
    from odc.geo.geobox import GeoBox

__all__ = ["MAX_TILES", "TilePlan", "plan_tiles"]

MAX_TILES = 50_000_000
"""Tiles above which a plan is refused rather than left to fill the memory."""

Sampler: TypeAlias = "Iterable[Any] | Callable[[Any], Iterable[Any]]"

_FORMAT = "geocc-tile-plan-1"


@dataclass(frozen=True, eq=False)
class TilePlan:
    """Where the tiles of a scene lie, in reading order. Make it with `plan_tiles`.

    Attributes:
        geobox: The grid of the scene.
        tile_size: Side in pixels to which tiles are padded for a batch; none is larger.
        stride: Pixels from one tile to the next, None where a sampler chose the tiles.
        row: `(N,)` int64, row of each tile's upper-left pixel.
        col: `(N,)` int64, column of each tile's upper-left pixel.
        height: `(N,)` int64, rows of each tile.
        width: `(N,)` int64, columns of each tile.
        left_out: How many tiles of the full cover are not in the plan, by the reason why.
    """

    geobox: GeoBox
    tile_size: int
    stride: int | None
    row: NDArray[np.int64]
    col: NDArray[np.int64]
    height: NDArray[np.int64]
    width: NDArray[np.int64]
    left_out: Mapping[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        """Return the number of tiles."""
        return len(self.row)

    def __iter__(self) -> Iterator[PixelWindow]:
        """Iterate over the tiles' windows."""
        columns = (self.row.tolist(), self.col.tolist(), self.height.tolist(), self.width.tolist())
        return (PixelWindow(*values) for values in zip(*columns, strict=True))

    def __getitem__(self, index: int) -> PixelWindow:
        """The window of one tile."""
        return PixelWindow(int(self.row[index]), int(self.col[index]), int(self.height[index]), int(self.width[index]))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TilePlan):
            return NotImplemented
        mine, theirs = ((plan.geobox, plan.tile_size, plan.stride) for plan in (self, other))
        return mine == theirs and all(map(np.array_equal, self._columns, other._columns))

    __hash__ = None  # type: ignore[assignment]  # it holds arrays

    @property
    def _columns(self) -> tuple[NDArray[np.int64], ...]:
        return self.row, self.col, self.height, self.width

    @cached_property
    def tile_ids(self) -> NDArray[np.str_]:
        """`(N,)` names ``r000256_c000512``, from the upper-left pixel; with ``_h.._w..`` where one pixel starts several."""
        names = self._names(sized=False)
        return self._names(sized=True) if self.stride is None and len(set(names.tolist())) < len(names) else names

    def _names(self, *, sized: bool) -> NDArray[np.str_]:
        columns = {"r{:06d}": self.row, "_c{:06d}": self.col}
        if sized:
            columns |= {"_h{}": self.height, "_w{}": self.width}
        names = np.array([""] * len(self), np.str_)
        for form, values in columns.items():
            # Formatted once per value, of which there are few, and joined by NumPy: seven times as fast for a million.
            distinct, place = np.unique(values, return_inverse=True)
            parts = np.array([form.format(value) for value in distinct.tolist()], np.str_)
            names = np.strings.add(names, parts[place])
        return names

    def take(self, index: NDArray[np.integer[Any]] | NDArray[np.bool_]) -> TilePlan:
        """Some of the tiles, under the names that they have here.

        Args:
            index: Positions of the tiles in the order wanted, or `(N,)` bool.
        """
        row, col, height, width = (column[index] for column in self._columns)
        part = TilePlan(self.geobox, self.tile_size, self.stride, row, col, height, width, self.left_out)
        part.__dict__["tile_ids"] = self.tile_ids[index]  # a name may depend on the tiles that are left out
        return part

    def digest(self) -> str:
        """Sixteen hex digits that change with any tile or the grid."""
        grid = f"{self.geobox.crs} {self.geobox.affine!r} {self.geobox.shape} {self.tile_size} {self.stride}"
        found = hashlib.sha256(grid.encode())
        for column in self._columns:
            found.update(np.ascontiguousarray(column, "<i8").tobytes())
        return found.hexdigest()[:16]

    def footprints(self) -> GeoSeries:
        """The ground of every tile as a GeoSeries of polygons in the CRS of the scene."""
        from geopandas import GeoSeries

        polygons = window_polygons(self.geobox, row=self.row, col=self.col, height=self.height, width=self.width)
        return GeoSeries(polygons, crs=grid_crs(self.geobox).proj)

    def summary(self) -> dict[str, Any]:
        """Count, size and ground of the tiles, as plain JSON values.

        Returns:
            `tiles`; `left_out`, tiles of the full cover that are not planned, by reason; `tile_size`, `stride` in pixels; `tile_ground` (width, height) and `tile_area` of a full tile in `unit`
            of the CRS and its square; `scene_shape` (height, width) in pixels; `crs`.
        """
        affine = self.geobox.affine
        ground = [self.tile_size * float(np.hypot(*side)) for side in ((affine.a, affine.d), (affine.b, affine.e))]
        return {
            "tiles": len(self),
            "left_out": dict(self.left_out),
            "tile_size": self.tile_size,
            "stride": self.stride,
            "tile_ground": ground,
            "tile_area": self.tile_size**2 * abs(affine.determinant),
            "unit": grid_crs(self.geobox).units[0],
            "scene_shape": list(self.geobox.shape.yx),
            "crs": str(self.geobox.crs),
        }

    def estimate(self, *, tiles_per_second: float) -> dict[str, float]:
        """What a run of the plan will take, by arithmetic.

        Args:
            tiles_per_second: How many tiles the model does in a second; `geocc benchmark` measures it.

        Returns:
            `seconds`; `pixel_bytes`, of both dates as the model is given them; `memory_bytes`, of the process beside the
            model, whatever the size of the scene.
        """
        if not tiles_per_second > 0:
            raise InputError(f"tiles_per_second is {tiles_per_second}; expected more than 0.")
        return estimate(self, tiles_per_second=tiles_per_second)

    def _repr_html_(self) -> str:
        return plan_html(self)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the plan as `.npz`; `load` gives an equal one back, under the same names.

        Raises:
            InputError: The suffix is not `.npz`.
            WriteError: The file cannot be written.
        """
        facts = {
            "grid": grid_to_json(self.geobox),
            "tile_size": self.tile_size,
            "stride": self.stride,
            "left_out": dict(self.left_out),
            "sized_names": len(self) > 0 and "_h" in str(self.tile_ids[0]),
        }
        return save_columns(path, self._columns, facts)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> TilePlan:
        """The plan that `save` wrote.

        Raises:
            InputError: There is no such file, or it is not a plan.
        """
        (row, col, height, width), facts = load_columns(path)
        grid, left_out = grid_from_json(facts["grid"]), facts["left_out"]
        plan = cls(grid, facts["tile_size"], facts["stride"], row, col, height, width, left_out)
        plan.__dict__["tile_ids"] = plan._names(sized=facts["sized_names"])
        return plan

    def to_json(self) -> str:
        """The plan as a JSON text; `from_json` gives an equal one back."""
        return json.dumps(
            {
                "format": _FORMAT,
                "grid": grid_to_json(self.geobox),
                "tile_size": self.tile_size,
                "stride": self.stride,
                **{
                    name: values.tolist()
                    for name, values in zip(("row", "col", "height", "width"), self._columns, strict=True)
                },
            }
        )

    @classmethod
    def from_json(cls, text: str) -> TilePlan:
        """The plan that `to_json` wrote.

        Raises:
            InputError: The text is not such a plan.
        """
        try:
            data = json.loads(text)
            if data["format"] != _FORMAT:
                raise InputError(
                    f"The plan's format is {data['format']!r}, and this geocc reads {_FORMAT!r}. Plan anew."
                )
            geobox = grid_from_json(data["grid"])
            columns = [np.array(data[name], dtype=np.int64) for name in ("row", "col", "height", "width")]
            row, col, height, width = columns
            plan = cls(geobox, data["tile_size"], data["stride"], row, col, height, width)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"This is not a tile plan in JSON ({error!r}). Write it with `plan.to_json()`.") from error
        if len({column.shape for column in columns}) != 1 or columns[0].ndim != 1:
            raise InputError("The plan's row, col, height and width differ in length. Write it with `plan.to_json()`.")
        return plan


def plan_tiles(
    scene: ScenePair | GeoBox,
    *,
    tile_size: int = 256,
    stride: int | None = None,
    roi: Region | None = None,
    sampler: Sampler | None = None,
) -> TilePlan:
    """Lay tiles over a scene without reading a pixel of it.

    Without a sampler the tiles cover every pixel. They start at the upper-left pixel and step by `stride`; the last row
    and the last column are pulled back inside, so that no tile leaves the scene and none comes twice. Along an axis of
    `n` pixels there are ``1 if n <= tile_size else ceil((n - tile_size) / stride) + 1`` of them. A scene smaller than a tile
    gets one window of its own size.

        |<-- tile -->|
        +------+-----+------+
        |  0   |  1  |      |       n = 19, tile_size = 12, stride = 7: tiles start at 0 and 7
        +------+-----+------+
               |<-- tile -->|

    Args:
        scene: A pair, or the grid of one.
        tile_size: Side of a tile in pixels; with a sampler, which brings its own sizes, it is not used.
        stride: Pixels from one tile to the next, from 1 to `tile_size`; default `tile_size`, which overlaps only at the
            last row and column.
        roi: Region of interest: only tiles that share area with it are kept. The grid stays anchored at the scene, so the
            same tile has the same id whatever the region. A shapely geometry is taken in the CRS of the scene; a GeoSeries,
            GeoDataFrame or odc-geo Geometry is converted from its own.
        sampler: A TorchGeo `GeoSampler`, or a callable that takes a `geocc.scene.ScenePairDataset` and returns one. Its
            windows keep their own size, are snapped to whole pixels, clipped to the scene, and kept once each.

    Raises:
        InputError: A size is out of range, the region or a sampled window misses the scene, or the grid is rotated, which
            TorchGeo's windows cannot follow.
    """
    geobox = scene.geobox if isinstance(scene, ScenePair) else scene
    if sampler is not None:
        plan = _sampled(scene, sampler)
    else:
        plan = _full_cover(geobox, tile_size, tile_size if stride is None else stride)
    return plan if roi is None else _within(plan, roi)


def _full_cover(geobox: GeoBox, tile_size: int, stride: int) -> TilePlan:
    _check_sizes(tile_size, stride)
    height, width = geobox.shape
    rows, cols = _starts(height, tile_size, stride), _starts(width, tile_size, stride)
    if len(rows) * len(cols) > MAX_TILES:
        raise InputError(
            f"{len(rows) * len(cols):,} tiles are more than the {MAX_TILES:,} that one plan holds. Take a larger stride or "
            "tile_size, or cut the scene into parts with `ds.isel(y=slice(...), x=slice(...))`."
        )
    row, col = (axis.ravel() for axis in np.meshgrid(rows, cols, indexing="ij"))
    return TilePlan(
        geobox,
        int(tile_size),
        int(stride),
        row,
        col,
        np.full_like(row, min(tile_size, height)),
        np.full_like(row, min(tile_size, width)),
    )


def _check_sizes(tile_size: int, stride: int) -> None:
    for name, value in (("tile_size", tile_size), ("stride", stride)):
        if not _is_whole(value) or value < 1:
            raise InputError(f"{name}={value!r} is not a whole number of pixels from 1 on.")
    if stride > tile_size:
        raise InputError(
            f"stride={stride} is larger than tile_size={tile_size}: the tiles would leave gaps. Take 1 to {tile_size}."
        )


def _is_whole(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _starts(size: int, tile: int, stride: int) -> NDArray[np.int64]:
    """First pixel of every tile along one axis."""
    if size <= tile:
        return np.zeros(1, np.int64)
    count = -(-(size - tile) // stride) + 1
    return np.minimum(np.arange(count, dtype=np.int64) * stride, size - tile)


def _within(plan: TilePlan, roi: Region) -> TilePlan:
    region = region_in_pixels(roi, plan.geobox)
    keep = windows_in_region(region, row=plan.row, col=plan.col, height=plan.height, width=plan.width)
    if not keep.any():
        height, width = plan.geobox.shape
        left, top, right, bottom = region.bounds
        raise InputError(
            f"roi= touches no tile: it lies from column {left:.0f} to {right:.0f} and row {top:.0f} to {bottom:.0f} of a scene of "
            f"{width} x {height} pixels. A bare shapely geometry is taken in the CRS of the scene, {plan.geobox.crs}: give a "
            "GeoSeries with its own CRS to have it converted."
        )
    row, col, heights, widths = (column[keep] for column in plan._columns)  # noqa: SLF001
    left_out = {"outside the region of interest": int((~keep).sum())}
    return TilePlan(plan.geobox, plan.tile_size, plan.stride, row, col, heights, widths, left_out)


def _sampled(scene: ScenePair | GeoBox, sampler: Sampler) -> TilePlan:
    from geocc.scene.sampler import sampled_windows

    geobox = scene.geobox if isinstance(scene, ScenePair) else scene
    windows = sampled_windows(scene, sampler)
    tile_size = max(max(window.height, window.width) for window in windows)
    clipped = [window.clipped(height=geobox.shape.y, width=geobox.shape.x) for window in windows]
    table = np.array([(w.row, w.col, w.height, w.width) for w in dict.fromkeys(clipped)], dtype=np.int64)
    row, col, height, width = table.T.copy()
    return TilePlan(geobox, tile_size, None, row, col, height, width)
