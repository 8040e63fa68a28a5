"""The `geocc` command: its commands, its exit codes, and errors told as sentences.

Exit codes:
    0: done.
    1: failed: a file cannot be read or written, a model cannot be found or loaded, or the captioner failed.
    2: bad input: an argument or a raster cannot be used as given.
    3: done, but some tiles failed; the layer was written and says which.
    130: interrupted.
"""

from __future__ import annotations

import gc
import os
import sys
from typing import Annotated, NoReturn

import typer

from geocc import __version__
from geocc.errors import GeoccError, InputError

__all__ = ["EXIT_FAILED", "EXIT_INPUT", "EXIT_SOME_TILES_FAILED", "app", "main", "register_commands"]

EXIT_FAILED = 1
EXIT_INPUT = 2
EXIT_SOME_TILES_FAILED = 3
EXIT_INTERRUPTED = 130

#: Commands that load a model to caption and do nothing else with it.
CAPTIONING = ("caption", "demo", "series")

app = typer.Typer(
    name="geocc",
    help="What changed between two dates, in words and on a map.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def common(
    *,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and leave.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """What changed between two dates, in words and on a map."""


def register_commands() -> None:
    """Import the modules of the commands: each registers its own on `app`."""
    from geocc.cli import (  # noqa: F401 - each registers its commands on `app`
        benchmark,
        caption,
        data,
        data_captions,
        data_synthetic,
        demo,
        evaluate,
        info,
        models,
        outline,
        plan,
        series,
        train,
    )


def main() -> NoReturn:
    """Run the command line; errors of geocc's own come out as one sentence on stderr."""
    # Five thousand modules are no garbage: looking through them again and again takes a tenth of the time to import them.
    gc.set_threshold(50_000)
    if sys.argv[1:2] and sys.argv[1] in CAPTIONING:
        from geocc.model.lean_imports import allow_lean_imports

        allow_lean_imports()
    register_commands()
    try:
        app()
    except InputError as error:
        _fail(error, EXIT_INPUT)
    except GeoccError as error:
        _fail(error, EXIT_FAILED)
    except BrokenPipeError:
        # The reader of our output has gone (`geocc models | head`): no cause for a traceback.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_FAILED)
    except KeyboardInterrupt:
        typer.echo("Interrupted.", err=True)
        sys.exit(EXIT_INTERRUPTED)
    sys.exit(0)


def _fail(error: GeoccError, code: int) -> NoReturn:
    typer.echo(f"Error: {error}", err=True)
    sys.exit(code)
