"""A tile plan as a file: where the tiles lie, before any is captioned."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import geopandas as gpd
import numpy as np

from .build import plan_footprints
from .checks import check_writable
from .writers import write_frame

if TYPE_CHECKING:
    import os

    from .build import PlanLike

__all__ = ["TILES_LAYER_NAME", "write_footprints"]

TILES_LAYER_NAME = "tiles"
"""The name of the layer in formats that name their layers."""


def write_footprints(plan: PlanLike, path: str | os.PathLike[str], *, overwrite: bool = True) -> Path:
    """Write the footprints of a plan, with the columns `tile_id`, `row`, `col` and `geometry`.

    Args:
        plan: The tiles and where they lie.
        path: Where to write, in any format of `write_layer`.
        overwrite: Whether a file that is there may be replaced.

    Returns:
        The path.

    Raises:
        WriteError: The file cannot be written; see `write_layer`.
    """
    path = Path(path)
    check_writable(path, overwrite=overwrite, layer=TILES_LAYER_NAME, rows=len(plan.tile_ids))
    columns = {
        "tile_id": list(plan.tile_ids),
        "row": np.asarray(plan.row, dtype=np.int32),
        "col": np.asarray(plan.col, dtype=np.int32),
    }
    return write_frame(gpd.GeoDataFrame(columns, geometry=plan_footprints(plan)), path, layer=TILES_LAYER_NAME)
