"""Time series: many dates of one place in, one captioned layer of chosen pairs out, each date encoded once."""

from __future__ import annotations

import functools
from contextlib import closing
from numbers import Integral
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from geocc.captioning import check_options, check_resume, collect, head_gate, open_run_journal
from geocc.errors import InputError
from geocc.inference.execution import CaptionerInfo, CaptionerSpec, RunSettings, as_executor, closing_executor

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Generator, Iterable, Sequence

    import geopandas as gpd
    import torch
    from numpy.typing import NDArray
    from odc.geo.geobox import GeoBox

    from geocc.inference.batching import OnError
    from geocc.inference.captioner import Captioner
    from geocc.inference.gates import Gates
    from geocc.inference.series_run import Pairs
    from geocc.scene import ScenePair, TilePlan
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
    gates: Gates | None = None,
    on_error: OnError = "record",
    output: str | os.PathLike[str] | None = None,
    resume: bool = False,
    executor: Any = None,
    progress: bool | Callable[[int, int], None] = True,
) -> gpd.GeoDataFrame:
    """Say in words what changed between the dates of a series, tile by tile and pair by pair.

    All pairs of a tile are captioned before the next tile, so that the vision tower looks at each date of a tile once and
    memory does not grow with the scene. Captioners that can only look at pairs are given pairs. The captions are those of
    `caption_changes` for each pair on the same grid and with the same `scale`, but for rounding below float32.

    On a cluster, pairs are captioned one after the other: what a worker has encoded would be larger to send than to make
    again, so each date is encoded once per pair there. Captions and layer are the same.

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
        gates: Gates that spare the model tiles without change.
        on_error: `"record"` or `"raise"`.
        output: File to write the layer to as well; while the run goes on, its results lie in a journal beside it.
        resume: Whether to go on with the journal of an unfinished run; whatever pairs are missing of a tile are captioned.
        executor: Where the work is done.
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
    from geocc.inference.series_run import caption_pairs, pair_plan
    from geocc.journal import check_journal
    from geocc.scene import plan_tiles
    from geocc.scene.series import open_series
    from geocc.table import check_writable, write_layer

    check_options(min_valid_fraction=min_valid_fraction, on_error=on_error, skip_unchanged=skip_unchanged)
    skip_unchanged = head_gate(skip_unchanged, gates)
    check_resume(resume=resume, output=output)
    workers = as_executor(executor)
    options = {"prompt": prompt, "max_new_tokens": max_new_tokens, "device": device, "dtype": dtype}
    spec = CaptionerSpec(model, options | {"skip_unchanged": skip_unchanged, "gates": gates})
    settings = RunSettings(batch_size=batch_size, min_valid_fraction=min_valid_fraction, on_error=on_error)
    if output is not None:
        check_writable(output)
        check_journal(output, resume=resume)
    series = open_series(ds, dates=dates, bands=bands, align=align, resampling=resampling, scale=scale, nodata=nodata)
    chosen = _choose(pairs, len(series))
    plan = plan_tiles(series.pair(0, 1), tile_size=tile_size, stride=stride, roi=roi, sampler=sampler)
    if output is not None:
        check_writable(output, rows=len(plan) * len(chosen))
    whole = pair_plan(plan, chosen)
    with closing_executor(workers, given=executor):
        captioner = spec.load() if executor is None else None
        info = workers.describe(spec) if captioner is None else CaptionerInfo.of(captioner)
        parameters = {"min_valid_fraction": min_valid_fraction, "pairs": [list(pair) for pair in chosen]}
        with open_run_journal(output, series, whole, info, parameters, resume=resume) as journal:
            pending = journal.pending()
            batches: Generator[Sequence[TileResult], None, None]
            if captioner is not None:
                batches = caption_pairs(series, plan, chosen, captioner, settings, pending=pending)
            else:
                work = functools.partial(workers.run, spec=spec, settings=settings)
                batches = _pair_by_pair(series, whole, chosen, work, pending=pending)
            collect(batches, journal, total=len(whole), progress=progress)
            layer = _layer(series, whole, chosen, journal.results())
            layer.attrs["geocc"] |= _metadata(series, plan, chosen, info, {"min_valid_fraction": min_valid_fraction})
            if output is not None:
                write_layer(layer, output)
            journal.discard()
    return layer


def _pair_by_pair(
    series: SceneSeries,
    whole: TilePlan,
    pairs: Pairs,
    work: Callable[[ScenePair, TilePlan], Generator[Sequence[TileResult], None, None]],
    *,
    pending: NDArray[np.integer[Any]],
) -> Generator[Sequence[TileResult], None, None]:
    """The pending tiles of one pair after the other, by an executor, which knows of pairs only."""
    tiles = len(whole) // len(pairs)
    for number, (first, second) in enumerate(pairs):
        part = pending[pending // tiles == number]
        if len(part):
            with closing(work(series.pair(first, second), whole.take(part))) as batches:
                yield from batches


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


def _layer(series: SceneSeries, whole: TilePlan, pairs: Pairs, results: Iterable[TileResult]) -> gpd.GeoDataFrame:
    """One layer of the layers of all pairs, which tell each its dates."""
    import pandas as pd

    from geocc.table import build_layer

    tiles = len(whole) // len(pairs)
    pair_of = dict(zip(whole.tile_ids.tolist(), (np.arange(len(whole)) // tiles).tolist(), strict=True))
    found: list[list[TileResult]] = [[] for _ in pairs]
    for result in results:
        found[pair_of[result.tile_id]].append(result)
    parts = []
    for number, (first, second) in enumerate(pairs):
        part = whole.take(np.arange(number * tiles, (number + 1) * tiles))
        parts.append(build_layer(part, found[number], t1=series.dates[first], t2=series.dates[second]))
    layer: gpd.GeoDataFrame = pd.concat(parts, ignore_index=True)
    layer.attrs = parts[0].attrs
    return layer


def _metadata(
    series: SceneSeries, plan: TilePlan, pairs: Pairs, captioner: CaptionerInfo, parameters: dict[str, Any]
) -> dict[str, Any]:
    from geocc._versions import versions
    from geocc.table.metadata import json_safe

    told = {
        "captioner": captioner.to_metadata(),
        "series": series.describe() | {"pairs": [list(pair) for pair in pairs]},
        "plan": plan.summary(),
        "parameters": parameters,
        "versions": versions(),
    }
    safe: dict[str, Any] = json_safe(told)
    return safe
