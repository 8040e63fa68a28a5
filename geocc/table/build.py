"""From the plan and the results of its tiles to the layer."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Protocol

import geopandas as gpd
import numpy as np
import pandas as pd

from geocc.errors import InputError, MissingCRSError
from geocc.scene.privacy import mask_secrets

from .metadata import METADATA_KEY, json_safe
from .schema import DTYPES, validate_layer
from .text import clean_caption

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from numpy.typing import NDArray

    from .result import TileResult

__all__ = ["PlanLike", "build_layer", "plan_footprints"]

SCHEMA_VERSION = 1


class PlanLike(Protocol):
    """What the table needs to know of a tile plan of N tiles."""

    @property
    def geobox(self) -> Any:
        """The grid of the scene, an `odc.geo.geobox.GeoBox`."""
        ...

    @property
    def row(self) -> NDArray[Any]:
        """`(N,)` integers, the first pixel row of each tile."""
        ...

    @property
    def col(self) -> NDArray[Any]:
        """`(N,)` integers, the first pixel column of each tile."""
        ...

    @property
    def tile_ids(self) -> Sequence[str] | NDArray[np.str_]:
        """N names, no two alike."""
        ...

    def footprints(self) -> gpd.GeoSeries:
        """Return the N footprints, in the CRS of the geobox."""
        ...


def build_layer(
    plan: PlanLike,
    results: Iterable[TileResult],
    *,
    t1: datetime | str | None = None,
    t2: datetime | str | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> gpd.GeoDataFrame:
    """Make the layer of change captions: one row for every planned tile, in the order of the plan.

    Args:
        plan: The tiles and where they lie.
        results: One result for every tile of the plan, in any order.
        t1: When the earlier date was taken. A time zone is converted to UTC and dropped.
        t2: When the later date was taken.
        metadata: Model id and hash, prompt, parameters, versions. Brought to JSON's types; secrets in URLs are hidden.

    Returns:
        The layer, with the columns of `COLUMNS`, the CRS of the plan's geobox, and `attrs["geocc"]`: the metadata,
        to which `crs`, `grid` (height and width in pixels, affine as six numbers) and `schema_version` are added.
        Captions are raw but for what `clean_caption` takes out; error texts are cleaned alike, and stripped of secrets.

    Raises:
        InputError: A tile of the plan has no result or two, or a result belongs to no tile.
        MissingCRSError: The plan's geobox has no CRS.
    """
    if plan.geobox.crs is None:
        raise MissingCRSError("the plan's geobox has no CRS: open the rasters with one, as by ds.rio.write_crs(...)")
    ordered = _in_plan_order(plan.tile_ids, results)
    columns = {
        "tile_id": list(plan.tile_ids),
        "row": np.asarray(plan.row),
        "col": np.asarray(plan.col),
        "caption": [None if result.caption is None else clean_caption(result.caption) for result in ordered],
        "changed": [result.changed for result in ordered],
        "change_probability": [result.change_probability for result in ordered],
        "confidence": [result.confidence for result in ordered],
        "status": [result.status.value for result in ordered],
        "error": [None if result.error is None else clean_caption(mask_secrets(result.error)) for result in ordered],
        "valid_fraction": [result.valid_fraction for result in ordered],
        "t1": [_utc(t1)] * len(ordered),
        "t2": [_utc(t2)] * len(ordered),
    }
    frame = pd.DataFrame({name: pd.Series(columns[name], dtype=dtype) for name, dtype in DTYPES.items()})
    layer = gpd.GeoDataFrame(frame, geometry=plan_footprints(plan))
    layer.attrs[METADATA_KEY] = json_safe(metadata or {}) | _grid_metadata(plan.geobox)
    validate_layer(layer)
    return layer


def _in_plan_order(tile_ids: Sequence[str] | NDArray[np.str_], results: Iterable[TileResult]) -> list[TileResult]:
    results = list(results)
    planned = Counter(tile_ids)
    counted = Counter(result.tile_id for result in results)
    complaints = [
        (f"{what} {len(names)} tiles, the first {names[0]!r}")
        for what, names in (
            ("the plan repeats", [name for name, count in planned.items() if count > 1]),
            ("no result for", [name for name in planned if name not in counted]),
            ("more than one result for", [name for name, count in counted.items() if count > 1]),
            ("results for unplanned", [name for name in counted if name not in planned]),
        )
        if names
    ]
    if complaints:
        raise InputError(f"expected one result for each of {len(tile_ids)} planned tiles: {'; '.join(complaints)}")
    by_id = {result.tile_id: result for result in results}
    return [by_id[tile_id] for tile_id in tile_ids]


def plan_footprints(plan: PlanLike) -> gpd.GeoSeries:
    """Return the footprints of a plan, one per tile, numbered from 0, in the CRS of its geobox."""
    crs = plan.geobox.crs.proj
    footprints = gpd.GeoSeries(plan.footprints()).reset_index(drop=True)
    if len(footprints) != len(plan.tile_ids):
        raise InputError(f"the plan has {len(plan.tile_ids)} tiles and {len(footprints)} footprints: expected one each")
    if footprints.crs is not None and footprints.crs != crs:
        raise InputError(f"the plan's footprints are in {footprints.crs.to_string()}, its geobox in {crs.to_string()}")
    return footprints.set_crs(crs)


def _grid_metadata(geobox: Any) -> dict[str, Any]:
    return {
        "crs": geobox.crs.proj.to_string(),
        "grid": {
            "height": int(geobox.shape.y),
            "width": int(geobox.shape.x),
            "affine": [float(value) for value in tuple(geobox.affine)[:6]],
        },
        "schema_version": SCHEMA_VERSION,
    }


def _utc(when: datetime | str | None) -> pd.Timestamp | None:
    try:
        stamp = pd.Series([when], dtype="datetime64[ms, UTC]").dt.tz_localize(None)[0]
    except (TypeError, ValueError) as error:
        raise InputError(f"{when!r} is not a date: expected a datetime or an ISO 8601 text") from error
    return stamp if isinstance(stamp, pd.Timestamp) else None
