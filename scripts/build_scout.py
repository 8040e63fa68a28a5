"""Build geocc-scout from nothing: pairs, training, calibration, measures and card; and then what geocc-mini has inside.

    python scripts/build_scout.py /tmp/geocc-scout --data /tmp/geocc-mini/data --out geocc/model/weights/geocc-scout

`--data` is the data folder of `build_mini.py`, whose painted and real pairs it learns from; scenes of half a metre, for which
gates are set most often, and more fields and rivers above 3 m, which are hardest, are painted besides. What is there already
is not made again.
"""

from __future__ import annotations

import argparse
import os
import time
from functools import partial
from itertools import islice
from multiprocessing import Pool
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from build_mini import measure
from mini_calibration import CALIBRATION_SCENES, fit_line
from mini_card import write_scout_card
from PIL import Image
from scout_pictures import draw_maps

from geocc.data.records import read_records
from geocc.data.synthetic import training_pairs
from geocc.inference import ScoutCaptioner, TileBatch
from geocc.model.scout import load_scout
from geocc.training.scout import ScoutExample, ScoutRecipe, StoredPairs, read_example, store_pairs, train_scout

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from geocc.data.synthetic import TilePair

PAIRS_AT_ONCE = 4000
SCENES_AT_ONCE = 500
HALF_METRE_SCENES = range(700_000_000, 700_008_000)
"""Scenes by seed that nothing else is trained or measured on; the first leg knows the first three parts of them."""
OTHER_SCENES = range(800_000_000, 800_036_000, 1000)
"""Where the scenes of the third leg begin, which nothing before it knows; each shard is of `SCENES_PER_SHARD`."""
FURTHER_SCENES = range(840_000_000, 840_036_000, 1000)
"""Where those begin that the fourth leg has besides."""
CLOSER_SCENES, CLOSER_HALF_METRE_SCENES = range(880_000_000, 880_048_000, 1000), range(720_000_000, 720_001_500)
"""Those of the fifth leg, at `CLOSER_PX`."""
SIXTH_SCENES, SIXTH_HALF_METRE_SCENES = range(960_000_000, 960_024_000, 1000), range(740_000_000, 740_000_500)
"""Those of the sixth leg, besides what geocc-mini learned from last."""
SEVENTH_SCENES, SEVENTH_HALF_METRE_SCENES = range(980_000_000, 980_048_000, 1000), range(760_000_000, 760_000_500)
"""Those of the seventh leg, besides what geocc-mini learned from last."""
EIGHTH_SCENES, EIGHTH_HALF_METRE_SCENES = range(900_000_000, 900_021_000, 1000), range(780_000_000, 780_001_500)
"""Those of the eighth leg, besides those of the seventh; more of half a metre, where the seventh had lost a little."""
NINTH_SCENES, NINTH_HALF_METRE_SCENES = range(900_025_000, 900_048_000, 1000), range(781_000_000, 781_001_000)
"""Those of the ninth leg, besides those of the seventh and eighth and of geocc-mini's leg of kinds."""
TENTH_SCENES, TENTH_HALF_METRE_SCENES = range(900_048_000, 900_072_000, 1000), range(782_000_000, 782_001_000)
"""Those of the tenth leg, besides what the ninth had."""
ELEVENTH_SCENES, ELEVENTH_HALF_METRE_SCENES = range(900_072_000, 900_096_000, 1000), range(783_000_000, 783_001_000)
"""Those of the eleventh leg, besides what the ninth and tenth had."""
SCENES_PER_SHARD = 250
CLOSER_PX = 192
DOMAINS = (
    ("medium", 256),
    ("landsat", 256),
    ("all", 256),
    ("medium", 256),
    ("landsat", 256),
    ("all", 128),
    ("medium", 128),
    ("landsat", 128),
)
"""Domain and side of the tiles of one shard after the other."""
FIRST_LEG = ScoutRecipe(image_size=128, compile=True)
SECOND_LEG = ScoutRecipe(steps=3200, learning_rate=2e-3, changed_weight=3.0, seed=1, compile=True)
"""The second goes on from the first, with five times as many scenes of half a metre, and holds a miss to be worse."""
THIRD_LEG = ScoutRecipe(steps=2800, learning_rate=1.5e-3, changed_weight=3.0, seed=2, compile=True)
"""The third goes on from the second on other painted scenes, three quarters of them above 3 m, of which it had seen too few for too short a time:
it was no better on those that it knew than on new ones."""
FOURTH_LEG = ScoutRecipe(steps=2800, learning_rate=1.5e-3, changed_weight=3.0, seed=3, compile=True)
"""The fourth has as many new scenes again, since after the third those that it knew went better than new ones."""
FIFTH_LEG = ScoutRecipe(steps=950, learning_rate=1.5e-3, changed_weight=3.0, seed=4, image_size=CLOSER_PX, compile=True)
"""The fifth looks at 192 pixels instead of 128: without any training the fourth's weights told changed pairs from others better so, while what
it had been trained on went far better than new scenes. All its painted pairs are new."""
SIXTH_LEG = ScoutRecipe(
    steps=1900, learning_rate=1.5e-3, warmup_steps=100, changed_weight=3.0, seed=5, image_size=128, compile=True
)
"""The sixth goes on from that mean, again on new scenes, and at 128 pixels, where a step takes less than half the time."""
SEVENTH_LEG = ScoutRecipe(
    steps=3600,
    learning_rate=1.5e-3,
    warmup_steps=100,
    changed_weight=3.0,
    cover_weight=0.5,
    seed=6,
    image_size=128,
    compile=True,
)
"""In the seventh covers count for more: the words of geocc-mini are no better than they are."""
EIGHTH_LEG = SEVENTH_LEG.model_copy(update={"steps": 2800, "seed": 7})
"""The eighth goes on as the seventh did."""
NINTH_LEG = SEVENTH_LEG.model_copy(update={"steps": 2700, "seed": 8})
"""The ninth has other real tiles besides: of unchanged ones that it had learned from, the eighth called a twentieth changed, and of held-out ones two in five."""
TENTH_LEG = SEVENTH_LEG.model_copy(update={"steps": 3600, "seed": 9})
"""The tenth has other real tiles again, many of the unchanged ones with a little change, which the ninth called changed. So far geocc-mini alone has it."""
ELEVENTH_LEG = SEVENTH_LEG.model_copy(update={"steps": 3500, "seed": 10})
"""The eleventh has patchworks of real dates, for the ground of four dates is soon known by heart, and fewer of the real tiles that were known. It too is in
geocc-mini alone."""
FIFTH_SHARE = 0.5
"""Of the fifth leg in the weights that ship, the rest being the fourth's (Wortsman et al., arXiv 2109.01903): inside geocc-mini they are ahead of
either by likelihood and flag."""
SIXTH_SHARE = 0.5
"""Of the sixth leg in what the seventh begins with."""
SEVENTH_SHARE = 1.0
"""Of the seventh leg in what the eighth begins with."""
EIGHTH_SHARE = 1.0
"""Of the eighth leg in what the ninth begins with."""
NINTH_SHARE = 1.0
"""Of the ninth leg in what the tenth begins with, and in what ships."""
TENTH_SHARE = 1.0
"""Of the tenth leg in what the eleventh begins with."""
ELEVENTH_SHARE = 1.0
"""Of the eleventh leg in what geocc-mini has inside."""


