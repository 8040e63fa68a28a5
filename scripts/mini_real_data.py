"""Real training pairs for geocc-mini, from two series of public-domain imagery: NAIP and Landsat.

    .venv/bin/python scripts/mini_real_data.py /tmp/mini/real --data ../shared/data [--edition 2]

The folder gets `real.jsonl` (`real-1.jsonl`, `real-2.jsonl`) and the tiles that it names. The captions of changed pairs are written from water and vegetation
indices (`geocc.data.own_region`). Unchanged pairs are of two sorts: tiles of two dates between which the indices hardly
differ, and tiles of one date beside a copy in other light, shifted, blurred, noisy or compressed. Most tiles of two dates
too are given another light than they were taken in, lest dates be known by their colours. The second edition has other windows of two dates
and nothing else, half of them unchanged by the masks though the indices may leave it in doubt. The third has others again, more of them unchanged,
many of those with a little change; what changed, did so on more than that. Two dates of either series, and the eastern third of both at every date, are held out for `benchmarks/mini_real.py`.
"""

from __future__ import annotations

import argparse
import time
import zlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from mini_real_nuisance import MARGIN_PX, NUISANCES, disturb
from mini_real_patches import patchworks
from mini_real_quiet import Told, quiet_tiles, tell
from mini_real_reading import read
from mini_real_series import SERIES, Series
from PIL import Image

from geocc.data import Record, write_records
from geocc.data.masks import INDICES, ChangeMask, write_captions
from geocc.data.own_region import WATER, caption_indices

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import xarray as xr
    from numpy.random import Generator
    from numpy.typing import NDArray

WATER_FROM = 0.04
"""Net share of a tile that water gained or lost, from which its captions speak of water."""
_WATER_ALONE = (
    (
        "water has appeared",
        "there is new water",
        "some water has emerged",
        "water has emerged",
        "some water has appeared",
    ),
    ("some water has disappeared", "some water has been lost", "some water has vanished", "some water is lost"),
)
CAPTIONS = 5
BORDER_FROM = 0.003
"""Share of an unchanged tile that changed, by its mask, from which it lies at the border."""
_IN_PLACE = ("light", "other date's tones", "blur", "noise", "jpeg")
"""Nuisances that leave every pixel where its label is."""
SHARES = {"naip": 0.6, "landsat": 0.4}
"""Share of either series among the pairs, as far as it has so many."""


@dataclass(frozen=True, slots=True)
class Edition:
    """Which tiles there are.

    Attributes:
        records: Name of the file of records.
        tile_sizes: Sides in pixels.
        quiet_below: Share of an unchanged tile of two dates that changed at most, by its mask.
        sure: Whether the indices must leave no doubt that it is unchanged.
        two_dates: Share of the unchanged tiles, at most, that are of two dates; the others, if less than 1, are of one.
        changed_from: Share of a changed tile that changed at least, by its mask.
        unchanged: Share of the tiles that are unchanged.
        border: Share of the unchanged tiles of two dates, as far as there are so many, that lie at the border.
        retouched: Share of the pictures of two dates that get another light.
        patched_pairs: How many pairs of patchworks there are in the place of pairs of dates (`mini_real_patches`); none if 0.
    """

    records: str
    tile_sizes: tuple[int, ...]
    quiet_below: float
    sure: bool
    two_dates: float
    changed_from: float = 0.02
    unchanged: float = 0.5
    border: float | None = None
    retouched: float = 0.6
    patched_pairs: int = 0


