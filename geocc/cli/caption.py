"""`geocc caption`: two rasters in, a captioned layer out."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from geocc.cli import options
from geocc.cli.app import EXIT_SOME_TILES_FAILED, app
from geocc.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import geopandas as gpd

    from geocc.inference.dask_executor import DaskExecutor
    from geocc.scene import ScenePair

__all__ = ["Dask", "Resume", "Workers", "caption", "cluster", "summarise", "telling_how_to_resume"]

Resume = Annotated[bool, typer.Option("--resume", help="Go on with the run that left a journal beside the output.")]
Dask = Annotated[
    str | None,
    typer.Option(
        help="Caption on a Dask cluster: the address of its scheduler, or 'local' for processes on this machine."
    ),
]
Workers = Annotated[int | None, typer.Option(help="Processes of --dask local.", min=1)]


@app.command()
def caption(
    t1: options.T1,
    t2: options.T2,
    *,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Layer to write: .gpkg, .parquet, .fgb, .geojson or .csv.")
    ],
    model: Annotated[str, typer.Option(help="A name that 'geocc models' lists, a checkpoint folder, or a hub id.")] = (
        "geocc-mini"
    ),
    bands: options.Bands = None,
    bands_t2: options.BandsT2 = None,
    tile_size: options.TileSize = 256,
    stride: options.Stride = None,
    roi: options.Roi = None,
    align: options.Align = "error",
    resampling: options.Resampling = "bilinear",
    scale: options.Scale = "auto",
    nodata: options.Nodata = None,
    min_valid_fraction: options.MinValidFraction = 0.5,
    prompt: Annotated[str | None, typer.Option(help="The question put to the model, with two <image> slots.")] = None,
    max_new_tokens: Annotated[int, typer.Option(help="Longest caption in tokens.", min=1)] = 64,
    batch_size: Annotated[str, typer.Option(help="Tiles per call of the model, or 'auto'.")] = "auto",
    device: Annotated[str | None, typer.Option(help="Torch device. Default: the fastest present.")] = None,
    dtype: Annotated[str, typer.Option(help="Torch dtype, or 'auto'.")] = "auto",
    skip_unchanged: Annotated[
        float | None, typer.Option(help="Spare the language model below this change probability.", min=0, max=1)
    ] = None,
    on_error: Annotated[str, typer.Option(help="'record' a tile that fails and go on, or 'raise'.")] = "record",
    resume: Resume = False,
    dask: Dask = None,
    workers: Workers = None,
    report: Annotated[
        Path | None, typer.Option(help="Also write an HTML report with both dates and all captions.")
    ] = None,
    figure: Annotated[Path | None, typer.Option(help="Also write a figure: .png, .pdf or .svg.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar and no summary.")] = False,
) -> None:
    """Say in words what changed between two dates of a place, tile by tile."""
    from geocc.captioning import caption_changes
    from geocc.scene import open_pair

    for path in (report, figure):
        options.check_parent(path)
    scene = {
        "bands": options.parse_bands(bands, bands_t2),
        "align": align,
        "resampling": resampling,
        "scale": options.parse_scale(scale),
        "nodata": nodata,
    }
    dates = options.parse_raster(t1), options.parse_raster(t2)
    with telling_how_to_resume(output), cluster(dask, workers) as executor:
        layer = caption_changes(
            *dates,
            **scene,
            model=model,
            tile_size=tile_size,
            stride=stride,
            roi=options.parse_roi(roi),
            min_valid_fraction=min_valid_fraction,
            prompt=prompt,
            max_new_tokens=max_new_tokens,
            batch_size=_parse_batch_size(batch_size),
            device=device,
            dtype=dtype,
            skip_unchanged=skip_unchanged,
            on_error=on_error,  # type: ignore[arg-type]  # checked, with a remedy, where it is used
            output=output,
            resume=resume,
            executor=executor,
            # A bar is for a person: a pipe gets none.
            progress=not quiet and sys.stderr.isatty(),
        )
    if report is not None or figure is not None:
        _draw(layer, open_pair(*dates, **scene), report=report, figure=figure)
    if not quiet:
        typer.echo(f"{summarise(layer)} Written to {output}.")
    if layer["status"].eq("failed").any():
        raise typer.Exit(EXIT_SOME_TILES_FAILED)


@contextmanager
def cluster(where: str | None, workers: int | None) -> Iterator[DaskExecutor | None]:
    """The cluster of --dask and --workers, None for this process."""
    if where is None:
        if workers is not None:
            raise InputError("--workers is the number of processes of --dask local; add that.")
        yield None
        return
    from geocc.inference.dask_executor import DaskExecutor

    with DaskExecutor(where, workers=workers) as executor:
        yield executor


@contextmanager
def telling_how_to_resume(output: Path) -> Iterator[None]:
    """Say, when a run is interrupted, what is kept and how to go on."""
    from geocc.journal import journal_path

    try:
        yield
    except KeyboardInterrupt:
        folder = journal_path(output)
        if folder.is_dir():
            typer.echo(
                f"What is done is kept in {folder}. To go on, repeat the command with --resume; to drop it, delete the folder.",
                err=True,
            )
        raise


def _draw(layer: gpd.GeoDataFrame, pair: ScenePair, *, report: Path | None, figure: Path | None) -> None:
    from geocc import views

    if report is not None:
        views.report(layer, pair, path=report)
    if figure is not None:
        views.figure(layer, pair, path=figure)


def summarise(layer: gpd.GeoDataFrame) -> str:
    """Say in one or two sentences how a run went."""
    counts = layer["status"].value_counts()
    parts = [f"{len(layer)} tiles: {int(layer['changed'].fillna(value=False).sum())} changed"]
    parts += [
        f"{counts[status]} {status}" for status in ("skipped_nodata", "skipped_unchanged", "failed") if status in counts
    ]
    text = ", ".join(parts) + "."
    failed = layer[layer["status"].eq("failed")]
    return (
        text
        if failed.empty
        else f"{text} The first failure, tile {failed['tile_id'].iloc[0]}: {failed['error'].iloc[0]}"
    )


def _parse_batch_size(text: str) -> int | Literal["auto"]:
    if text == "auto":
        return "auto"
    if not text.isdecimal():
        raise InputError(f"--batch-size is {text!r}; expected 'auto' or a number of tiles, such as 16.")
    return int(text)
