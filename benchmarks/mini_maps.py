"""Two maps to look at: NAIP 2009 to 2020 and Landsat 1985 to 2020, as figures, reports and captions, and judged by their indices.

    .venv/bin/python benchmarks/mini_maps.py /tmp/maps --data ../shared/data

The folder gets, for each, a picture (.png), a report (.html) and the layer (.geojson). They show imagery: do not commit them.
Tiles of the last row and column overlap those before and are counted like any other: the counts are those of the map that one sees.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from mini_real import GAINED

import geocc
from geocc.inference.ccexpert import CCExpertCaptioner
from geocc.scene import open_pair
from geocc.views import figure, report

sys.path.append(str(Path(__file__).parents[1] / "scripts"))  # the series are described there

from mini_real_quiet import tell
from mini_real_reading import read
from mini_real_series import SERIES
from mini_real_validation import UNCHANGED

from geocc.data.own_region import WATER

if TYPE_CHECKING:
    import geopandas as gpd
    from mini_real_quiet import Told

YEARS = {"naip": (2009, 2020), "landsat": (1985, 2020)}
TILE_PX = {"naip": 96, "landsat": 64}


def main() -> None:
    """Caption both pairs and write what there is to look at."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="geocc-mini", help="a name, a folder or a hub id")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--top", type=int, default=20, help="captions that the figure lists")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    captioner = CCExpertCaptioner.from_pretrained(arguments.model, local_files_only=True)
    for series in SERIES:
        years = YEARS[series.name]
        files = [arguments.data / series.files[year] for year in years]
        layer = geocc.caption_changes(
            *files,
            model=captioner,
            bands=series.bands,
            align="t1",
            tile_size=TILE_PX[series.name],
            output=arguments.folder / f"{series.name}.geojson",
            progress=False,
        )
        pair = open_pair(*files, bands=series.bands, align="t1")
        title = f"{series.name} {years[0]} to {years[1]}: what geocc-mini says"
        figure(layer, pair, path=arguments.folder / f"{series.name}.png", top=arguments.top, title=title)
        report(layer, pair, path=arguments.folder / f"{series.name}.html", title=title)
        print(f"{series.name}: {int(layer['changed'].sum())} of {len(layer)} tiles called changed")
        rasters = (series.open(arguments.data, year).load() for year in years)
        judge(layer, tell(*rasters, series=series), tile_px=TILE_PX[series.name])


def judge(layer: gpd.GeoDataFrame, told: Told, *, tile_px: int) -> None:
    """Print what the indices make of a layer's tiles beside what is said of them."""
    tiles = []
    for tile in layer.itertuples():
        at = slice(tile.row, tile.row + tile_px), slice(tile.col, tile.col + tile_px)
        before, after = (float((labels[at] == WATER).mean()) for labels in told.labels)
        tiles.append((bool(tile.changed), float(told.changed[at].mean()), after - before, read(tile.caption)))
    for what, counted in (
        ("changed, called changed", [called for called, share, _, _ in tiles if share >= UNCHANGED]),
        ("unchanged, called changed", [called for called, share, _, _ in tiles if share < UNCHANGED]),
        ("water gained, said", [said.water_gained for *_, gain, said in tiles if gain >= GAINED]),
        ("water lost, said", [said.water_lost for *_, gain, said in tiles if gain <= -GAINED]),
    ):
        print(f"  {what}: {sum(counted)} of {len(counted)}")


if __name__ == "__main__":
    main()
