"""Outlines of changes as a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .checks import check_writable
from .writers import write_frame

if TYPE_CHECKING:
    import os

    import geopandas as gpd

__all__ = ["OUTLINES_LAYER_NAME", "write_outlines"]

OUTLINES_LAYER_NAME = "change_outlines"
"""The name of the layer in formats that name their layers."""


def write_outlines(outlines: gpd.GeoDataFrame, path: str | os.PathLike[str], *, overwrite: bool = True) -> Path:
    """Write what `outline_changes` returned, whole or not at all.

    Args:
        outlines: The outlines, or a selection of them.
        path: Where to write, in any format of `write_layer`; `geopandas.read_file` or `read_parquet` reads it.
        overwrite: Whether a file that is there may be replaced.

    Returns:
        The path.

    Raises:
        WriteError: The file cannot be written; see `write_layer`.
    """
    path = Path(path)
    check_writable(path, overwrite=overwrite, layer=OUTLINES_LAYER_NAME, rows=len(outlines))
    return write_frame(outlines, path, layer=OUTLINES_LAYER_NAME)