EDITIONS = (
    Edition("real.jsonl", (64, 96, 128, 192), quiet_below=0.01, sure=True, two_dates=0.5),
    # What was known by heart after so many legs was called unchanged rightly, and the same of other dates not: more windows, and
    # the doubtful ones too, for that is what a season leaves of a meadow.
    Edition("real-1.jsonl", (48, 80, 112, 160), quiet_below=0.02, sure=False, two_dates=1.0),
    # What was called changed wrongly after those had a little change nearly always. What has a little more is an example of neither.
    Edition(
        "real-2.jsonl",
        (56, 72, 104, 120),
        quiet_below=0.02,
        sure=False,
        two_dates=1.0,
        changed_from=0.03,
        unchanged=0.6,
        border=0.6,
        retouched=0.85,
    ),
    # Ground of four dates is soon known by heart, and with it what changed there. Patchworks of them have to be compared.
    Edition(
        "real-3.jsonl",
        (64, 88, 128, 152),
        quiet_below=0.02,
        sure=False,
        two_dates=1.0,
        changed_from=0.02,
        border=0.5,
        retouched=0.85,
        patched_pairs=14,
    ),
)


def main() -> None:
    """Write the tiles and the records, and print how many there are of which kind."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--pairs", type=int, default=12_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--edition", type=int, choices=range(len(EDITIONS)), default=0, help="from 1 on: other windows")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    began = time.perf_counter()
    edition, folder = EDITIONS[arguments.edition], arguments.folder.absolute()
    records = [
        record
        for series in SERIES
        for record in _records(series, edition, arguments.data, folder, pairs=arguments.pairs, seed=arguments.seed)
    ]
    order = np.random.default_rng([arguments.seed, 7]).permutation(len(records))
    number = write_records(folder / edition.records, [records[at] for at in order])
    kinds = Counter(f"{record.source} {_kind(record)}" for record in records)
    print(f"{number} pairs in {time.perf_counter() - began:.0f} s")
    for kind, count in sorted(kinds.items()):
        print(f"{count:6} {kind}")


def _records(series: Series, edition: Edition, data: Path, folder: Path, *, pairs: int, seed: int) -> Iterator[Record]:
    """Yield the pairs of one series."""
    rasters = {year: series.west(data, year) for year in series.trained}
    pairs_of_dates = series.pairs()
    if edition.patched_pairs:
        rasters, pairs_of_dates = patchworks(rasters, edition.patched_pairs, seed=seed)
    captioned = [
        record for pair in pairs_of_dates for record in _two_dates(series, edition, rasters, pair, folder, seed=seed)
    ]
    rng = np.random.default_rng([seed, zlib.crc32(series.name.encode())])
    wanted = pairs * SHARES[series.name]
    quiet = round(wanted * edition.unchanged)
    changed = _draw([record for record in captioned if record.change_flag], round(wanted - quiet), rng)
    unchanged = _draw_unchanged(captioned, int(quiet * edition.two_dates), rng, border=edition.border)
    for record in (*changed, *unchanged):
        _retouch(record, series, rasters, rng, share=edition.retouched)
        yield record
    for number in range(quiet - len(unchanged) if edition.two_dates < 1 else 0):
        yield _one_date(series, rasters, f"{series.name}_same_{number}", folder, rng)


def _draw_unchanged(records: list[Record], most: int, rng: Generator, *, border: float | None) -> list[Record]:
    """Keep as many unchanged records as wanted, a share of them at the border of change if one is given."""
    quiet = [record for record in records if not record.change_flag]
    if border is None:
        return _draw(quiet, most, rng)
    at_border = {record.uid for record in quiet if (record.model_extra or {})["changed_share"] >= BORDER_FROM}
    near = _draw([record for record in quiet if record.uid in at_border], round(most * border), rng)
    return near + _draw([record for record in quiet if record.uid not in at_border], most - len(near), rng)


def _draw(records: list[Record], most: int, rng: Generator) -> list[Record]:
    """Keep as many as wanted, and remove the tiles of the others."""
    order = rng.permutation(len(records))
    for at in order[most:]:
        _remove(records[at])
    return [records[at] for at in order[:most]]


def _two_dates(
    series: Series,
    edition: Edition,
    rasters: dict[int, xr.DataArray],
    pair: tuple[int, int],
    folder: Path,
    *,
    seed: int,
) -> Iterator[Record]:
    """Yield tiles of two dates that are clear examples of change, and of its absence."""
    told = tell(*(rasters[year] for year in pair), series=series)
    for tile_size in edition.tile_sizes:
        name = f"{series.name}_{pair[0]}_{pair[1]}_{tile_size}"
        for record in caption_indices(
            *(rasters[year] for year in pair),
            folder / f"{series.name}_tiles",
            name=name,
            indices=series.indices,
            bands=series.bands,
            align="t1",
            tile_size=tile_size,
            stride=round(tile_size * (1 - series.overlap)),
            style="levir",
            seed=seed,
            count=3 * CAPTIONS,
            fields=_fields(series, pair),
        ):
            if _share(record.mask_path, 255) >= edition.changed_from:
                yield about_water(record, _water_gain(record.uid, told, tile_size))
            else:
                _remove(record)
        for window, images in quiet_tiles(
            *(rasters[year] for year in pair),
            series=series,
            told=told,
            tile_size=tile_size,
            stride=tile_size // 3,
            changed_below=edition.quiet_below,
            sure=edition.sure,
        ):
            uid = f"{name}_quiet_{window.row}_{window.col}"
            little = float(told.changed[window.rows, window.cols].mean())
            fields = _fields(series, pair) | {"changed_share": little}
            yield _unchanged(uid, images, folder / f"{series.name}_tiles", fields)


def _retouch(record: Record, series: Series, rasters: dict[int, xr.DataArray], rng: Generator, *, share: float) -> None:
    """Give the pictures of a pair, each on its own, another light, blur, noise or compression, or none of them."""
    bands = [band - 1 for band in series.bands]
    years: list[int] = (record.model_extra or {})["years"]
    for path, year in zip((record.img1_path, record.img2_path), years, strict=True):
        if rng.random() >= share:
            continue
        drawn = set(rng.choice(_IN_PLACE, int(rng.choice([1, 2, 3])), replace=False))
        if {"light", "other date's tones"} <= drawn:
            drawn.remove("light")
        other = int(rng.choice([one for one in rasters if one != year]))
        tones = _tones(rasters[year].values[bands], rasters[other].values[bands])
        with Image.open(path) as picture:
            image = np.asarray(picture).transpose(2, 0, 1)
        wide = np.pad(image, ((0, 0), *[(MARGIN_PX, MARGIN_PX)] * 2), mode="reflect")
        kinds = tuple(kind for kind in NUISANCES if kind in drawn)
        Image.fromarray(np.ascontiguousarray(disturb(wide, kinds, tones=tones, rng=rng).transpose(1, 2, 0))).save(path)


def about_water(record: Record, gain: float) -> Record:
    """Keep captions that tell whether water came or went, where that is much of what is seen.

    Args:
        record: A tile with many captions from its mask, which knows only of ground that is sure at both dates.
        gain: Share of the tile that is surely water at the later date less that at the earlier; where no caption tells of it,
            it is told all the same.
    """
    captions = record.change_caption
    if abs(gain) >= WATER_FROM:
        said = [read(caption) for caption in captions]
        fit = [text for text, one in zip(captions, said, strict=True) if (one.water_gained, one.water_lost)[gain < 0]]
        captions = fit or list(_WATER_ALONE[gain < 0])
    return record.model_copy(update={"change_caption": captions[:CAPTIONS]})


def _water_gain(uid: str, told: Told, tile_size: int) -> float:
    """Return the net share of a tile, whose name ends in its row and column, that became water."""
    row, col = map(int, uid.split("_")[-2:])
    before, after = (labels[row : row + tile_size, col : col + tile_size] == WATER for labels in told.labels)
    return float(after.mean() - before.mean())


def _share(path: Path | None, value: int) -> float:
    """Return the share of a picture that has a value; of none, none."""
    return 0.0 if path is None else float((np.asarray(Image.open(path)) == value).mean())


def _one_date(series: Series, rasters: dict[int, xr.DataArray], uid: str, folder: Path, rng: Generator) -> Record:
    """Return a tile of one date beside a copy that was taken otherwise, either of them first."""
    year, other = (int(one) for one in rng.choice(series.trained, 2, replace=False))
    raster = rasters[year].values[[band - 1 for band in series.bands]]
    size = int(rng.choice(EDITIONS[0].tile_sizes))
    while True:
        row, col = (int(rng.integers(side - size - 2 * MARGIN_PX)) for side in raster.shape[1:])
        window = raster[:, row : row + size + 2 * MARGIN_PX, col : col + size + 2 * MARGIN_PX]
        if window.any(axis=0).mean() > 0.98:  # 0 is nodata
            break
    kinds = _choose_nuisances(rng)
    tones = _tones(raster, rasters[other].values[[band - 1 for band in series.bands]])
    images = [disturb(window, one, tones=tones, rng=rng) for one in ((), kinds)]
    if rng.random() < 0.5:
        images.reverse()
    fields = _fields(series, (year, year)) | {"nuisances": list(kinds)}
    return _unchanged(uid, images, folder / f"{series.name}_tiles", fields)


def _unchanged(uid: str, images: Sequence[NDArray[np.uint8]], folder: Path, fields: dict[str, Any]) -> Record:
    """Write a pair without change, and return its record."""
    nothing = ChangeMask.from_to(*np.zeros((2, *images[0].shape[1:]), dtype=np.int64), vocabulary=INDICES)
    layers = {"A": images[0].transpose(1, 2, 0), "B": images[1].transpose(1, 2, 0), "mask": nothing.changed}
    paths = {name: folder / name / f"{uid}.png" for name in layers}
    for name, path in paths.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.ascontiguousarray(layers[name].astype(np.uint8))).save(path)
    return Record.model_validate(
        {
            "uid": uid,
            "change_flag": 0,
            "img1_path": paths["A"],
            "img2_path": paths["B"],
            "mask_path": paths["mask"],
            "label_classes": sorted(INDICES),
            "change_caption": write_captions(nothing, style="levir", seed=zlib.crc32(uid.encode())),
            "change_kinds": [],
        }
        | fields
    )


def _choose_nuisances(rng: Generator) -> tuple[str, ...]:
    """Draw none, one or several."""
    number = int(rng.choice([0, 1, 2, 3, 4], p=[0.08, 0.37, 0.25, 0.2, 0.1]))
    drawn = set(rng.choice(NUISANCES, number, replace=False))
    if {"light", "other date's tones"} <= drawn:
        drawn.remove("light")  # either alone is as far apart as two dates are
    return tuple(kind for kind in NUISANCES if kind in drawn)


def _tones(image: NDArray[np.uint8], other: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return `(3, 256)` values that give one date the histogram of another, band by band."""
    curves = []
    for plane, wanted in zip(image, other, strict=True):
        shares = [np.cumsum(np.bincount(one[one > 0], minlength=256)) for one in (plane, wanted)]
        ranks = [share / share[-1] for share in shares]
        curves.append(np.interp(ranks[0], ranks[1], np.arange(256)).round().astype(np.uint8))
    return np.stack(curves)


def _fields(series: Series, years: tuple[int, int]) -> dict[str, Any]:
    return {
        "source": series.name,
        "split": "train",
        "licence": "public domain",
        "gsd_m": series.gsd_m,
        "years": list(years),
    }


def _remove(record: Record) -> None:
    for path in (record.img1_path, record.img2_path, record.mask_path, record.label1_path, record.label2_path):
        if path is not None:
            path.unlink()


def _kind(record: Record) -> str:
    """Say what a record is an example of."""
    if record.change_flag:
        return f"changed: {record.change_kinds[0] if record.change_kinds else 'something'}"
    return f"unchanged: {'one date' if 'same' in record.uid else 'two dates'}"


if __name__ == "__main__":
    main()
