"""Results as GeoParquet parts: each is there whole or not at all, and any GIS opens them while the run goes on."""

from __future__ import annotations

import io
import json
import os
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import shapely

from geocc.journal.flushing import flush_folder, unwritable
from geocc.scene.footprints import window_polygons
from geocc.scene.grid import grid_crs
from geocc.scene.privacy import mask_secrets
from geocc.table import TileResult, clean_caption

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from geocc.scene import TilePlan

__all__ = ["encoded", "part_schema", "part_table", "read_part", "replace_file", "table_results"]

_COLUMNS = (
    ("tile_id", pa.string()),
    ("status", pa.string()),
    ("caption", pa.string()),
    ("changed", pa.bool_()),
    ("change_probability", pa.float64()),
    ("confidence", pa.float64()),
    ("error", pa.string()),
    ("valid_fraction", pa.float64()),
)


def part_schema(plan: TilePlan) -> pa.Schema:
    """The columns of a part: those of `TileResult` and the footprint, as GeoParquet 1.1 in the CRS of the plan."""
    geo = {
        "version": "1.1.0",
        "primary_column": "geometry",
        "columns": {
            "geometry": {
                "encoding": "WKB",
                "geometry_types": ["Polygon"],
                "crs": grid_crs(plan.geobox).proj.to_json_dict(),
            }
        },
    }
    fields = [pa.field(name, kind) for name, kind in (*_COLUMNS, ("geometry", pa.binary()))]
    return pa.schema(fields, metadata={b"geo": json.dumps(geo).encode()})


def part_table(
    results: Sequence[TileResult], plan: TilePlan, position: NDArray[np.integer[Any]], schema: pa.Schema
) -> pa.Table:
    """The results of a batch as a table.

    Args:
        results: The results. Their texts are stored as the layer will hold them: clean, and without secrets.
        plan: The plan that they belong to.
        position: `(len(results),)` their positions in it.
        schema: From `part_schema`.
    """
    columns: dict[str, Any] = {name: [getattr(result, name) for result in results] for name, _ in _COLUMNS}
    columns["status"] = [result.status.value for result in results]
    columns["caption"] = [None if text is None else clean_caption(text) for text in columns["caption"]]
    columns["error"] = [None if text is None else clean_caption(mask_secrets(text)) for text in columns["error"]]
    polygons = window_polygons(
        plan.geobox,
        row=plan.row[position],
        col=plan.col[position],
        height=plan.height[position],
        width=plan.width[position],
    )
    columns["geometry"] = shapely.to_wkb(polygons)
    return pa.table(columns, schema=schema)


def read_part(path: Path) -> pa.Table:
    """The table of a part.

    Raises:
        OSError: The part is damaged or gone.
    """
    try:
        table = pq.read_table(path, columns=[name for name, _ in _COLUMNS], partitioning=None, memory_map=False)
    except (pa.ArrowException, ValueError) as error:
        raise OSError(str(error)) from error
    return table


def table_results(table: pa.Table) -> Iterator[TileResult]:
    """The results that a table holds."""
    names = [name for name, _ in _COLUMNS]
    for values in zip(*(table.column(name).to_pylist() for name in names), strict=True):
        yield TileResult(**dict(zip(names, values, strict=True)))


def replace_file(path: Path, data: bytes, *, flush: bool) -> None:
    """Put a file in place, whole: whatever happens to the process, `path` is what it was or holds all of `data`.

    Args:
        path: The file.
        data: What it is to hold.
        flush: Whether to wait until it outlives a power cut as well.

    Raises:
        WriteError: The disk is full, or the folder cannot be written any more.
    """
    draft = path.with_name(f".{path.name}")
    try:
        with draft.open("wb") as file:
            file.write(data)
            if flush:
                file.flush()
                # Without this a power cut after the move could leave an empty file under the final name.
                os.fsync(file.fileno())
        draft.replace(path)
        if flush:
            flush_folder(path.parent)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise unwritable(path.parent, error) from error


def encoded(table: pa.Table, *, small: bool) -> bytes:
    """A table as the bytes of a Parquet file.

    Args:
        table: The table.
        small: Whether to spend time on its size: not for a file that the next batch replaces.
    """
    buffer = io.BytesIO()
    if small:
        pq.write_table(table, buffer, compression="zstd")
    else:
        pq.write_table(table, buffer, compression="lz4", use_dictionary=False, write_statistics=False)
    return buffer.getvalue()
