"""`geocc outline`: where in the changed tiles of a layer the changes lie."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from geocc.cli import options
from geocc.cli.app import app

__all__ = ["outline"]


@app.command()
def outline(
    changes: Annotated[Path, typer.Argument(help="Layer that 'geocc caption' wrote.", metavar="CHANGES")],
    t1: options.T1,
    t2: options.T2,
    *,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Outlines to write: .gpkg, .parquet, .fgb, .geojson or .csv.")
    ],
    scout: Annotated[str, typer.Option(help="The scout that draws: a name or a folder.")] = "geocc-scout",
    threshold: Annotated[float, typer.Option(help="Probability from which ground counts as changed.")] = 0.5,
    min_share: Annotated[float, typer.Option(help="Leave out patches below this share of their tile.")] = 0.001,
    bands: options.Bands = None,
    bands_t2: options.BandsT2 = None,
    align: options.Align = "error",
    resampling: options.Resampling = "bilinear",
    scale: options.Scale = "auto",
    nodata: options.Nodata = None,
    device: Annotated[str | None, typer.Option(help="Torch device. Default: the fastest present.")] = None,
    dtype: Annotated[str, typer.Option(help="Torch dtype, or 'auto'.")] = "auto",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar and no summary.")] = False,
) -> None:
    """Draw the outlines of what changed inside the changed tiles of a layer."""
    from geocc.outlines import outline_changes
    from geocc.table import read_layer

    outlines = outline_changes(
        read_layer(changes),
        options.parse_raster(t1),
        options.parse_raster(t2),
        scout=scout,
        threshold=threshold,
        min_share=min_share,
        bands=options.parse_bands(bands, bands_t2),
        align=align,  # type: ignore[arg-type]  # checked, with a remedy, where it is used
        resampling=resampling,
        scale=options.parse_scale(scale),
        nodata=nodata,
        device=device,
        dtype=dtype,
        output=output,
        progress=not quiet and sys.stderr.isatty(),
    )
    if not quiet:
        drawn = outlines["outlined"]
        typer.echo(
            f"{drawn.sum()} outlines in {outlines.loc[drawn, 'tile_id'].nunique()} tiles; {(~drawn).sum()} changed tiles in "
            f"which nothing stood out keep their footprint. Written to {output}."
        )
