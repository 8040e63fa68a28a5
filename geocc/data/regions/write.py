"""Two rasters and captions in, a folder of tile pairs and records out."""

from __future__ import annotations

import itertools
import json
import secrets
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geocc.data.records import write_records
from geocc.data.regions.layer import is_layer, label_layer
from geocc.data.regions.polygons import label_tiles
from geocc.data.regions.split import SPLITS, split_windows
from geocc.data.regions.summary import DROPPED, SplitCount, TrainingSet
from geocc.data.regions.tiles import TileWriter, room
from geocc.data.regions.vectors import read_captions
from geocc.errors import GeoccError, InputError, WriteError

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Sequence

    import geopandas as gpd
    from odc.geo.geobox import GeoBox

    from geocc.data.records import Record
    from geocc.data.regions.labels import Labels, TileLabel
    from geocc.data.regions.layer import FlagFrom
    from geocc.scene.bands import BandChoice
    from geocc.scene.pair import Raster, ScenePair
    from geocc.scene.plan import Sampler
    from geocc.scene.roi import Region
    from geocc.scene.scaling import Scale

__all__ = ["write_training_set"]


def write_training_set(
    ds_t1: Raster,
    ds_t2: Raster,
    captions: gpd.GeoDataFrame | str | os.PathLike[str],
    folder: str | os.PathLike[str],
    *,
    name: str = "region",
    caption_column: str | None = None,
    category_column: str | None = None,
    flag_from: FlagFrom = "agree",
    tile_size: int | None = None,
    stride: int | None = None,
    roi: Region | None = None,
    sampler: Sampler | None = None,
    bands: BandChoice | None = None,
    align: str | GeoBox = "error",
    resampling: str = "bilinear",
    scale: Scale = "auto",
    nodata: float | tuple[float | None, float | None] | None = None,
    min_share: float = 0.001,
    min_valid_fraction: float = 0.5,
    max_unchanged: float = 0.5,
    split: Sequence[float] = (0.8, 0.2),
    buffer: float = 0.0,
    blocks: int | None = None,
    seed: int = 0,
    fields: dict[str, Any] | None = None,
    progress: bool | Callable[[int, int], None] = True,
) -> TrainingSet:
    """Cut two rasters into tile pairs, captioned by a person, and split them in space.

    The captions are either polygons of changes, each with a caption, or a layer that `caption_changes` wrote and a
    person corrected. Of a layer the tiles are taken exactly as they are; its `failed` and `skipped_nodata` ones are left
    out. Over polygons tiles are laid as `caption_changes` lays them: by `geocc.scene.FullCoverGridSampler` or by a
    sampler of your own.

    The folder holds `t1/` and `t2/` with lossless pictures, `train.json`, `val.json` and, if asked for, `test.json` with
    records that `geocc train` reads, and `region.json`, which tells how it was made.

    Args:
        ds_t1: The earlier date; see `geocc.scene.open_pair`, as for `bands`, `align`, `resampling`, `scale` and `nodata`.
        ds_t2: The later date.
        captions: Polygons or a layer, or a file of either. Converted from their own CRS to the scene's, as a region of
            interest is; the rasters are not.
        folder: Folder to make. It is there whole or not at all; one that holds anything is refused.
        name: `source` of the records, with which their uids begin; letters, digits, `-` and `_`.
        caption_column: Column of the captions. Default: `caption`; of a layer, `corrected_caption` where it is filled.
        category_column: Of polygons, a column to keep with the outlines in the records.
        flag_from: Of a layer, what says whether a tile changed: its `caption`, its `changed`, or both (`agree`).
        tile_size: Over polygons, side of a tile in pixels; 256 when left out.
        stride: Over polygons, pixels from one tile to the next; `tile_size` when left out.
        roi: Over polygons, the ground that they tell of: beyond it nobody looked, and a tile is not unchanged.
        sampler: Over polygons, a TorchGeo sampler in place of the full-cover grid; see `geocc.scene.plan_tiles`.
        bands: Red, green and blue.
        align: What to do about grids that differ; of a layer, what it was made with.
        resampling: How warping interpolates.
        scale: How values become uint8.
        nodata: Value that marks missing pixels.
        min_share: Share of a tile that a polygon must cover to be told, in [0, 1). Tiles that are merely grazed are left
            out: neither changed nor unchanged.
        min_valid_fraction: Tiles with a smaller share of pixels valid in both dates are left out.
        max_unchanged: Largest share of unchanged tiles in each part, in [0, 1]; the seed chooses which stay. 1: all do.
        split: Shares of train, val and test; see `split_windows`.
        buffer: Pixels between tiles of different parts.
        blocks: Blocks that are each cut into all parts; by the number of tiles when left out.
        seed: Another seed, another split and another choice of unchanged tiles.
        fields: Further keys of the records, such as `licence`.
        progress: True for a bar, or a function called with `(tiles done, tiles in all)`.

    Returns:
        Where it lies, tiles of each part, and tiles left out by reason.

    Raises:
        InputError: A caption is empty or contradicts its flag (the tiles are named), an argument cannot be used, or the
            scene is too small for the split; its children say what is wrong with bands, CRS, grids or values.
        ReadError: A raster or the captions cannot be read.
        WriteError: The folder holds something, or cannot be written.
    """
    from geocc.scene.pair import open_pair

    target = Path(folder).absolute()
    _check(target, name=name, min_share=min_share, min_valid_fraction=min_valid_fraction, max_unchanged=max_unchanged)
    frame = captions if hasattr(captions, "columns") else read_captions(captions)
    pair = open_pair(ds_t1, ds_t2, bands=bands, align=align, resampling=resampling, scale=scale, nodata=nodata)
    laid = {"tile_size": tile_size, "stride": stride, "roi": roi, "sampler": sampler}
    if is_layer(frame):
        _refuse([key for key, value in laid.items() if value is not None])
        labels = label_layer(frame, pair.geobox, caption_column=caption_column, flag_from=flag_from)
    else:
        labels = _label_by_polygons(
            pair, frame, laid, caption_column=caption_column, category_column=category_column, min_share=min_share
        )
    tiles = _split(labels, split, buffer=buffer, blocks=blocks, seed=seed)
    with _draft(target) as draft, _counting(progress, _expected(tiles, max_unchanged)) as advance:
        writer = TileWriter(pair, draft, name, min_valid_fraction, max_unchanged, seed, fields or {}, advance)
        written = {part: writer.write(members, part=part) for part, members in tiles.items()}
        labels.dropped |= writer.dropped
        made = _summary(target, labels, written)
        for part, records in written.items():
            write_records(draft / f"{part}.json", records)
        tiling = {
            "split": list(split),
            "buffer": buffer,
            "blocks": blocks,
            "seed": seed,
            "max_unchanged": max_unchanged,
        }
        _tell(draft / "region.json", made, pair=pair, tiling=tiling)
    return made


