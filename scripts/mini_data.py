"""Data for geocc-mini: synthetic tiles, rendered once into a cache of shards."""

from __future__ import annotations

import io
import json
from dataclasses import asdict
from multiprocessing import Pool
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from geocc.data.synthetic import Category, Direction, Fact, training_pairs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from geocc.data.synthetic import TilePair

TILE_PX = 256
INPUT_PX = 128
TOKENS = 8
SCENES_PER_SHARD = 50
KINDS = [(category, direction) for category in list(Category)[:5] for direction in Direction]
"""What may come or go; the two directions of a category are neighbours, so that `kind ^ 1` reverses time."""


def render(cache: Path, *, shards: range, workers: int, per_scene: int = 8) -> None:
    """Render the shards that the cache does not hold yet."""
    cache.mkdir(parents=True, exist_ok=True)
    missing = [(cache, shard, per_scene) for shard in shards if not facts_path(cache, shard).exists()]
    with Pool(workers) as pool:
        for done, tiles in enumerate(pool.imap_unordered(_render_shard, missing), start=1):
            print(f"rendered {done}/{len(missing)} shards, {tiles} tiles in the last", flush=True)


def facts_path(cache: Path, shard: int) -> Path:
    """Return where the facts of a shard lie; they are written last."""
    return cache / f"{shard:05d}.json"


def load(cache: Path) -> tuple[list[np.ndarray], list[np.ndarray], list[list[list[Fact]]]]:
    """Return images, kind maps and facts of every complete shard; the images stay on disk."""
    names = sorted(path.stem for path in cache.glob("*.json"))
    images = [np.load(cache / f"{name}-images.npy", mmap_mode="r") for name in names]
    maps = [np.load(cache / f"{name}-kinds.npy") for name in names]
    facts = [
        [[_fact(entry) for entry in tile] for tile in json.loads((cache / f"{name}.json").read_text())]
        for name in names
    ]
    return images, maps, facts


def resize(image: np.ndarray) -> np.ndarray:
    """Resize a `(3, H, W)` uint8 tile to the model's input, as `CCExpertProcessor` does."""
    picture = Image.fromarray(np.ascontiguousarray(image.transpose(1, 2, 0)))
    return np.asarray(picture.resize((INPUT_PX, INPUT_PX), Image.Resampling.BICUBIC)).transpose(2, 0, 1)


def kind_map(pair: TilePair) -> np.ndarray:
    """Return `(kinds, TOKENS, TOKENS)` uint8: which share of every token changed in which way, 255 for all of it."""
    side = pair.description.mask.shape[0]
    maps = np.zeros((len(KINDS), side, side), dtype=np.float32)
    window = pair.window
    for change in pair.scene.changes:
        top, left = change.window.top - window.top, change.window.left - window.left
        cut_top, cut_left = max(-top, 0), max(-left, 0)
        mask = change.mask[cut_top : side - top, cut_left : side - left] if top < side and left < side else None
        if mask is None or not mask.size:
            continue
        view = maps[KINDS.index((change.category, change.direction))]
        view[top + cut_top :, left + cut_left :][: mask.shape[0], : mask.shape[1]] += mask
    block = side // TOKENS
    shares = maps.reshape(len(KINDS), TOKENS, block, TOKENS, block).mean(axis=(2, 4))
    return np.rint(np.minimum(shares, 1) * 255).astype(np.uint8)


def _render_shard(job: tuple[Path, int, int]) -> int:
    cache, shard, per_scene = job
    images, maps, facts = [], [], []
    for pair in _pairs(shard, per_scene):
        rng = np.random.default_rng([shard, len(images), 5])
        images.append(np.stack([resize(_compressed(rng, image)) for image in (pair.t1, pair.t2)]))
        maps.append(kind_map(pair))
        facts.append([asdict(fact) for fact in pair.description.facts])
    np.save(cache / f"{shard:05d}-images.npy", np.stack(images))
    np.save(cache / f"{shard:05d}-kinds.npy", np.stack(maps))
    facts_path(cache, shard).write_text(json.dumps(facts))
    return len(images)


def _pairs(shard: int, per_scene: int) -> Iterator[TilePair]:
    """Yield the tiles of a shard's scenes, at ground sampling distances around half a metre."""
    for seed in range(shard * SCENES_PER_SHARD, (shard + 1) * SCENES_PER_SHARD):
        rng = np.random.default_rng([seed, 3])
        gsd_m = 0.5 if rng.random() < 0.5 else float(rng.uniform(0.4, 0.6))
        shift = float(rng.choice([0.5, 1.5, 2.0]))
        yield from training_pairs(
            [seed], tile_px=TILE_PX, gsd_m=gsd_m, per_scene=per_scene, change_density=0.45, max_shift_px=shift
        )


def _compressed(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Send a quarter of the images through JPEG."""
    if rng.random() < 0.75:
        return image
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image.transpose(1, 2, 0))).save(
        buffer, "JPEG", quality=int(rng.integers(70, 96))
    )
    return np.asarray(Image.open(buffer)).transpose(2, 0, 1)


def _fact(entry: dict[str, object]) -> Fact:
    """Build a fact back from JSON."""
    return Fact(**entry | {"category": Category(entry["category"]), "direction": Direction(entry["direction"])})