def main() -> None:
    """Build."""
    arguments = _arguments()
    root, out = arguments.folder.absolute(), arguments.out.absolute()
    with Pool(arguments.workers) as pool:
        painted = list(store_records(pool, arguments.data / "synthetic.jsonl", root / "synthetic"))
        real = list(store_records(pool, arguments.data / "real/real.jsonl", root / "real"))
        scenes = list(store_scenes(pool, HALF_METRE_SCENES, root / "half-metre"))
        others = list(store_others(pool, OTHER_SCENES, root / "others"))
        further = list(store_others(pool, FURTHER_SCENES, root / "further"))
        closer = [
            *store_others(pool, CLOSER_SCENES, root / "closer/others", side=CLOSER_PX),
            *store_scenes(pool, CLOSER_HALF_METRE_SCENES, root / "closer/half-metre", side=CLOSER_PX),
            *store_records(pool, arguments.data / "real/real.jsonl", root / "closer/real", side=CLOSER_PX),
        ]
    trained, minutes = None, 0.0
    for name, recipe, stores in (
        ("first", FIRST_LEG, [*painted, *real, *scenes[:3]]),
        ("second", SECOND_LEG, [*painted, *real, *scenes]),
        ("third", THIRD_LEG, [*others, *real, *scenes[:6]]),
        ("fourth", FOURTH_LEG, [*further, *others, *real, *scenes[:6]]),
        ("fifth", FIFTH_LEG, closer),
    ):
        trained, lasted = train_leg(stores, root / name, recipe, start=trained)
        minutes += lasted
    mean = root / "mean"
    mean_of(root / "fourth/model", trained, mean, share=FIFTH_SHARE)
    with Pool(arguments.workers) as pool:
        kinds = list(store_records(pool, arguments.data / "synthetic-3.jsonl", root / "kinds", views=2))
        seasons, border, patches = (
            list(store_records(pool, arguments.data / f"real/real-{edition}.jsonl", root / name))
            for edition, name in ((1, "seasons"), (2, "border"), (3, "patches"))
        )
        sixth, seventh, eighth, ninth, tenth, eleventh = (
            [
                *store_others(pool, scenes, root / f"{name}-others"),
                *store_scenes(pool, half, root / f"{name}-half-metre"),
            ]
            for name, scenes, half in (
                ("sixth", SIXTH_SCENES, SIXTH_HALF_METRE_SCENES),
                ("seventh", SEVENTH_SCENES, SEVENTH_HALF_METRE_SCENES),
                ("eighth", EIGHTH_SCENES, EIGHTH_HALF_METRE_SCENES),
                ("ninth", NINTH_SCENES, NINTH_HALF_METRE_SCENES),
                ("tenth", TENTH_SCENES, TENTH_HALF_METRE_SCENES),
                ("eleventh", ELEVENTH_SCENES, ELEVENTH_HALF_METRE_SCENES),
            )
        )
    for name, recipe, stores, share in (
        ("sixth", SIXTH_LEG, [*kinds, *sixth, *real], SIXTH_SHARE),
        ("seventh", SEVENTH_LEG, [*kinds, *seventh, *real], SEVENTH_SHARE),
        ("eighth", EIGHTH_LEG, [*eighth, *seventh, *real], EIGHTH_SHARE),
        ("ninth", NINTH_LEG, [*ninth, *eighth, *seventh, *kinds, *real, *seasons], NINTH_SHARE),
    ):
        trained, lasted = train_leg(stores, root / name, recipe, start=mean)
        minutes += lasted
        before, mean = mean, root / f"{name}-mean"
        mean_of(before, trained, mean, share=share)
    with Pool(arguments.workers) as pool:
        calibrate(pool, mean, out)
    measure(out, root / "measures", real=arguments.real)
    draw_maps(out)
    write_scout_card(out, root / "measures", minutes=minutes)
    for name, recipe, stores, share in (
        ("tenth", TENTH_LEG, [*tenth, *ninth, *eighth, *seventh, *kinds, *real, *seasons, *border], TENTH_SHARE),
        # Twice, for they are few among so many.
        (
            "eleventh",
            ELEVENTH_LEG,
            [*eleventh, *tenth, *ninth, *eighth, *kinds, *real, *patches, *patches],
            ELEVENTH_SHARE,
        ),
    ):
        trained, _ = train_leg(stores, root / name, recipe, start=mean)
        before, mean = mean, root / f"{name}-mean"
        mean_of(before, trained, mean, share=share)


