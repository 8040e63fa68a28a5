"""CSV: text for spreadsheets, which run what looks like a formula, beside a JSON file with what CSV cannot hold."""

from __future__ import annotations

import csv
import hashlib
import json
import re
import warnings
from typing import TYPE_CHECKING, Any

import geopandas as gpd
import pandas as pd
import shapely

from geocc.errors import MissingCRSError

from .metadata import METADATA_KEY, layer_metadata

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["disarm_formula", "read_csv", "sidecar_path", "write_csv"]

# At the start of a cell, and after whatever a spreadsheet of some locale may take as the end of one. The wide forms
# are read as the narrow ones where those are typed.
_FORMULA = re.compile(r"(^|[;,|\t\r\n\"'])(\s*)(?=[=+\-@\uff1d\uff0b\uff0d\uff20\t\r\n])")


def sidecar_path(path: Path) -> Path:
    """Return where the metadata of a CSV file lie: ``changes.csv`` has ``changes.metadata.json``."""
    return path.with_name(f"{path.stem}.metadata.json")


def disarm_formula(text: str) -> str:
    """Put an apostrophe before every sign with which a spreadsheet may begin a formula (OWASP, CSV injection).

    Signs within a word or between words, as in ``north-east`` and ``A - B``, are left alone.
    """
    return _FORMULA.sub(r"\1\2'", text)


def write_csv(gdf: gpd.GeoDataFrame, path: Path, *, layer: str, csv_safe: bool) -> None:
    """Write CSV in UTF-8, the footprints as WKT, and beside it the sidecar with CRS and metadata.

    Args:
        gdf: The layer.
        path: Where to write.
        layer: Not used: a CSV file has no layer name.
        csv_safe: Whether to disarm formulas in texts and column names. Then texts may differ from the layer's.
    """
    del layer
    table = pd.DataFrame(gdf.drop(columns="geometry"))
    texts = [name for name in table if not _is_plain(table[name].dtype)]
    for name in texts:
        table[name] = table[name].astype("string").map(disarm_formula if csv_safe else str, na_action="ignore")
    table["geometry"] = shapely.to_wkt(gdf.geometry.to_numpy(), rounding_precision=-1)
    if csv_safe:
        table = table.rename(columns=lambda name: disarm_formula(str(name)))
    table.to_csv(path, index=False, encoding="utf-8", quoting=csv.QUOTE_NONNUMERIC, date_format="%Y-%m-%dT%H:%M:%S.%f")
    sidecar = {
        "sha256": _sha256(path),
        "crs": gdf.crs.to_json_dict(),
        "csv_safe": csv_safe,
        METADATA_KEY: layer_metadata(gdf),
    }
    sidecar_path(path).write_text(json.dumps(sidecar, indent=2) + "\n", encoding="utf-8")


def read_csv(path: Path) -> gpd.GeoDataFrame:
    """Read a CSV that `write_csv` wrote, the CRS and metadata from its sidecar.

    Metadata are left out, with a warning, if the CSV has been changed since; formulas stay disarmed.
    """
    sidecar_file = sidecar_path(path.resolve())
    if not sidecar_file.exists():
        raise MissingCRSError(
            f"{path.name} has no {sidecar_file.name} beside it to say its CRS: bring that file along, or "
            "geopandas.GeoSeries.from_wkt(pandas.read_csv(path)['geometry'], crs=...)"
        )
    sidecar = json.loads(sidecar_file.read_text(encoding="utf-8"))
    table = pd.read_csv(path, dtype="string", keep_default_na=False, encoding="utf-8")
    table = table.mask(table == "")
    gdf = gpd.GeoDataFrame(
        table.drop(columns="geometry"), geometry=gpd.GeoSeries.from_wkt(table["geometry"], crs=sidecar["crs"])
    )
    if sidecar.get("sha256") != _sha256(path):
        warnings.warn(
            f"{path.name} has changed since {sidecar_file.name} was written: its metadata are left out", stacklevel=4
        )
    elif sidecar.get(METADATA_KEY):
        gdf.attrs[METADATA_KEY] = sidecar[METADATA_KEY]
    return gdf


def _is_plain(dtype: Any) -> bool:
    return bool(pd.api.types.is_numeric_dtype(dtype) or pd.api.types.is_datetime64_any_dtype(dtype))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
