"""`geocc data`: what is in a mixture, and how public data sets become records."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

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
