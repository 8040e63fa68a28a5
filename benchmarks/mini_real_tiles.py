"""Tiles of the two real series that are held out of training, with what their indices tell, and what a captioner says."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import geocc

sys.path.append(str(Path(__file__).parents[1] / "scripts"))  # what was trained on is said there

from mini_real_quiet import tell
from mini_real_reading import read
from mini_real_series import EAST_MARGIN_PX, SERIES, Series

from geocc.data.own_region import WATER

if TYPE_CHECKING:
    from collections.abc import Iterator

    import xarray as xr
    from mini_real_quiet import Told

    from geocc.inference import Captioner

__all__ = ["SERIES", "TILE_SIZES", "JudgedTile", "held_out_crops", "judged_tiles"]

TILE_SIZES = (64, 128)
PAIRS = {
    "naip": ((2018, 2020), (2009, 2018), (2009, 2020)),
    "landsat": ((2010, 2020), (1985, 2010), (1985, 2020)),
}
"""Pairs of years, judged in both orders of time. At least one year of each is held out."""


@dataclass(frozen=True, slots=True)
class JudgedTile:
    """One tile of a pair: what its indices tell of it, as shares in [0, 1], and what was said of it.

    Attributes:
        series: The series it comes from.
        years: Earlier and later year, as they were given to the captioner.
        size_px: Its side.
        held_out: `both dates`, `eastern third`, or `later date only` for ground that was trained on at one of them.
        changed_share: Share whose classes are sure at both dates and differ.
        water_gain: Share that is surely water at the second date less that at the first.
        sure_water_gain: The same of pixels whose classes are sure at both dates.
        doubtful: Share in which an index differs by more than light makes it, and no sure class says that nothing changed.
        caption: What was said.
        said_changed: The captioner's flag.
        text_changed: Whether the caption tells a change.
        said_gained: Whether it tells that water came.
        said_lost: Whether it tells that water went.
        understood: Whether it could be read.
        probability: Of change, as the captioner has it.
    """

    series: str
    years: tuple[int, int]
    size_px: int
    held_out: str
    changed_share: float
    water_gain: float
    sure_water_gain: float
    doubtful: float
    caption: str
    said_changed: bool
    text_changed: bool
    said_gained: bool
    said_lost: bool
    understood: bool
    probability: float

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)


def judged_tiles(data: Path, captioner: Captioner) -> Iterator[JudgedTile]:
    """Caption tiles side by side over both series, and judge each by its indices."""
    for series in SERIES:
        for years in PAIRS[series.name]:
            for order in (years, years[::-1]):
                for ground, rasters in _grounds(series, data, order).items():
                    told = tell(*rasters, series=series)
                    for size in TILE_SIZES:
                        yield from _judge(series, order, ground, rasters, told, size=size, captioner=captioner)


def _grounds(series: Series, data: Path, years: tuple[int, int]) -> dict[str, tuple[xr.DataArray, xr.DataArray]]:
    """Return the parts of a pair, named by why they are held out."""
    fresh = not set(years) & set(series.trained)
    first, second = (series.open(data, year).load() for year in years)
    border = series.first_held_out_column(first.sizes["x"])
    parts = {
        "both dates" if fresh else "later date only": slice(0, border),
        "eastern third": slice(border + EAST_MARGIN_PX, None),
    }
    return {name: (first.isel(x=columns), second.isel(x=columns)) for name, columns in parts.items()}


def _judge(
    series: Series,
    years: tuple[int, int],
    ground: str,
    rasters: tuple[xr.DataArray, xr.DataArray],
    told: Told,
    *,
    size: int,
    captioner: Captioner,
) -> Iterator[JudgedTile]:
    layer = geocc.caption_changes(
        *rasters,
        model=captioner,
        bands=series.bands,
        align="t1",
        tile_size=size,
        min_valid_fraction=0.9,
        batch_size=32,
        on_error="raise",
        progress=False,
    )
    # The last row and column are pulled back inside the scene and overlap those before.
    apart = (layer["row"] % size == 0) & (layer["col"] % size == 0) & (layer["status"] == "ok")
    for row in layer[apart].itertuples():
        at = slice(row.row, row.row + size), slice(row.col, row.col + size)
        before, after = (labels[at] == WATER for labels in told.labels)
        changed = told.changed[at]
        said = read(row.caption)
        yield JudgedTile(
            series=series.name,
            years=years,
            size_px=size,
            held_out=ground,
            changed_share=float(changed.mean()),
            water_gain=float(after.mean() - before.mean()),
            sure_water_gain=float((after & changed).mean() - (before & changed).mean()),
            doubtful=float(min(told.doubtful[at].mean(), told.strange[at].mean())),
            caption=row.caption,
            said_changed=bool(row.changed),
            text_changed=said.changed,
            said_gained=said.water_gained,
            said_lost=said.water_lost,
            understood=said.understood,
            probability=float(row.change_probability),
        )


def held_out_crops(data: Path, *, number: int, seed: int, margin: int) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the series and the pixels `(3, size + 2 margins, ...)` of tiles drawn at random from held-out dates and ground."""
    rng = np.random.default_rng([seed, 11])
    rasters = {
        (series.name, year): series.open(data, year).values[[band - 1 for band in series.bands]]
        for series in SERIES
        for year in series.files
    }
    trained = {series.name: series.trained for series in SERIES}
    keys = list(rasters)
    while number:
        name, year = keys[int(rng.integers(len(keys)))]
        pixels = rasters[name, year]
        size = int(rng.choice(TILE_SIZES)) + 2 * margin
        first = Series.first_held_out_column(pixels.shape[2]) + EAST_MARGIN_PX if year in trained[name] else 0
        row, col = int(rng.integers(pixels.shape[1] - size)), int(rng.integers(first, pixels.shape[2] - size))
        crop = pixels[:, row : row + size, col : col + size]
        if crop.any(axis=0).mean() > 0.98:  # 0 is nodata
            number -= 1
            yield name, crop
