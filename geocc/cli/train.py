"""`geocc train` and `geocc merge`: the three stages, LoRA, and adapters made whole."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from geocc.cli.app import app

__all__ = ["merge", "train"]


@app.command()
def train(
    config: Annotated[Path, typer.Argument(help="Training file (YAML); see docs/how-to/train.md.")],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(help="Settings to put over it, such as recipe.learning_rate=2e-5.", metavar="[KEY=VALUE]..."),
    ] = None,
    *,
    parts: Annotated[
        str | None,
        typer.Option(
            "--train",
            help="Parts to train in the place of the recipe's: difference_module, projector, language_model, "
            "vision_tower; several with commas.",
            metavar="PART[,PART]",
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would train, in seconds.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last whole checkpoint.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No summary.")] = False,
) -> None:
    """Train a model by one of CCExpert's three stages. Start it with 'accelerate launch -m geocc train' on many GPUs."""
    from geocc.training import load_config, plan_training
    from geocc.training import train as run
    from geocc.training.processes import leave_group

    chosen = list(overrides or [])
    if parts is not None:
        chosen.append(f"recipe.train=[{parts}]")
    settings = load_config(config, chosen)
    if dry_run:
        typer.echo(str(plan_training(settings)))
        return
    result = run(settings, resume=resume)
    leave_group()
    # Under 'accelerate launch' every process comes here; one summary is enough.
    if not quiet and os.environ.get("RANK", "0") == "0":
        best = "" if result.best is None else f", best {settings.evaluation.best if settings.evaluation else ''} "
        figure = "" if result.best is None else f"{result.best:.2f}"
        typer.echo(f"{result.steps} steps, mean loss {result.loss:.4f}{best}{figure}. Written to {result.folder}.")


@app.command()
def merge(
    adapter: Annotated[Path, typer.Argument(help="Folder of the adapter that 'geocc train' wrote.")],
    output: Annotated[Path, typer.Argument(help="Folder to write; must not exist.")],
    *,
    base: Annotated[
        str | None, typer.Option(help="The model that it was trained on, where it has moved since.")
    ] = None,
    dtype: Annotated[str | None, typer.Option(help="Torch dtype to store. Default: as in the base.")] = None,
) -> None:
    """Merge an adapter into the model that it was trained on, and write a checkpoint that stands alone."""
    from geocc.training import merge_adapter

    typer.echo(f"Written to {merge_adapter(adapter, output, base=base, dtype=dtype)}.")
