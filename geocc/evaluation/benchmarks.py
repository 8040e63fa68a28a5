"""The pairs of the benchmarks: real ones from a folder, and synthetic ones whose truth is known."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from geocc.errors import InputError, ReadError
from geocc.evaluation.readers import read_references
from geocc.evaluation.records import Reference

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Collection, Iterator

    from numpy.typing import NDArray

    from geocc.data import Record
    from geocc.data.synthetic import TilePair

__all__ = ["Benchmark", "BenchmarkPair", "levir_cc", "synthetic"]

_CAPTION_FILE = "LevirCCcaptions.json"

# geocc-mini learned from scenes made of small seeds: none of these is among them.
_FIRST_SEED = 1_000_000_000
_CAPTIONS = 5
_UID = "synthetic_{seed}_{number}"


@dataclass(frozen=True, slots=True)
class BenchmarkPair:
    """A pair of images with what people say of it.

    Attributes:
        reference: Name, sentences, and whether the ground changed.
        read: Returns the images, `(T=2, C=3, H, W)` uint8, the earlier date first.
        truth: What else is known of a synthetic pair: see `geocc.evaluation.breakdown`. JSON-safe.
    """

    reference: Reference
    read: Callable[[], NDArray[np.uint8]]
    truth: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Benchmark:
    """Pairs to caption, and how to name them in the results.

    Attributes:
        name: "levir-cc" or "synthetic".
        settings: What else decides which pairs these are; JSON-safe.
        total: How many pairs.
        pairs: Yields the pairs that are not among the names given, in a fixed order.
    """

    name: str
    settings: dict[str, str | int]
    total: int
    pairs: Callable[[Collection[str]], Iterator[BenchmarkPair]]


def levir_cc(root: str | os.PathLike[str], *, split: str = "test") -> Benchmark:
    """Make the LEVIR-CC benchmark of a folder.

    Args:
        root: The data set as it unpacks (`LevirCCcaptions.json` and `images/`), or a folder with a `records.json` in the
            universal format, all of whose pairs are taken.
        split: Part of the data set.

    Returns:
        The benchmark. Sentences are those of the caption file, letter by letter, as the published scores take them.

    Raises:
        InputError: The folder holds neither, or no pair of this split.
        ReadError: A file cannot be read.
    """
    folder = Path(root)
    if not folder.is_dir():
        raise ReadError(f"{folder} is not a folder; give the one that LEVIR-CC was unpacked to.")
    records = _records(folder, split)
    if not records:
        raise InputError(f"{folder} holds no pair of the split {split!r}; LEVIR-CC has train, val and test.")
    captions = folder / _CAPTION_FILE
    known = {reference.uid: reference for reference in read_references(captions)} if captions.is_file() else {}
    pairs = [
        BenchmarkPair(
            known.get(record.uid, Reference(record.uid, tuple(record.change_caption), bool(record.change_flag))),
            _reader(record),
        )
        for record in records
    ]
    return Benchmark(
        "levir-cc",
        {"split": split if known else "records.json"},
        len(pairs),
        lambda done: (pair for pair in pairs if pair.reference.uid not in done),
    )


def synthetic(pairs: int = 1000, *, seed: int = 0, domain: str = "vhr") -> Benchmark:
    """Make a benchmark of synthetic pairs, half of them unchanged, with five true sentences each.

    Args:
        pairs: How many.
        seed: Another seed, other pairs.
        domain: Which imagery they are like: a key of `geocc.data.synthetic.DOMAINS`, or `all`.

    Returns:
        The benchmark.

    Raises:
        InputError: A number is out of range, or there is no such domain.
    """
    if pairs < 1 or not 0 <= seed < 1000:
        raise InputError(f"pairs is {pairs} and seed {seed}; expected 1 pair or more, and a seed of 0 to 999.")
    from geocc.data.synthetic.domains import ALL, DOMAINS

    if domain not in {*DOMAINS, ALL}:
        raise InputError(f"domain is {domain!r}; expected {', '.join(map(repr, DOMAINS))} or {ALL!r}")
    settings: dict[str, str | int] = {"seed": seed, "pairs": pairs}
    # Results of the first domain have never named it, and go on.
    settings |= {"domain": domain} if domain != "vhr" else {}
    return Benchmark("synthetic", settings, pairs, lambda done: _synthetic_pairs(pairs, seed, done, domain=domain))


def _records(folder: Path, split: str) -> list[Record]:
    from geocc.data import read_records
    from geocc.data.readers import prepare

    if (folder / "records.json").is_file():
        return list(read_records(folder / "records.json"))
    if not (folder / _CAPTION_FILE).is_file():
        raise InputError(f"{folder} holds neither {_CAPTION_FILE} nor records.json; give LEVIR-CC's folder as --root.")
    return list(prepare("levir-cc", folder, split=split, check_images=False))


def _reader(record: Record) -> Callable[[], NDArray[np.uint8]]:
    def read() -> NDArray[np.uint8]:
        return np.stack([_read_rgb(path) for path in (record.img1_path, record.img2_path)])

    return read


def _read_rgb(path: Path) -> NDArray[np.uint8]:
    from PIL import Image

    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB")).transpose(2, 0, 1)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ReadError(f"{path} cannot be read as an image: {error}") from error


def _synthetic_pairs(pairs: int, seed: int, done: Collection[str], *, domain: str) -> Iterator[BenchmarkPair]:
    # Scenes come in order: all but the last one begun are complete, and need not be made again.
    numbers: dict[int, int] = {}
    for uid in done:
        scene = int(uid.split("_")[1])
        numbers[scene] = numbers.get(scene, 0) + 1
    last = max(numbers, default=-1)
    made = 0
    for scene in count(_FIRST_SEED + seed * 1_000_000):
        if scene < last:
            made += numbers.get(scene, 0)
            continue
        for pair in _scene_pairs(scene, domain):
            if made == pairs:
                return
            made += 1
            if pair.reference.uid not in done:
                yield pair


def _scene_pairs(scene: int, domain: str) -> Iterator[BenchmarkPair]:
    from geocc.data.synthetic import training_pairs, write_caption

    for number, tile in enumerate(training_pairs([scene], domain=domain)):
        words = np.random.default_rng([scene, number])
        sentences = [
            tile.caption,
            *(write_caption(tile.description.facts, words, plain=0.0) for _ in range(_CAPTIONS - 1)),
        ]
        images = np.stack([tile.t1, tile.t2])
        reference = Reference(_UID.format(seed=scene, number=number), tuple(sentences), tile.changed)
        yield BenchmarkPair(reference, lambda images=images: images, _truth(tile))  # type: ignore[misc]  # bound, not given


def _truth(tile: TilePair) -> dict[str, Any]:
    seen = tile.scene.conditions[1]
    return {
        "domain": tile.scene.domain,
        "gsd_m": round(tile.scene.gsd_m, 3),
        "shift_px": round(float(np.hypot(seen.shift_x, seen.shift_y)), 3),
        "facts": [
            {"category": str(fact.category), "direction": str(fact.direction), "place": str(fact.place)}
            for fact in tile.description.facts
        ],
    }
