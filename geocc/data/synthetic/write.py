"""Synthetic pairs as a folder of pictures and records, for `geocc train` and for other tools."""

from __future__ import annotations

from itertools import count, islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from geocc.data.records import Record, write_records
from geocc.data.synthetic.cover import LABELS
from geocc.data.synthetic.domains import choose_domain
from geocc.data.synthetic.kinds import seen_within
from geocc.data.synthetic.pairs import training_pairs
from geocc.data.synthetic.views import VIEWS
from geocc.data.synthetic.wording import write_caption
from geocc.errors import InputError, WriteError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from os import PathLike

    from geocc.data.synthetic.pairs import TilePair
    from geocc.data.synthetic.views import View

__all__ = ["write_pairs"]

_SCENES_PER_SEED = 1_000_000
_SEEDS = 1000
_OTHERS_PLAIN = 0.2
_FOLDERS = ("A", "B", "masks", "labels1", "labels2")


def write_pairs(
    folder: str | PathLike[str],
    pairs: int,
    *,
    seed: int = 0,
    domain: str = "all",
    gsd_m: float | None = None,
    tile_px: int = 256,
    per_scene: int = 4,
    captions: int = 5,
    plain: float | None = None,
    max_shift_px: float = 2.0,
    views: int = 1,
    split: str = "train",
    on_pair: Callable[[], object] | None = None,
) -> Path:
    """Write pairs, half of them unchanged, with masks and captions.

    The folder gets `A/` and `B/` with the earlier and the later pictures, `masks/`, `labels1/` and `labels2/` with what
    stood on changed ground at either date (`LABELS`), and `records.json` in the universal format, written last. Records of changed pairs also hold the outlines of the changes in pixels, with their kinds. The
    benchmark `synthetic` is made of other seeds than any given here.

    Args:
        folder: Where to; made where it is missing. A folder that holds a `records.json` is refused.
        pairs: How many to paint.
        seed: 0 to 999: another seed, other scenes.
        domain: A key of `DOMAINS`, or `all`.
        gsd_m: Side of a pixel in metres; drawn where left out.
        tile_px: Side of a picture in pixels.
        per_scene: Most pairs of one scene, at least 2.
        captions: Sentences for each pair.
        plain: Probability that a sentence is in the plainest wording, in [0, 1]. Left out, 0.5 for the first of a pair and 0.2
            for the others, so that a pair is told in several ways; 1 tells the same facts in the same words everywhere.
        max_shift_px: Largest misregistration in pixels, at most 2.
        views: How often each is written, 1 to 16: further times it is mirrored or turned, every second time with the dates exchanged, and
            told anew.
        split: Part of the data set that the records name.
        on_pair: Called after every painted pair.

    Returns:
        The file of records.

    Raises:
        InputError: An argument is out of range.
        WriteError: The folder is taken or cannot be written to.
    """
    if pairs < 1 or captions < 1 or per_scene < 2 or not 0 <= seed < _SEEDS:
        raise InputError(
            f"pairs is {pairs}, captions {captions}, per_scene {per_scene} and seed {seed}; expected at least 1, 1 and 2, "
            f"and a seed of 0 to {_SEEDS - 1}"
        )
    if not 1 <= views <= len(VIEWS):
        raise InputError(f"views is {views}; expected 1 to {len(VIEWS)}, as there are no more ways to turn a pair")
    if plain is not None and not 0 <= plain <= 1:
        raise InputError(
            f"plain is {plain}; expected a probability of 0 to 1, or None for several wordings of each pair"
        )
    choose_domain(np.random.default_rng(0), domain, gsd_m)
    root = Path(folder).absolute()
    if (root / "records.json").exists():
        raise WriteError(f"{root} holds records.json already; give another folder, or remove it")
    first = seed * _SCENES_PER_SEED
    tiles = (
        (number, tile)
        for scene in count(first)
        for number, tile in enumerate(
            training_pairs(
                [scene],
                domain=domain,
                gsd_m=gsd_m,
                tile_px=tile_px,
                per_scene=per_scene,
                max_shift_px=max_shift_px,
            )
        )
    )
    try:
        for name in _FOLDERS:
            (root / name).mkdir(parents=True, exist_ok=True)
        records = (
            _record(root, tile, number, view=view, captions=captions, plain=plain, split=split)
            for number, tile in _counted(islice(tiles, pairs), on_pair)
            for view in VIEWS[:views]
        )
        write_records(root / "records.json", records)
    except OSError as error:
        raise WriteError(f"cannot write pairs into {root}: {error}; give a folder that can be written") from error
    return root / "records.json"