def train_leg(
    stores: list[StoredPairs], folder: Path, recipe: ScoutRecipe, *, start: Path | None
) -> tuple[Path, float]:
    """Train, where that has not been done, and return the scout and how many minutes it took."""
    trained, lasted = folder / "model", folder / "minutes"
    if not (trained / "config.json").exists():
        print(f"{sum(map(len, stores))} pairs", flush=True)
        began = time.perf_counter()
        train_scout(stores, folder, start=start, recipe=recipe, resume=True)
        lasted.write_text(f"{(time.perf_counter() - began) / 60:.0f}")
    return trained, float(lasted.read_text())


def mean_of(one: Path, other: Path, out: Path, *, share: float) -> None:
    """Write the mean of two scouts' weights and of what their norms have counted, `share` of it the other's; it looks at `CLOSER_PX`."""
    scout = load_scout(other).seeing(CLOSER_PX)
    weights = {
        name: torch.lerp(tensor, scout.state_dict()[name], share) if tensor.is_floating_point() else tensor
        for name, tensor in load_scout(one).state_dict().items()
    }
    scout.load_state_dict(weights)
    scout.save_pretrained(out)


def store_records(pool: Pool, records: Path, folder: Path, *, side: int = 128, views: int = 1) -> Iterator[StoredPairs]:
    """Store the pairs of a file of records, some thousands in a folder; of those that are written several times the first."""
    for number, part in enumerate(_parts(islice(read_records(records), 0, None, views), PAIRS_AT_ONCE)):
        place = folder / f"{number:03d}"
        if not (place / "whole").exists():
            store_pairs(pool.imap(partial(read_example, side=side), part, chunksize=64), place)
            print(place, flush=True)
        yield StoredPairs(place)


