"""`geocc series`: many dates in, one captioned layer of their pairs out."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Annotated

import typer

from geocc.cli import options
from geocc.cli.app import EXIT_SOME_TILES_FAILED, app
from geocc.cli.caption import Dask, Resume, Workers, cluster, summarise, telling_how_to_resume
from geocc.errors import InputError

__all__ = ["series"]


@app.command()
def series(
    files: Annotated[
        list[str], typer.Argument(help="Rasters, the earliest first: paths or URLs.", metavar="T1 T2 [T3 ...]")
    ],
    *,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Layer to write: .gpkg, .parquet, .fgb, .geojson or .csv.")
    ],
    pairs: Annotated[
        str, typer.Option(help="'consecutive', 'first' (all against the first), or positions from 0: '0-3,3-5'.")
    ] = "consecutive",
    dates: Annotated[
        str | None, typer.Option(help="Dates of the rasters, with commas, where the files do not say them.")
    ] = None,
    model: Annotated[str, typer.Option(help="A name that 'geocc models' lists, a checkpoint folder, or a hub id.")] = (
        "geocc-mini"
    ),
    bands: options.Bands = None,
    tile_size: options.TileSize = 256,
    stride: options.Stride = None,
    roi: options.Roi = None,
    align: Annotated[str, typer.Option(help="Grids that differ: 'error', or 't1' to warp all onto the first.")] = (
        "error"
    ),
    resampling: options.Resampling = "bilinear",
    scale: options.Scale = "auto",
    nodata: options.Nodata = None,
    min_valid_fraction: options.MinValidFraction = 0.5,
    skip_unchanged: Annotated[
        float | None, typer.Option(help="Spare the language model below this change probability.", min=0, max=1)
    ] = None,
    resume: Resume = False,
    dask: Dask = None,
    workers: Workers = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar and no summary.")] = False,
) -> None:
    """Say in words what changed between the dates of a series, each date encoded once."""
    from geocc.series import caption_series

    with telling_how_to_resume(output), cluster(dask, workers) as executor:
        layer = caption_series(
            [options.parse_raster(file) for file in files],
            pairs=_parse_pairs(pairs),  # type: ignore[arg-type]  # checked, with a remedy, where it is used
            dates=None if dates is None else [date.strip() for date in dates.split(",")],
            model=model,
            bands=options.parse_bands(bands, None),
            tile_size=tile_size,
            stride=stride,
            roi=options.parse_roi(roi),
            align=align,  # type: ignore[arg-type]  # likewise
            resampling=resampling,
            scale=options.parse_scale(scale),
            nodata=nodata,
            min_valid_fraction=min_valid_fraction,
            skip_unchanged=skip_unchanged,
            output=output,
            resume=resume,
            executor=executor,
            progress=not quiet and sys.stderr.isatty(),
        )
    if not quiet:
        typer.echo(f"{summarise(layer)} Written to {output}.")
    if layer["status"].eq("failed").any():
        raise typer.Exit(EXIT_SOME_TILES_FAILED)


def _parse_pairs(text: str) -> str | list[tuple[int, int]]:
    if text in {"consecutive", "first"}:
        return text
    if not re.fullmatch(r"\d+-\d+(,\d+-\d+)*", text):
        raise InputError(f"--pairs is {text!r}; expected 'consecutive', 'first', or positions such as '0-3,3-5'.")
    return [(int(first), int(second)) for first, second in (pair.split("-") for pair in text.split(","))]
