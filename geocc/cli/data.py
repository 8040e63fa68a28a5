"""`geocc data`: what is in a mixture, and how public data sets become records."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, cast

import typer

from geocc.cli.app import app

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
