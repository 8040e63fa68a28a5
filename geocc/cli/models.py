"""`geocc models` and `geocc convert`: which weights there are, and how foreign ones become geocc's."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from geocc.cli.app import app

__all__ = ["convert", "models"]


@app.command()
def models() -> None:
    """List the models that geocc knows by name, with their licences and where their weights are."""
    from geocc.model import list_models

    for entry in list_models():
        typer.echo(f"{entry}\n")


@app.command()
def convert(
    src: Annotated[Path, typer.Argument(help="Checkpoint folder or file: CCExpert, LLaVA-OneVision, or geocc's own.")],
    dst: Annotated[Path, typer.Argument(help="Folder to write; must not exist.")],
    *,
    vision_config: Annotated[
        Path | None,
        typer.Option(
            help="config.json of the SigLIP tower, where the checkpoint names a tower that geocc does not know."
        ),
    ] = None,
    tokenizer: Annotated[
        Path | None, typer.Option(help="Folder of the tokenizer, where the checkpoint carries none.")
    ] = None,
    dtype: Annotated[str | None, typer.Option(help="Torch dtype to store. Default: as found.")] = None,
) -> None:
    """Convert a checkpoint to geocc's layout, and report every key that was used, dropped or made afresh."""
    from geocc.model import convert_checkpoint

    typer.echo(str(convert_checkpoint(src, dst, vision_config=vision_config, tokenizer=tokenizer, dtype=dtype)))
