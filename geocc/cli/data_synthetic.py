"""`geocc data synthetic`: training pairs that geocc makes itself."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from geocc.cli.data import data

__all__ = ["synthetic"]


@data.command()
def synthetic(
    folder: Annotated[Path, typer.Argument(help="Folder for pictures, masks and records.json.", metavar="OUT_DIR")],
    *,
    pairs: Annotated[int, typer.Option(help="How many pairs to paint; half of them are unchanged.", min=1)] = 1000,
    seed: Annotated[int, typer.Option(help="Another seed, other scenes.", min=0, max=999)] = 0,
    domain: Annotated[
        str, typer.Option(help="Imagery to be like: vhr, aerial (0.5-2 m), medium (3-10 m), landsat (15-30 m), or all.")
    ] = "all",
    gsd: Annotated[float | None, typer.Option(help="Side of a pixel in metres. Default: drawn.")] = None,
    tile_size: Annotated[int, typer.Option(help="Side of a picture in pixels.", min=32)] = 256,
    per_scene: Annotated[int, typer.Option(help="Most pairs that are cut from one scene.", min=2)] = 4,
    captions: Annotated[int, typer.Option(help="Sentences for each pair.", min=1)] = 5,
    plain: Annotated[
        float | None,
        typer.Option(
            help="Probability of the plainest wording; 1: one wording for one fact. Default: several.", min=0, max=1
        ),
    ] = None,
    max_shift: Annotated[float, typer.Option(help="Largest misregistration in pixels.", min=0, max=2)] = 2.0,
    views: Annotated[
        int,
        typer.Option(
            help="How often each is written: mirrored, turned, every second time with the dates exchanged.",
            min=1,
            max=16,
        ),
    ] = 1,
    split: Annotated[str, typer.Option(help="Part of the data set that the records name.")] = "train",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar and no summary.")] = False,
) -> None:
    """Make pairs of pictures whose changes are known, with masks, outlines and captions."""
    from tqdm import tqdm

    from geocc.data.synthetic.write import write_pairs

    with tqdm(total=pairs, unit=" pairs", disable=quiet or not sys.stderr.isatty()) as bar:
        records = write_pairs(
            folder,
            pairs,
            seed=seed,
            domain=domain,
            gsd_m=gsd,
            tile_px=tile_size,
            per_scene=per_scene,
            captions=captions,
            plain=plain,
            max_shift_px=max_shift,
            views=views,
            split=split,
            on_pair=bar.update,
        )
    if not quiet:
        typer.echo(f"{pairs * views:,} pairs. Written to {records}.")