def _counted(
    tiles: Iterator[tuple[int, TilePair]], on_pair: Callable[[], object] | None
) -> Iterator[tuple[int, TilePair]]:
    for tile in tiles:
        yield tile
        if on_pair is not None:
            on_pair()


def _record(
    root: Path, tile: TilePair, number: int, *, view: View, captions: int, plain: float | None, split: str
) -> Record:
    """Write the pictures of a pair in one view and return its record."""
    at = VIEWS.index(view)
    uid = f"synthetic_{tile.scene.domain}_{tile.scene.seed}_{number}" + (f"_{at}" if at else "")
    paths = [root / name / f"{uid}.png" for name in _FOLDERS]
    dates, labels = [tile.t1, tile.t2], list(tile.labels())
    if view.exchanged:
        dates.reverse()
        labels.reverse()
    for path, image in zip(paths, (*dates, tile.description.mask, *labels), strict=True):
        _picture(view.picture(image)).save(path, compress_level=2)
    return Record(
        uid=uid,
        change_flag=1 if tile.changed else 0,
        img1_path=paths[0],
        img2_path=paths[1],
        mask_path=paths[2],
        label1_path=paths[3],
        label2_path=paths[4],
        label_classes=sorted(LABELS.values()),
        change_caption=_captions(tile, number, view=view, captions=captions, plain=plain),
        source="synthetic",
        split=split,
        licence="Apache-2.0",
        gsd_m=round(tile.scene.gsd_m, 4),
        change_polygons=_polygons(tile, view) if tile.changed else None,
        domain=tile.scene.domain,  # type: ignore[call-arg]  # further keys are kept
        composite=tile.scene.composite,
    )


def _captions(tile: TilePair, number: int, *, view: View, captions: int, plain: float | None) -> list[str]:
    """Tell what changed in a tile, as often as wanted."""
    at = VIEWS.index(view)
    facts = view.facts(tile.description.facts)
    # The pair as it was painted is told in the same words however many views there are.
    rng = np.random.default_rng([tile.scene.seed, number, 9, *([at] if at else [])])
    if plain is not None:
        return [write_caption(facts, rng, plain=plain) for _ in range(captions)]
    first = write_caption(facts, rng) if at else tile.caption
    return [first, *(write_caption(facts, rng, plain=_OTHERS_PLAIN) for _ in range(captions - 1))]


def _picture(image: np.ndarray) -> Image.Image:
    if image.dtype == bool:
        return Image.fromarray(image.astype(np.uint8) * 255)
    if image.ndim == 2:
        return Image.fromarray(np.ascontiguousarray(image))
    return Image.fromarray(np.ascontiguousarray(image.transpose(1, 2, 0)))


def _polygons(tile: TilePair, view: View) -> dict[str, object]:
    """Return the outlines of the changes in a tile, as GeoJSON in its pixels."""
    from shapely.geometry import mapping

    from geocc.data.synthetic.cover import principal
    from geocc.data.synthetic.frame import Window
    from geocc.data.synthetic.outline import outline

    features = []
    for change in tile.scene.changes:
        rows, cols, seen = seen_within(change, tile.window)
        if seen.any():
            place = Window(top=rows.start, left=cols.start, height=seen.shape[0], width=seen.shape[1])
            dates = (change.category_from, change.category_to)
            before, after = dates[::-1] if view.exchanged else dates
            properties = {"kind": " ".join(principal(before, after)), "from": str(before), "to": str(after)}
            shape = view.outline(outline(seen, place), side=tile.window.width)
            features.append({"type": "Feature", "properties": properties, "geometry": mapping(shape)})
    return {"type": "FeatureCollection", "features": features}
