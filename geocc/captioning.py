"""The main path: two rasters in, a captioned layer out."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any, Literal, get_args

from geocc.errors import InputError
from geocc.inference.batching import OnError
from geocc.inference.execution import CaptionerInfo, CaptionerSpec, RunSettings, as_executor, closing_executor

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Generator, Sequence

    import geopandas as gpd
    import torch
    from odc.geo.geobox import GeoBox

    from geocc.inference.captioner import Captioner
    from geocc.inference.gates import Gates
    from geocc.journal import Journal, MemoryJournal
    from geocc.scene import ScenePair, SceneSeries, TilePlan
    from geocc.table import TileResult

__all__ = [
    "caption_changes",
    "check_options",
    "check_resume",
    "collect",
    "head_gate",
    "open_run_journal",
    "plan_changes",
]


def plan_changes(
    ds_t1: Any,
    ds_t2: Any,
    *,
    bands: Any = None,
    tile_size: int = 256,
    stride: int | None = None,
    roi: Any = None,
    sampler: Any = None,
    align: Literal["error", "t1", "t2"] | GeoBox = "error",
    nodata: float | None = None,
) -> TilePlan:
    """Plan the tiles that `caption_changes` would caption, without reading a pixel or loading a model.

    Args:
        ds_t1: The earlier date; see `caption_changes`, as for all the other arguments.
        ds_t2: The later date.
        bands: Names or 1-based numbers of the red, green and blue bands.
        tile_size: Side of a tile in pixels.
        stride: Step between tiles in pixels, 1 to `tile_size`; `tile_size` when left out.
        roi: Region of interest.
        sampler: A TorchGeo `GeoSampler` in place of the full-cover grid.
        align: What to do about grids that differ.
        nodata: Value that marks missing pixels.

    Returns:
        The plan: one row per tile, with its pixel window, and footprints on request.

    Raises:
        InputError: The rasters or the arguments do not fit together.
    """
    from geocc.scene import open_pair, plan_tiles

    # The stretch does not move a tile; a fixed one spares the plan the sample that "auto" would read.
    pair = open_pair(ds_t1, ds_t2, bands=bands, align=align, scale=(0.0, 1.0), nodata=nodata)
    return plan_tiles(pair, tile_size=tile_size, stride=stride, roi=roi, sampler=sampler)


def caption_changes(
    ds_t1: Any,
    ds_t2: Any,
    *,
    model: str | os.PathLike[str] | Captioner = "geocc-mini",
    bands: Any = None,
    tile_size: int = 256,
    stride: int | None = None,
    roi: Any = None,
    sampler: Any = None,
    align: Literal["error", "t1", "t2"] | GeoBox = "error",
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
    """Say in words what changed between two dates of a place, tile by tile.

    Args:
        ds_t1: The earlier date: an `xarray.DataArray`, an `xarray.Dataset` (bands as variables), or a path or URL that
            rasterio or xarray opens, or a list of three paths, one per band: red, green, blue. Dask-backed arrays stay lazy,
            files are read in windows.
        ds_t2: The later date, likewise.
        model: A name that `geocc models` lists, a checkpoint folder, a hub id, or any `Captioner`.
        bands: Names or 1-based numbers of the red, green and blue bands, or a pair of such triples, one per date. Left
            out: by name or colour interpretation, else the first three.
        tile_size: Side of a tile in pixels of the common grid.
        stride: Step between tiles in pixels, 1 to `tile_size`; `tile_size` when left out.
        roi: Region of interest: a shapely geometry in the scene's CRS, or a GeoSeries, GeoDataFrame or odc-geo Geometry in
            its own. Tiles that meet it are captioned, whole.
        sampler: A TorchGeo `GeoSampler` over `geocc.scene.ScenePairDataset`, in place of the full-cover grid.
        align: `"error"` refuses grids that differ; `"t1"` or `"t2"` warps the other date onto that date's grid, tile by
            tile; an odc-geo `GeoBox` warps both. Nothing is reprojected unasked.
        resampling: How warping interpolates, by its GDAL name: `"nearest"`, `"bilinear"`, `"cubic"`, ...
        scale: How values become uint8: `"auto"` takes uint8 as it is and stretches anything else; `(low, high)`, or
            three such pairs, is used as given. Both dates always share one stretch: one per date would fabricate change.
        nodata: Value that marks missing pixels, where the rasters do not say so themselves.
        min_valid_fraction: Tiles with a smaller share of pixels valid in both dates become `skipped_nodata`; in [0, 1].
        prompt: The question put to the model, with two `<image>` slots; the model's own when left out.
        max_new_tokens: Longest caption in tokens.
        batch_size: Tiles per call of the model, or `"auto"`, which starts from the free memory; shrinks by itself when
            memory runs out.
        device: Torch device; the fastest one present when left out.
        dtype: Torch dtype or its name; `"auto"` takes bfloat16 where the device computes faster in it, else float32.
        skip_unchanged: Tiles whose `change_probability` is below this are not put into words by the language model: they
            become `skipped_unchanged` with the model's no-change sentence. In (0, 1]; needs a model with a change head,
            such as geocc-mini.
        gates: Gates that spare the model tiles without change, `skip_unchanged` among them; see `geocc.inference.Gates`.
        on_error: `"record"` gives a tile that cannot be read or captioned the status `failed` and goes on; `"raise"` ends
            the run.
        output: File to write the layer to as well; see `geocc.write_layer` for the formats. While the run goes on, its
            results lie in a journal beside it.
        resume: Whether to go on with the journal that an unfinished run left beside `output`, if there is one. Refused
            where the rasters, the plan, the model or a parameter are not those of then, with what differs. Tiles that failed
            are tried again.
        executor: Where the work is done: in this process when left out; on a Dask cluster with a `dask.distributed.Client`, the
            address of a scheduler, or ``"local"`` for processes on this machine; else a `geocc.inference.Executor`.
        progress: True for a bar, or a function called with `(tiles done, tiles in all)`.

    Returns:
        One row for every planned tile, in the CRS of the common grid, with the columns `tile_id, row, col, caption, changed,
        change_probability, confidence, status, error, valid_fraction, t1, t2, geometry`. `row` and `col` are the pixel
        offsets of the tile's upper-left corner; `status` is `ok`, `skipped_nodata`, `skipped_unchanged` or `failed`. How
        the layer came about is in `attrs["geocc"]`.

    Raises:
        InputError: An argument cannot be used; its children say what is wrong with bands, CRS, grids or values.
        ReadError: A raster cannot be opened, or, with `on_error="raise"`, read.
        ModelNotFoundError: No such model.
        CheckpointError: The model's weights do not fit or are unsafe.
        CaptionError: With `on_error="raise"`, the captioner failed.
        ClusterError: The Dask cluster cannot be reached, or was lost; what was done is in the journal.
        WriteError: `output` cannot be written; said before the work starts where it can be known. Or an unfinished run has
            left its journal there, and `resume` is False.

    Examples:
        >>> import geocc
        >>> scene = geocc.data.synthetic.make_scene(7, size_px=512)
        >>> changes = geocc.caption_changes(*scene.to_xarray(), progress=False)
        >>> len(changes)
        4
    """
    from geocc.journal import check_journal
    from geocc.scene import open_pair, plan_tiles
    from geocc.table import check_writable

    check_options(min_valid_fraction=min_valid_fraction, on_error=on_error, skip_unchanged=skip_unchanged)
    skip_unchanged = head_gate(skip_unchanged, gates)
    check_resume(resume=resume, output=output)
    workers = as_executor(executor)
    spec = CaptionerSpec(
        model,
        {
            "prompt": prompt,
            "max_new_tokens": max_new_tokens,
            "device": device,
            "dtype": dtype,
            "skip_unchanged": skip_unchanged,
            "gates": gates,
        },
    )
    settings = RunSettings(batch_size=batch_size, min_valid_fraction=min_valid_fraction, on_error=on_error)
    if output is not None:
        check_writable(output)
        check_journal(output, resume=resume)
    pair = open_pair(ds_t1, ds_t2, bands=bands, align=align, resampling=resampling, scale=scale, nodata=nodata)
    plan = plan_tiles(pair, tile_size=tile_size, stride=stride, roi=roi, sampler=sampler)
    if output is not None:
        check_writable(output, rows=len(plan))
    with closing_executor(workers, given=executor):
        captioner = workers.describe(spec)
        parameters = {"min_valid_fraction": min_valid_fraction}
        with open_run_journal(output, pair, plan, captioner, parameters, resume=resume) as journal:
            batches = workers.run(pair, plan.take(journal.pending()), spec, settings)
            collect(batches, journal, total=len(plan), progress=progress)
            from geocc.table import build_layer, write_layer  # pandas can wait until the captions are there

            layer = build_layer(
                plan,
                journal.results(),
                t1=pair.t1_label,
                t2=pair.t2_label,
                metadata=_metadata(pair, plan, captioner, parameters),
            )
            if output is not None:
                write_layer(layer, output)
            journal.discard()
    return layer


def check_options(*, min_valid_fraction: float, on_error: str, skip_unchanged: float | None) -> None:
    """Raise InputError for settings that no run can use."""
    if not 0 <= min_valid_fraction <= 1:
        raise InputError(f"min_valid_fraction is {min_valid_fraction}; expected a share from 0 to 1, for example 0.5.")
    if on_error not in get_args(OnError):
        raise InputError(f"on_error is {on_error!r}; expected 'record' or 'raise'.")
    if skip_unchanged is not None and not 0 < skip_unchanged <= 1:
        raise InputError(f"skip_unchanged is {skip_unchanged}; expected a probability in (0, 1], or None.")


def open_run_journal(
    output: str | os.PathLike[str] | None,
    pair: ScenePair | SceneSeries,
    plan: TilePlan,
    captioner: CaptionerInfo,
    parameters: dict[str, Any],
    *,
    resume: bool,
) -> Journal | MemoryJournal:
    """The journal beside the output, one in memory where there is none."""
    from geocc.journal import MemoryJournal, open_journal, run_fingerprint

    if output is None:
        return MemoryJournal(plan)
    fingerprint = run_fingerprint(pair, plan, captioner.to_metadata(), parameters)
    return open_journal(output, plan=plan, fingerprint=fingerprint, resume=resume)


def head_gate(skip_unchanged: float | None, gates: Gates | None) -> float | None:
    """The gate of the captioner's own head; raises InputError where it is given twice."""
    if gates is None or gates.head is None:
        return skip_unchanged
    if skip_unchanged is not None:
        raise InputError("skip_unchanged and gates.head are one and the same gate; give one of them.")
    return gates.head


def check_resume(*, resume: bool, output: str | os.PathLike[str] | None) -> None:
    """Raise InputError for a run that is to go on without a file beside which a journal could lie."""
    if resume and output is None:
        raise InputError(
            "resume=True goes on with the journal beside `output`, and there is no output; pass output=..."
        )


def collect(
    batches: Generator[Sequence[TileResult], None, None],
    journal: Journal | MemoryJournal,
    *,
    total: int,
    progress: bool | Callable[[int, int], None],
) -> None:
    """Keep every batch as it lands, and say so."""
    from tqdm.auto import tqdm

    done = journal.done
    bar = tqdm(total=total, initial=done, unit="tile", desc="captioning", disable=progress is not True)
    with bar, closing(batches):
        for batch in batches:
            journal.append(batch)
            bar.update(len(batch))
            if callable(progress):
                for _ in batch:
                    done += 1
                    progress(done, total)


def _metadata(pair: ScenePair, plan: TilePlan, captioner: CaptionerInfo, parameters: dict[str, Any]) -> dict[str, Any]:
    from geocc._versions import versions

    return {
        "captioner": captioner.to_metadata(),
        "pair": pair.describe(),
        "plan": plan.summary(),
        "parameters": parameters,
        "versions": versions(),
    }
