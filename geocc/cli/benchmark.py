"""`geocc benchmark`: how good a model is, on real pairs or on synthetic ones."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from geocc.cli.app import app
from geocc.errors import InputError

if TYPE_CHECKING:
    from geocc.evaluation.benchmarks import Benchmark
    from geocc.evaluation.scorers import Metric

__all__ = ["benchmark"]


@app.command()
def benchmark(
    name: Annotated[str, typer.Argument(help="'levir-cc', or 'synthetic': made on the spot, with known truth.")],
    *,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="Folder for predictions.jsonl and results.json; resumes what it holds."),
    ],
    model: Annotated[str, typer.Option(help="A name that 'geocc models' lists, a checkpoint folder, or a hub id.")] = (
        "geocc-mini"
    ),
    root: Annotated[
        Path | None, typer.Option(help="Folder of LEVIR-CC as it unpacks, or one with a records.json.")
    ] = None,
    split: Annotated[str, typer.Option(help="Split of LEVIR-CC.")] = "test",
    pairs: Annotated[int, typer.Option(help="Number of synthetic pairs.", min=1)] = 1000,
    seed: Annotated[int, typer.Option(help="Seed of the synthetic pairs.", min=0, max=999)] = 0,
    domain: Annotated[
        str, typer.Option(help="Imagery that synthetic pairs are like: vhr, aerial, medium, landsat, or all.")
    ] = "vhr",
    breakdown: Annotated[
        bool, typer.Option("--breakdown", help="Also print synthetic pairs by kind of change, pixel and shift.")
    ] = False,
    prompt: Annotated[str | None, typer.Option(help="The question put to the model, with two <image> slots.")] = None,
    max_new_tokens: Annotated[int, typer.Option(help="Longest caption in tokens.", min=1)] = 512,
    batch_size: Annotated[int, typer.Option(help="Pairs per call of the model.", min=1)] = 16,
    device: Annotated[str | None, typer.Option(help="Torch device. Default: the fastest present.")] = None,
    dtype: Annotated[str, typer.Option(help="Torch dtype, or 'auto'.")] = "auto",
    metrics: Annotated[
        str, typer.Option(help="Any of bleu, meteor, rouge, cider. METEOR needs Java; S*m needs all four.")
    ] = "bleu,meteor,rouge,cider",
    bootstrap: Annotated[int, typer.Option(help="Draws for the 95 % intervals; 0 for none.", min=0)] = 1000,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar and no tables.")] = False,
) -> None:
    """Caption the pairs of a benchmark and score the captions; run again after an interruption, it goes on."""
    from geocc.evaluation.benchmark import RESULTS, run_benchmark

    chosen = _benchmark(name, root=root, split=split, pairs=pairs, seed=seed, domain=domain)
    from geocc.inference import load_captioner

    captioner = load_captioner(model, device=device, dtype=dtype, prompt=prompt, max_new_tokens=max_new_tokens)
    result = run_benchmark(
        chosen,
        captioner,
        output=output,
        batch_size=batch_size,
        metrics=cast("list[Metric]", [part.strip() for part in metrics.split(",") if part.strip()]),
        bootstrap=bootstrap,
        progress=not quiet and sys.stderr.isatty(),
    )
    if not quiet:
        if breakdown and len(result.breakdown):
            typer.echo(f"{result.breakdown.to_string(index=False, na_rep='-', float_format='%.3f')}\n")
        typer.echo(f"{result.evaluation}\n\nWritten to {output / RESULTS}.")


def _benchmark(name: str, *, root: Path | None, split: str, pairs: int, seed: int, domain: str) -> Benchmark:
    from geocc.evaluation.benchmarks import levir_cc, synthetic

    if name == "synthetic":
        return synthetic(pairs, seed=seed, domain=domain)
    if name != "levir-cc":
        raise InputError(f"there is no benchmark {name!r}; expected 'levir-cc' or 'synthetic'.")
    if root is None:
        raise InputError("levir-cc needs its images: give --root FOLDER, where the data set was unpacked to.")
    return levir_cc(root, split=split)
