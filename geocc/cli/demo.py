"""`geocc demo`: from nothing to a captioned map."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from geocc.cli.app import app
from geocc.cli.caption import summarise

__all__ = ["demo"]


@app.command()
def demo(
    folder: Annotated[Path, typer.Argument(help="Folder to write to; made if it is not there.")] = Path("demo"),
    *,
    seed: Annotated[int, typer.Option(help="Another seed, another place.")] = 7,
    size: Annotated[int, typer.Option(help="Side of the scene in pixels.", min=256, max=8192)] = 1536,
) -> None:
    """Make a synthetic scene at two dates as GeoTIFFs, caption it, and write a layer, outlines, a figure and a report."""
    from geocc import views
    from geocc.captioning import caption_changes
    from geocc.data.synthetic import make_scene
    from geocc.outlines import outline_changes
    from geocc.scene import open_pair

    folder.mkdir(parents=True, exist_ok=True)
    typer.echo(f"Making a synthetic scene of {size} x {size} pixels at two dates ...")
    t1, t2 = make_scene(seed, size_px=size).to_geotiffs(folder)
    typer.echo("Captioning it with geocc-mini, a small model to try geocc with ...")
    output = folder / "changes.gpkg"
    layer = caption_changes(t1, t2, output=output, progress=sys.stderr.isatty())
    outlined = folder / "outlines.gpkg"
    outlines = outline_changes(layer, t1, t2, output=outlined, progress=sys.stderr.isatty())
    pair = open_pair(t1, t2)
    views.figure(layer, pair, outlines=outlines, path=folder / "changes.png")
    views.report(layer, pair, path=folder / "report.html")
    typer.echo(f"{summarise(layer)}\n")
    _show_some(layer)
    typer.echo(
        f"\nLook at  {folder / 'changes.png'}\n"
        f"open     {folder / 'report.html'}   both dates, every caption, in a browser\n"
        f"load     {output}   in QGIS, or with geopandas.read_file\n"
        f"         {outlined}   where in their tiles the changes lie\n"
        f"again    geocc caption {t1} {t2} -o {output}\n"
        f"         geocc outline {output} {t1} {t2} -o {outlined}\n"
        "and on your own rasters: geocc caption T1.tif T2.tif -o changes.gpkg --report report.html"
    )


def _show_some(layer: object, count: int = 5) -> None:
    changed = layer[layer["changed"].fillna(value=False)]  # type: ignore[index]
    for row in changed.nlargest(count, "change_probability").itertuples():
        typer.echo(f"  {row.tile_id}  {row.change_probability:4.0%}  {row.caption}")
