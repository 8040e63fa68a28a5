"""`geocc info`: versions and devices, for bug reports."""

from __future__ import annotations

import typer

from geocc._versions import versions
from geocc.cli.app import app

__all__ = ["info"]


@app.command()
def info() -> None:
    """Print versions, devices and the dtype that geocc would compute in."""
    import torch

    from geocc.inference.device import choose_device, choose_dtype, free_memory

    for package, version in versions().items():
        typer.echo(f"{package:14s} {version}")
    device = choose_device()
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    typer.echo(f"{'device':14s} {name}, {free_memory(device) / 2**30:.1f} GiB free, {torch.get_num_threads()} threads")
    typer.echo(f"{'dtype':14s} {choose_dtype('auto', device)}")