def store_scenes(pool: Pool, seeds: range, folder: Path, *, side: int = 128) -> Iterator[StoredPairs]:
    """Store painted pairs of half a metre, some thousands in a folder."""
    for part in _parts(seeds, SCENES_AT_ONCE):
        place = folder / str(part[0])
        if not (place / "whole").exists():
            painted = pool.imap(partial(paint, side=side), part, chunksize=8)
            store_pairs((pair for pairs in painted for pair in pairs), place)
            print(place, flush=True)
        yield StoredPairs(place)


def store_others(pool: Pool, scenes: range, folder: Path, *, side: int = 128) -> Iterator[StoredPairs]:
    """Store painted pairs of the later legs, a shard in a folder."""
    for number, first in enumerate(scenes):
        place = folder / f"{number:03d}"
        if not (place / "whole").exists():
            domain, tile_px = DOMAINS[number % len(DOMAINS)]
            jobs = [(seed, domain, tile_px) for seed in range(first, first + SCENES_PER_SHARD)]
            painted = pool.imap(partial(paint_other, side=side), jobs, chunksize=5)
            store_pairs((pair for pairs in painted for pair in pairs), place)
            print(place, flush=True)
        yield StoredPairs(place)


def paint(seed: int, *, side: int = 128) -> list[ScoutExample]:
    """Paint the pairs of a scene of half a metre, with more or less change and misregistration from scene to scene."""
    wide = seed % 4
    pairs = training_pairs([seed], change_density=0.3 + 0.05 * wide, max_shift_px=0.5 * (1 + wide))
    return [_example(pair, side=side) for pair in pairs]


def paint_other(job: tuple[int, str, int], *, side: int = 128) -> list[ScoutExample]:
    """Paint the pairs of a scene by its seed, domain and side of the tiles."""
    seed, domain, tile_px = job
    pairs = training_pairs([seed], domain=domain, tile_px=tile_px, max_shift_px=2.0)
    return [_example(pair, side=side) for pair in pairs]


def calibrate(pool: Pool, trained: Path, out: Path) -> None:
    """Fit the change logit to pairs that were not trained on (Platt 1999), and write the scout in half precision."""
    drawn = pool.imap(paint_any, CALIBRATION_SCENES, chunksize=8)
    tiles, changed = zip(*(pair for pairs in drawn for pair in pairs), strict=True)
    scout = load_scout(trained)
    captioner = ScoutCaptioner(scout)
    names = tuple(map(str, range(32)))
    told = [
        one for part in _parts(tiles, 32) for one in captioner.caption(TileBatch(np.stack(part), names[: len(part)]))
    ]
    logits = torch.tensor([one.change_probability for one in told], dtype=torch.float64).logit(eps=1e-9).float()
    scale, shift = fit_line(logits[:, None], torch.tensor(changed, dtype=torch.float32))
    print(f"{len(tiles)} pairs: logit times {scale:.3f} plus {shift:.3f}", flush=True)
    with torch.no_grad():
        scout.pair_2.weight.mul_(scale)
        scout.pair_2.bias.mul_(scale).add_(shift)
    scout.half().save_pretrained(out)


def paint_any(seed: int) -> list[tuple[np.ndarray, bool]]:
    """Paint pairs `(T=2, C=3, H, W)` of a scene of any domain, each with whether it changed."""
    pairs = training_pairs([seed], per_scene=2, domain="all", max_shift_px=2.0)
    return [(np.stack([pair.t1, pair.t2]), pair.changed) for pair in pairs]


def _example(pair: TilePair, *, side: int) -> ScoutExample:
    images = [Image.fromarray(np.ascontiguousarray(image.transpose(1, 2, 0))) for image in (pair.t1, pair.t2)]
    return ScoutExample.of(
        images, changed=pair.changed, mask=pair.description.mask, labels=list(pair.ground()), side=side
    )


def _parts(things: Iterable[Any], size: int) -> Iterator[list[Any]]:
    stream = iter(things)
    while part := list(islice(stream, size)):
        yield part


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder for stored pairs and checkpoints")
    parser.add_argument("--data", type=Path, required=True, help="data folder of build_mini.py")
    parser.add_argument("--real", type=Path, default=Path("../shared/data"), help="folder with naip/ and landsat/")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent.parent / "geocc/model/weights/geocc-scout")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    return parser.parse_args()


if __name__ == "__main__":
    main()
