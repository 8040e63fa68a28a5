"""`geocc data`: what is in a mixture, and how public data sets become records."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal, cast

import typer

from geocc.cli import options
from geocc.cli.app import app
from geocc.errors import InputError

__all__ = ["data"]

data = typer.Typer(name="data", help="Prepare and describe the data that a model is trained on.", no_args_is_help=True)
app.add_typer(data)

MixtureFile = Annotated[
    str, typer.Argument(help="YAML file of a mixture, or the name of one that geocc ships.", metavar="MIXTURE")
]
Root = Annotated[Path | None, typer.Option(help="Folder that the mixture's paths start from. Default: the YAML's.")]


@data.command()
def describe(mixture: MixtureFile, *, root: Root = None) -> None:
    """Print what is in a mixture: pairs, captions, share of change, lengths, words, licences, what is missing or double."""
    from geocc.data.describe import describe as describe_mixture
    from geocc.data.mixture import Mixture

    typer.echo(str(describe_mixture(Mixture.from_yaml(mixture, root=root))))


@data.command()
def mixtures() -> None:
    """List the mixtures that geocc ships, with their files."""
    from geocc.data.mixture import shipped_mixtures

    for name, path in shipped_mixtures().items():
        typer.echo(f"{name}  {path}")


@data.command()
def sources(
    *, layout: Annotated[bool, typer.Option("--layout", help="Say what each expects on disk.")] = False
) -> None:
    """List the data sets that geocc reads."""
    from geocc.data.readers import SOURCES

    for source in SOURCES.values():
        typer.echo(
            f"{source.name:22s} {'captions' if source.captioned else 'masks':9s} {source.licence or 'licence not found'}"
        )
        if layout:
            typer.echo(f"    {source.layout}\n")


@data.command()
def prepare(
    source: Annotated[str, typer.Argument(help="Name of the data set: see `geocc data sources`.", metavar="SOURCE")],
    root: Annotated[Path, typer.Argument(help="Folder that it was unpacked to.", metavar="ROOT")],
    output: Annotated[Path, typer.Argument(help="File of records to write: .json or .jsonl.", metavar="OUT")],
    *,
    split: Annotated[str | None, typer.Option(help="Only this part: train, val or test.")] = None,
    skip_damaged: Annotated[
        bool, typer.Option("--skip-damaged", help="Leave damaged pairs and captions out, and say which.")
    ] = False,
    check_images: Annotated[bool, typer.Option(help="Open both images of every pair.")] = True,
) -> None:
    """Turn a public data set, in its own layout, into a file of records."""
    from geocc.cli.options import check_parent
    from geocc.data.readers import prepare as read_source
    from geocc.data.records import write_records

    check_parent(output)
    damaged: Literal["refuse", "skip"] = "skip" if skip_damaged else "refuse"
    records = read_source(source, root, split=split, damaged=damaged, check_images=check_images)
    write_records(output, records)
    typer.echo(f"{records.written:,} records and {records.captions:,} captions. Written to {output}.")
    if records.left_out:
        typer.echo(f"Left out for damage: {len(records.left_out):,}", err=True)
        for what in records.left_out[:20]:
            typer.echo(f"  {what}", err=True)


@data.command()
def caption(
    records: Annotated[Path, typer.Argument(help="File of records with masks or labels.", metavar="IN")],
    output: Annotated[Path, typer.Argument(help="File of records to write: .json or .jsonl.", metavar="OUT")],
    *,
    count: Annotated[int, typer.Option(help="Captions per pair.", min=1)] = 5,
    style: Annotated[str, typer.Option(help="'plain', or 'levir' for words and lengths like LEVIR-CC's.")] = "plain",
    mode: Annotated[
        str, typer.Option(help="'views' tells other facts each time, 'expressions' the same in other words.")
    ] = "views",
    seed: Annotated[int, typer.Option(help="Another seed, other words.", min=0)] = 0,
) -> None:
    """Write captions for pairs that have none, from their change masks or class labels; others are kept as they are."""
    from geocc.cli.options import check_parent
    from geocc.data.masks.records import caption_records
    from geocc.data.records import read_records, write_records

    check_parent(output)
    captioned = caption_records(
        read_records(records),
        count=count,
        style=cast("Literal['plain', 'levir']", style),
        mode=cast("Literal['views', 'expressions']", mode),
        seed=seed,
    )
    number = write_records(output, captioned)
    typer.echo(f"{number:,} records. Written to {output}.")


@data.command()
def duplicates(
    mixture: MixtureFile,
    *,
    root: Root = None,
    most_bits: Annotated[int, typer.Option(help="Most of 128 bits that may differ.", min=0, max=15)] = 10,
) -> None:
    """Find pairs of different splits that look alike, by the perceptual hash of their images."""
    from itertools import chain

    from geocc.data.mixture import Mixture
    from geocc.data.near_duplicates import find_near_duplicates
    from geocc.data.records import read_records

    paths = dict.fromkeys(entry.json_path for entry in Mixture.from_yaml(mixture, root=root).entries)
    found = find_near_duplicates(chain.from_iterable(map(read_records, paths)), most_bits=most_bits)
    for one in found:
        typer.echo(f"{one.bits:3d} bits  {one.first[1]} ({one.first[0]})  {one.second[1]} ({one.second[0]})")
    typer.echo(f"{len(found):,} near-duplicates across splits.")


@data.command()
def unpack(
    archive: Annotated[Path, typer.Argument(help="ZIP or TAR file of a data set.", metavar="ARCHIVE")],
    folder: Annotated[Path, typer.Argument(help="Folder to make; must not exist.", metavar="FOLDER")],
) -> None:
    """Unpack an archive that is not to be trusted: no links, no way out of the folder, no bombs."""
    from geocc.cli.options import check_parent
    from geocc.data.archives import extract_archive

    check_parent(folder)
    typer.echo(f"{len(extract_archive(archive, folder)):,} files. Unpacked to {folder}.")


@data.command()
def region(
    t1: options.T1,
    t2: options.T2,
    captions: Annotated[
        Path,
        typer.Argument(help="Captioned polygons of changes, or a layer of 'geocc caption' that was corrected."),
    ],
    folder: Annotated[Path, typer.Argument(help="Folder to make, of pictures and records.", metavar="OUT_DIR")],
    *,
    name: Annotated[str, typer.Option(help="Name of the region, in every record.")] = "region",
    caption_column: Annotated[
        str | None,
        typer.Option(help="Column of the captions. Default: 'caption'; of a layer, 'corrected_caption' where filled."),
    ] = None,
    category_column: Annotated[str | None, typer.Option(help="Of polygons, a column to keep in the records.")] = None,
    flag_from: Annotated[
        str,
        typer.Option(
            help="Of a layer, what says if a tile changed: 'caption', 'changed', or both, which must 'agree'."
        ),
    ] = "agree",
    tile_size: Annotated[
        int | None, typer.Option(help="Over polygons, side of a tile in pixels. Default: 256.", min=1)
    ] = None,
    stride: options.Stride = None,
    roi: options.Roi = None,
    bands: options.Bands = None,
    bands_t2: options.BandsT2 = None,
    align: options.Align = "error",
    resampling: options.Resampling = "bilinear",
    scale: options.Scale = "auto",
    nodata: options.Nodata = None,
    min_valid_fraction: options.MinValidFraction = 0.5,
    min_share: Annotated[
        float, typer.Option(help="Share of a tile that a polygon must cover to be told.", min=0, max=1)
    ] = 0.001,
    max_unchanged: Annotated[
        float, typer.Option(help="Largest share of unchanged tiles in each part.", min=0, max=1)
    ] = 0.5,
    split: Annotated[
        str, typer.Option(help="Shares of train, val and, if wanted, test.", metavar="TRAIN,VAL[,TEST]")
    ] = "0.8,0.2",
    buffer: Annotated[float, typer.Option(help="Pixels between tiles of different parts.", min=0)] = 0.0,
    blocks: Annotated[
        int | None, typer.Option(help="Blocks that are each cut into all parts. Default: by the tiles.", min=1)
    ] = None,
    seed: Annotated[int, typer.Option(help="Another seed, another split.", min=0)] = 0,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar and no summary.")] = False,
) -> None:
    """Make training data of two rasters and captions that you drew or corrected, split in space."""
    from geocc.data.regions import write_training_set

    made = write_training_set(
        t1,
        t2,
        captions,
        folder,
        name=name,
        caption_column=caption_column,
        category_column=category_column,
        flag_from=flag_from,  # type: ignore[arg-type]  # checked, with a remedy, where it is used
        tile_size=tile_size,
        stride=stride,
        roi=options.parse_roi(roi),
        bands=options.parse_bands(bands, bands_t2),
        align=align,
        resampling=resampling,
        scale=options.parse_scale(scale),
        nodata=nodata,
        min_valid_fraction=min_valid_fraction,
        min_share=min_share,
        max_unchanged=max_unchanged,
        split=_shares(split),
        buffer=buffer,
        blocks=blocks,
        seed=seed,
        progress=not quiet and sys.stderr.isatty(),
    )
    if not quiet:
        typer.echo(f"{made}\nWritten to {folder}.")


def _shares(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise InputError(f"--split is {text!r}; expected shares such as 0.8,0.2 or 0.7,0.15,0.15.") from error
