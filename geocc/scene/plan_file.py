"""Tile plans as files: a NumPy archive of the columns, and a JSON text for the rest."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from affine import Affine
from odc.geo.geobox import GeoBox

from geocc.errors import InputError, WriteError

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["grid_from_json", "grid_to_json", "load_columns", "save_columns"]

_COLUMNS = ("row", "col", "height", "width")
_FORMAT = "geocc-tile-plan-2"


def grid_to_json(geobox: GeoBox) -> dict[str, Any]:
    """A grid as plain JSON values."""
    return {"crs": str(geobox.crs), "transform": list(geobox.affine[:6]), "shape": list(geobox.shape.yx)}


def grid_from_json(grid: dict[str, Any]) -> GeoBox:
    """The grid that `grid_to_json` wrote."""
    return GeoBox(tuple(grid["shape"]), Affine(*grid["transform"]), grid["crs"])


def save_columns(path: str | os.PathLike[str], columns: Sequence[NDArray[np.int64]], facts: dict[str, Any]) -> Path:
    """Write a plan, whole or not at all.

    Raises:
        InputError: The suffix is not `.npz`.
        WriteError: The file cannot be written.
    """
    path = Path(path)
    if path.suffix != ".npz":
        raise InputError(f"{path}: a plan is saved as .npz; for a map of the tiles use geocc.table.write_footprints.")
    draft = path.with_name(f".geocc-{path.name}")
    arrays: dict[str, Any] = {"facts": np.array(json.dumps({"format": _FORMAT, **facts}))}
    # Differences repeat where positions do not: a tenth of the size.
    arrays |= {name: np.diff(column, prepend=0) for name, column in zip(_COLUMNS, columns, strict=True)}
    try:
        with draft.open("wb") as file:
            np.savez_compressed(file, **arrays)
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise WriteError(f"the plan cannot be written to {path}: {error.strerror or error}") from error
    return path


def load_columns(path: str | os.PathLike[str]) -> tuple[list[NDArray[np.int64]], dict[str, Any]]:
    """The columns and facts that `save_columns` wrote.

    Raises:
        InputError: There is no such file, or it is not a plan.
    """
    try:
        with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as archive:
            facts = json.loads(str(archive["facts"]))
            if facts.get("format") != _FORMAT:
                raise InputError(
                    f"{path}: the plan's format is {facts.get('format')!r}, expected {_FORMAT!r}. Plan anew."
                )
            columns = [np.cumsum(archive[name], dtype=np.int64) for name in _COLUMNS]
    except (OSError, ValueError, KeyError, AttributeError, EOFError, zipfile.BadZipFile) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} is not a tile plan ({error}). Write it with `plan.save(path)`.") from error
    if len({column.shape for column in columns}) != 1 or columns[0].ndim != 1:
        raise InputError(f"{path}: row, col, height and width differ in length. Write it with `plan.save(path)`.")
    return columns, facts
