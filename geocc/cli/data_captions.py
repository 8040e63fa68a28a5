"""`geocc data`: captions that geocc writes, from spectral indices, and in a language model's words."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, cast

import typer

from geocc.cli import options
from geocc.cli.data import data
from geocc.errors import InputError

__all__: list[str] = []


@data.command()
def rewrite(
    records: Annotated[Path, typer.Argument(help="File of records with captions from masks.", metavar="RECORDS")],
    output: Annotated[Path, typer.Argument(help="File of records to write: .json or .jsonl.", metavar="OUT")],
    *,
    endpoint: Annotated[str, typer.Option(help="Where the API begins: 'http://localhost:8000/v1'.", metavar="URL")],
    model: Annotated[str, typer.Option(help="The model's name there.", metavar="NAME")],
    api_key_variable: Annotated[
        str | None, typer.Option(help="Environment variable that holds the key, where one is needed.")
    ] = None,
    answers: Annotated[
        Path | None, typer.Option(help="JSON lines file of answers, to go on after a stop. Default: OUT.answers.jsonl.")
    ] = None,
    sentences_per_request: Annotated[int, typer.Option(help="Sentences that one request asks for.", min=1)] = 8,
    concurrency: Annotated[int, typer.Option(help="Requests under way at once.", min=1)] = 8,
) -> None:
    """Let a language model say captions from masks in other words; kept only where every fact stayed as it was."""
    from geocc.data.masks.rewriting import rewrite_captions
    from geocc.data.records import read_records, write_records

    options.check_parent(output)
    rewritten = rewrite_captions(
        read_records(records),
        endpoint,
        model=model,
        answers=answers or output.with_name(f"{output.name}.answers.jsonl"),
        api_key_variable=api_key_variable,
        sentences_per_request=sentences_per_request,
        concurrency=concurrency,
    )
    number = write_records(output, rewritten)
    typer.echo(f"{number:,} records. Written to {output}.\n{rewritten.report}")


@data.command()
def indices(
    t1: options.T1,
    t2: options.T2,
    output: Annotated[Path, typer.Argument(help="File of records to write: .json or .jsonl.", metavar="OUT")],
    *,
    index_bands: Annotated[
        str, typer.Option(help="Green, near-infrared and red, by name or 1-based number.", metavar="G,NIR,R")
    ],
    swir: Annotated[
        str | None, typer.Option(help="Short-wave infrared, by name or number: water by MNDWI in place of NDWI.")
    ] = None,
    name: Annotated[str, typer.Option(help="Name of the pair, with which the uids begin.")],
    water: Annotated[
        str, typer.Option(help="NDWI, or MNDWI, below which is no water, and above which there is.", metavar="LOW,HIGH")
    ] = "0.0,0.2",
    vegetation: Annotated[
        str, typer.Option(help="NDVI below which there is no vegetation, and above which there is.", metavar="LOW,HIGH")
    ] = "0.2,0.4",
    doubt: Annotated[float, typer.Option(help="Difference of an index from which a pixel may have changed.")] = 0.15,
    bands: options.Bands = None,
    align: options.Align = "error",
    tile_size: options.TileSize = 256,
    stride: options.Stride = None,
    min_pixels: Annotated[int, typer.Option(help="Smallest patch that counts, in pixels.", min=1)] = 12,
    count: Annotated[int, typer.Option(help="Captions per pair.", min=1)] = 5,
    style: Annotated[str, typer.Option(help="'plain', or 'levir'.")] = "plain",
    mode: Annotated[str, typer.Option(help="'views' or 'expressions'; see 'geocc data caption'.")] = "views",
    seed: Annotated[int, typer.Option(help="Another seed, other words.", min=0)] = 0,
    source: Annotated[str | None, typer.Option(help="Name of the data set, for every record.")] = None,
    split: Annotated[str | None, typer.Option(help="Part of the data set, for every record.")] = None,
    gsd_m: Annotated[float | None, typer.Option(help="Side of a pixel in metres, for every record.")] = None,
    licence: Annotated[str | None, typer.Option(help="Licence of the images, for every record.")] = None,
) -> None:
    """Cut two rasters into tiles, captioned by what water and vegetation indices show; the pictures go beside OUT."""
    from geocc.data.own_region import Indices, caption_indices
    from geocc.data.records import write_records

    options.check_parent(output)
    green, nir, red = cast("tuple[Any, Any, Any]", options.parse_bands(index_bands, None))
    told = Indices(
        green=green,
        nir=nir,
        red=red,
        swir=int(swir) if swir is not None and swir.isdecimal() else swir,
        water=_bounds("--water", water),
        vegetation=_bounds("--vegetation", vegetation),
        doubt=doubt,
    )
    fields = {"source": source or name, "split": split, "gsd_m": gsd_m, "licence": licence}
    records = caption_indices(
        t1,
        t2,
        output.absolute().parent / f"{output.stem}_tiles",
        name=name,
        indices=told,
        bands=options.parse_bands(bands, None),
        align=align,
        tile_size=tile_size,
        stride=stride,
        min_pixels=min_pixels,
        count=count,
        style=style,
        mode=mode,
        seed=seed,
        fields={key: value for key, value in fields.items() if value is not None},
    )
    typer.echo(f"{write_records(output, records):,} captioned pairs. Written to {output}.")


def _bounds(option: str, text: str) -> tuple[float, float]:
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError as error:
        raise InputError(f"{option} is {text!r}; expected two numbers, such as 0.0,0.2.") from error
    if low > high:
        raise InputError(f"{option} is {text!r}; expected the lower bound first.")
    return low, high
