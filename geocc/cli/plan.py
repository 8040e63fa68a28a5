"""`geocc plan`: the tiles that `geocc caption` would caption."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from geocc.cli import options
from geocc.cli.app import app

__all__ = ["plan"]


@app.command()
def plan(
    t1: options.T1,
    t2: options.T2,
    *,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write the tiles' footprints to this vector file.")
    ] = None,
    bands: options.Bands = None,
    bands_t2: options.BandsT2 = None,
    tile_size: options.TileSize = 256,
    stride: options.Stride = None,
    roi: options.Roi = None,
    align: options.Align = "error",
    nodata: options.Nodata = None,
) -> None:
    """Show the tiles that would be captioned, without reading a pixel or loading a model."""
    from geocc.captioning import plan_changes

    tiles = plan_changes(
        options.parse_raster(t1),
        options.parse_raster(t2),
        bands=options.parse_bands(bands, bands_t2),
        tile_size=tile_size,
        stride=stride,
        roi=options.parse_roi(roi),
        align=align,  # type: ignore[arg-type]  # checked, with a remedy, where it is used
        nodata=nodata,
    )
    for name, value in tiles.summary().items():
        typer.echo(f"{name:16s} {value}")
    if output is not None:
        from geocc.table import write_footprints

        typer.echo(f"{'written to':16s} {write_footprints(tiles, output)}")