def _check(target: Path, *, name: str, **shares: float) -> None:
    if not name.replace("-", "").replace("_", "").isalnum():
        raise InputError(f"the name is {name!r}; expected letters, digits, '-' and '_'.")
    for key, share in shares.items():
        if not 0 <= share <= 1:
            raise InputError(f"{key} is {share}; expected a share from 0 to 1.")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise WriteError(f"{target} holds something already; name a new folder, or empty this one.")
    if not target.parent.is_dir():
        raise WriteError(f"{target} cannot be written: its folder does not exist; make it: mkdir -p {target.parent}")


def _refuse(given: list[str]) -> None:
    if given:
        raise InputError(
            f"{', '.join(given)} cannot be given with a layer of geocc's: its own tiles are taken as they are."
        )


def _label_by_polygons(
    pair: ScenePair, polygons: gpd.GeoDataFrame, laid: dict[str, Any], *, caption_column: str | None, **options: Any
) -> Labels:
    from geocc.scene.plan import plan_tiles

    plan = plan_tiles(pair, **{key: value for key, value in laid.items() if value is not None})
    return label_tiles(plan, polygons, caption_column=caption_column or "caption", **options)


def _split(labels: Labels, fractions: Sequence[float], **options: Any) -> dict[str, list[TileLabel]]:
    """Deal the labelled tiles to the parts, and count those that fall between."""
    if not labels.tiles:
        raise InputError("no tile has a caption to train on: each failed, is without data or is merely grazed.")
    windows, changed = [tile.window for tile in labels.tiles], [tile.changed for tile in labels.tiles]
    parts = split_windows(windows, fractions, changed=changed, **options).tolist()
    labels.dropped["buffer"] = parts.count(-1)
    return {
        name: [tile for tile, at in zip(labels.tiles, parts, strict=True) if at == part]
        for part, name in enumerate(SPLITS[: len(fractions)])
    }


def _expected(tiles: dict[str, list[TileLabel]], max_unchanged: float) -> int:
    total = 0
    for members in tiles.values():
        changed = sum(tile.changed for tile in members)
        total += changed + int(min(len(members) - changed, room(changed, max_unchanged)))
    return total


@contextmanager
def _draft(target: Path) -> Iterator[Path]:
    """Hand out a folder that becomes the target once the block ends without an exception."""
    draft = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        (draft / "t1").mkdir(parents=True)
        (draft / "t2").mkdir()
        yield draft
        if target.exists():
            target.rmdir()
        draft.replace(target)
    except OSError as error:
        if isinstance(error, GeoccError):
            raise
        raise WriteError(f"{target} cannot be written: {error}.") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


@contextmanager
def _counting(progress: bool | Callable[[int, int], None], total: int) -> Iterator[Callable[[], object]]:
    if callable(progress):
        numbers = itertools.count(1)
        yield lambda: progress(next(numbers), total)
        return
    from tqdm.auto import tqdm

    with tqdm(total=total, unit="tile", desc="writing", disable=not progress) as bar:
        yield bar.update


def _summary(target: Path, labels: Labels, written: dict[str, list[Record]]) -> TrainingSet:
    splits = {}
    for part, records in written.items():
        if not records:
            raise InputError(
                f"no tile is left for {part!r}: it holds none that changed, or none with enough data. Take another seed=, "
                "more unchanged tiles by max_unchanged=1, or fewer parts: split=(1.0,)."
            )
        changed = sum(record.change_flag for record in records)
        splits[part] = SplitCount(changed=changed, unchanged=len(records) - changed)
    return TrainingSet(
        folder=target,
        records={part: target / f"{part}.json" for part in written},
        splits=splits,
        planned=labels.planned,
        dropped={reason: labels.dropped[reason] for reason in DROPPED if labels.dropped.get(reason)},
        unused_polygons=labels.unused_polygons,
    )


def _tell(path: Path, made: TrainingSet, *, pair: ScenePair, tiling: dict[str, Any]) -> None:
    """Write beside the records how they were made."""
    from geocc._versions import versions

    about = {
        "tiles": {
            part: {"changed": count.changed, "unchanged": count.unchanged} for part, count in made.splits.items()
        },
        "dropped": made.dropped,
        "tiling": tiling,
        "pair": pair.describe(),
        "versions": versions(),
    }
    path.write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
