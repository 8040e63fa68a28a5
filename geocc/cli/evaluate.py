"""`geocc evaluate`: how good a file of predicted captions is."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from geocc.cli import options
from geocc.cli.app import app

if TYPE_CHECKING:
    from geocc.evaluation.scorers import Metric

__all__ = ["evaluate"]


@app.command()
def evaluate(
    predictions: Annotated[
        Path, typer.Argument(help="JSON lines with uid, pred and change_caption, as CCExpert's evaluation writes them.")
    ],
    *,
    references: Annotated[
        Path | None,
        typer.Option(
            help="References, where the predictions carry none: JSON lines or a JSON list with uid and change_caption, "
            "or LEVIR-CC's caption file."
        ),
    ] = None,
    metrics: Annotated[
        str, typer.Option(help="Any of bleu, meteor, rouge, cider. METEOR needs Java; S*m needs all four.")
    ] = "bleu,meteor,rouge,cider",
    tokenization: Annotated[
        str, typer.Option(help="'reference', as the published LEVIR-CC tables, or 'ptb', as the COCO evaluation.")
    ] = "reference",
    bootstrap: Annotated[int, typer.Option(help="Draws for the 95 % intervals; 0 for none.", min=0)] = 1000,
    seed: Annotated[int, typer.Option(help="Seed of the draws.", min=0)] = 0,
    duplicates: Annotated[str, typer.Option(help="Of lines with one uid, count the 'first', or 'keep' all.")] = "first",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Also write the figures to this JSON.")] = None,
    samples: Annotated[
        Path | None, typer.Option(help="Also write one row per pair to this JSON, with its scores, for a close look.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar and no tables.")] = False,
) -> None:
    """Score predicted captions as the published tables do, and show what S*m hides."""
    from geocc import evaluation

    for path in (output, samples):
        options.check_parent(path)
    result = evaluation.evaluate(
        predictions,
        references,
        metrics=cast("list[Metric]", [name.strip() for name in metrics.split(",") if name.strip()]),
        tokenization=tokenization,  # type: ignore[arg-type]  # checked, with a remedy, where it is used
        bootstrap=bootstrap,
        seed=seed,
        duplicates=duplicates,  # type: ignore[arg-type]  # as above
        progress=not quiet and sys.stderr.isatty(),
    )
    if output is not None:
        result.to_json(output)
    if samples is not None:
        result.to_json(samples, samples=True)
    if not quiet:
        typer.echo(str(result))
