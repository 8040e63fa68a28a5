"""Time series: many dates of one place in, one captioned layer of chosen pairs out, each date encoded once."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING, Any, Literal

from geocc.captioning import check_options
from geocc.errors import InputError
from geocc.inference.execution import CaptionerInfo, CaptionerSpec, RunSettings

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Sequence

    import geopandas as gpd
    import torch
    from odc.geo.geobox import GeoBox

    from geocc.inference.batching import OnError
    from geocc.inference.captioner import Captioner
    from geocc.inference.series_run import Pairs
    from geocc.scene import TilePlan
    from geocc.scene.series import SceneSeries
    from geocc.table import TileResult

__all__ = ["caption_series"]


def caption_series(
    ds: Any,
    *,
    pairs: Literal["consecutive", "first"] | Iterable[tuple[int, int]] = "consecutive",
    dates: Sequence[Any] | None = None,
    model: str | os.PathLike[str] | Captioner = "geocc-mini",
    bands: Any = None,
    tile_size: int = 256,
    stride: int | None = None,
    roi: Any = None,
    sampler: Any = None,
    align: Literal["error", "t1"] | GeoBox = "error",
    resampling: str = "bilinear",
    scale: Any = "auto",
    nodata: float | None = None,
    min_valid_fraction: float = 0.5,
    prompt: str | None = None,
    max_new_tokens: int = 64,
    batch_size: int | Literal["auto"] = "auto",
    device: str | torch.device | None = None,
    dtype: str | torch.dtype = "auto",
    skip_unchanged: float | None = None,
    on_error: OnError = "record",
    output: str | os.PathLike[str] | None = None,
    progress: bool | Callable[[int, int], None] = True,
) -> gpd.GeoDataFrame:
    """Say in words what changed between the dates of a series, tile by tile and pair by pair.

    All pairs of a tile are captioned before the next tile, so that the vision tower looks at each date of a tile once and
    memory does not grow with the scene. Captioners that can only look at pairs are given pairs. The captions are those of
    `caption_changes` for each pair on the same grid and with the same `scale`, but for rounding below float32.

    A run that ends too early leaves nothing behind: there is no journal for series.

    Args:
        ds: An `xarray.DataArray` or `xarray.Dataset` with a time dimension, or two or more rasters or paths, the earliest
            first.
        pairs: `"consecutive"` captions each date against the one before; `"first"` each against the first; or positions
            of the earlier and the later date, as in `[(0, 3), (3, 5)]`.
        dates: When each date was taken, where the rasters do not say so themselves.
        model: See `caption_changes`, as for all arguments that are not told here.
        bands: Names or 1-based numbers of the red, green and blue bands, the same for all dates.
        tile_size: Side of a tile in pixels of the common grid.
        stride: Step between tiles in pixels.
        roi: Region of interest.
        sampler: A TorchGeo `GeoSampler`.
        align: `"error"` refuses grids that differ; `"t1"` warps all dates onto the grid of the first; a `GeoBox` warps all.
            The grid is then cropped to the ground that all dates cover.
        resampling: How warping interpolates.
        scale: How values become uint8, one stretch for all dates. For values beyond uint8, `"auto"` finds it from all
            dates: the stretch of a single pair may be another.
        nodata: Value that marks missing pixels.
        min_valid_fraction: Tiles with a smaller share of pixels valid in both dates of a pair become `skipped_nodata`.
        prompt: The question put to the model.
        max_new_tokens: Longest caption in tokens.
        batch_size: Pairs per call of the model, or `"auto"`.
        device: Torch device.
        dtype: Torch dtype or its name.
        skip_unchanged: Spares the language model below this change probability.
        on_error: `"record"` or `"raise"`.
        output: File to write the layer to as well.
        progress: True for a bar, or a function called with `(captions done, captions in all)`.

    Returns:
        One row for every planned tile of every pair, pair after pair, with the columns of `caption_changes`: `t1` and `t2`
        tell the pair, and `tile_id` ends in the positions of its dates, as `_d0_d1`. `row` and `col` are the same for all
        pairs of a tile.

    Raises:
        InputError: An argument cannot be used, or the dates are not known or not in order.
        GeoccError: As `caption_changes`.

    Examples:
        >>> import geocc
        >>> first, second = geocc.data.synthetic.make_scene(7, size_px=512).to_xarray()
        >>> changes = geocc.caption_series([first, second], dates=["2009", "2020"], progress=False)
        >>> changes["tile_id"].iloc[0]
        'r000000_c000000_d0_d1'
    """
    from geocc.scene import plan_tiles
    from geocc.scene.series import open_series
    from geocc.table import check_writable, write_layer

    check_options(min_valid_fraction=min_valid_fraction, on_error=on_error, skip_unchanged=skip_unchanged)
    options = {"prompt": prompt, "max_new_tokens": max_new_tokens, "device": device, "dtype": dtype}
    spec = CaptionerSpec(model, options | {"skip_unchanged": skip_unchanged})
    settings = RunSettings(batch_size=batch_size, min_valid_fraction=min_valid_fraction, on_error=on_error)
    if output is not None:
        check_writable(output)
    series = open_series(ds, dates=dates, bands=bands, align=align, resampling=resampling, scale=scale, nodata=nodata)
    chosen = _choose(pairs, len(series))
    plan = plan_tiles(series.pair(0, 1), tile_size=tile_size, stride=stride, roi=roi, sampler=sampler)
    if output is not None:
        check_writable(output, rows=len(plan) * len(chosen))
    captioner = spec.load()
    results = _collect(series, plan, chosen, captioner, settings, progress=progress)
    layer = _layer(series, plan, chosen, results)
    layer.attrs["geocc"] |= _metadata(series, plan, chosen, captioner, {"min_valid_fraction": min_valid_fraction})
    if output is not None:
        write_layer(layer, output)
    return layer


def _choose(pairs: Any, count: int) -> Pairs:
    """The pairs as positions of dates."""
    if pairs == "consecutive":
        return tuple((i, i + 1) for i in range(count - 1))
    if pairs == "first":
        return tuple((0, i) for i in range(1, count))
    remedy = f'expected "consecutive", "first", or positions of the earlier and later date from 0 to {count - 1}, as [(0, 1)]'
    try:
        chosen = tuple((first, second) for first, second in ([] if isinstance(pairs, str) else pairs))
    except (TypeError, ValueError) as error:
        raise InputError(f"pairs is {pairs!r}; {remedy}.") from error
    whole = all(isinstance(i, Integral) and isinstance(j, Integral) for i, j in chosen)
    fit = whole and all(0 <= i < j < count for i, j in chosen)
    if not chosen or not fit or len(set(chosen)) < len(chosen):
        raise InputError(f"pairs is {pairs!r}; {remedy}, each pair once.")
    return tuple((int(first), int(second)) for first, second in chosen)


def _collect(
    series: SceneSeries,
    plan: TilePlan,
    pairs: Pairs,
    captioner: Captioner,
    settings: RunSettings,
    *,
    progress: bool | Callable[[int, int], None],
) -> list[list[TileResult]]:
    """The results of each pair."""
    from tqdm.auto import tqdm

    from geocc.inference.series_run import caption_pairs

    results: list[list[TileResult]] = [[] for _ in pairs]
    done, total = 0, len(plan) * len(pairs)
    bar = tqdm(total=total, unit="tile", desc="captioning", disable=progress is not True)
    with bar, closing(caption_pairs(series, plan, pairs, captioner, settings)) as batches:
        for batch in batches:
            for number, result in batch:
                results[number].append(result)
                done += 1
                if callable(progress):
                    progress(done, total)
            bar.update(len(batch))
    return results


@dataclass(frozen=True)
class _PairPlan:
    """The plan of a scene under the names that its tiles have in one pair."""

    plan: TilePlan
    tile_ids: list[str]

    @property
    def geobox(self) -> GeoBox:
        return self.plan.geobox

    @property
    def row(self) -> Any:
        return self.plan.row

    @property
    def col(self) -> Any:
        return self.plan.col

    def footprints(self) -> gpd.GeoSeries:
        return self.plan.footprints()


def _layer(series: SceneSeries, plan: TilePlan, pairs: Pairs, results: list[list[TileResult]]) -> gpd.GeoDataFrame:
    import pandas as pd

    from geocc.inference.series_run import pair_tile_id
    from geocc.table import build_layer

    parts = []
    for (first, second), found in zip(pairs, results, strict=True):
        names = [pair_tile_id(tile_id, first, second) for tile_id in plan.tile_ids.tolist()]
        part = build_layer(_PairPlan(plan, names), found, t1=series.dates[first], t2=series.dates[second])
        parts.append(part)
    layer: gpd.GeoDataFrame = pd.concat(parts, ignore_index=True)
    layer.attrs = parts[0].attrs
    return layer


def _metadata(
    series: SceneSeries, plan: TilePlan, pairs: Pairs, captioner: Captioner, parameters: dict[str, Any]
) -> dict[str, Any]:
    from geocc._versions import versions
    from geocc.table.metadata import json_safe

    told = {
        "captioner": CaptionerInfo.of(captioner).to_metadata(),
        "series": series.describe() | {"pairs": [list(pair) for pair in pairs]},
        "plan": plan.summary(),
        "parameters": parameters,
        "versions": versions(),
    }
    safe: dict[str, Any] = json_safe(told)
    return safe
