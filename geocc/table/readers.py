"""Reading a layer back from the files that `write_layer` writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from geocc.errors import GeoccError, ReadError

from .checks import accepted_suffixes
from .formats import FORMATS
from .schema import restore_dtypes, validate_layer

if TYPE_CHECKING:
    import os

    import geopandas as gpd

__all__ = ["read_layer"]


def read_layer(path: str | os.PathLike[str]) -> gpd.GeoDataFrame:
    """Read a layer of change captions, with its dtypes and metadata.

    What was written is what is read, except that GeoJSON is in EPSG:4326 and rounded to seven decimals, FlatGeobuf
    comes in the order of rows and columns, and CSV has its formulas disarmed unless it was written with
    `csv_safe=False`.

    Args:
        path: A file that `write_layer` wrote.

    Returns:
        The layer, its metadata in `attrs["geocc"]`.

    Raises:
        ReadError: There is no such file, or it cannot be read.
        InputError: It holds something else than a layer of change captions.
    """
    path = Path(path)
    form = FORMATS.get(path.suffix.lower())
    if form is None:
        raise ReadError(f"{path} is of no format geocc reads: expected {accepted_suffixes()}")
    if not path.is_file():
        raise ReadError(f"there is no file {path}")
    try:
        layer = restore_dtypes(form.read(path))
    except GeoccError:
        raise
    except (OSError, RuntimeError, ValueError, LookupError, json.JSONDecodeError) as error:
        raise ReadError(f"cannot read {path} as {form.name}: {error}") from error
    validate_layer(layer)
    return layer
