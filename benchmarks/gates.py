"""What do gates save, and what do they lose?

    .venv/bin/python benchmarks/gates.py --pairs 1000 [--regions FOLDER]

Thresholds are set on one half of held-out synthetic scenes and judged on the other, and the other way round. Half of the tiles are unchanged; all
differ in season, sun, air and sensor, and are up to a pixel and a half out of register. The gain at a share of unchanged
ground is computed from what each gate stops and from where the time of a pair goes (`FULL_SIZE`), and measured for geocc-mini
with its head as the gate. `--domain all` takes scenes of 0.4 to 30 m in place of half a metre. `--tiles` takes rendered tiles from a file, and puts them there where it does not exist.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from geocc.data.own_region import Indices, caption_indices
from geocc.data.synthetic import training_pairs
from geocc.inference import CCExpertCaptioner, ScoutCaptioner, TileBatch
from geocc.inference.calibration import calibrate_gate, gate_scores

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

FIRST_SEED = 1_000_050_000  # no scene that geocc-mini was trained or scored on
UNCHANGED = (0.5, 0.8, 0.9, 0.95)
#: Shares of vision tower, difference module and language model in the FLOPs of a pair (benchmarks/flops.py).
FULL_SIZE = {"0.5B": (0.396, 0.237, 0.367), "7B": (0.057, 0.036, 0.907)}
_GFLOP = {"0.5B": 3238, "7B": 22371}
#: Processor seconds of a pair of the full-size 0.5B in bfloat16 (3 s on two cores), beside which the small model is set.
FULL_SECONDS = 6.0


def main() -> None:
    """Measure, and print the tables."""
    args = _arguments()
    images, changed = _tiles(args.tiles, args.pairs, domain=args.domain)
    scout = ScoutCaptioner.from_pretrained(args.scout, dtype=args.dtype)
    mini = CCExpertCaptioner.from_pretrained("geocc-mini", dtype=args.dtype, skip_unchanged=1.0)
    start = time.process_time()
    scores, _ = gate_scores(_stream(images, changed), mini, names=["scout", "pixel", "feature"], scout=scout)
    own, _ = gate_scores(_stream(images, changed), names=["scout"], scout=mini)
    scores["head"] = 1 / (1 + np.exp(-own["scout"]))  # of geocc-mini itself
    print(f"{len(changed)} tiles, {int(changed.sum())} changed, {time.process_time() - start:.0f} s of processor time")
    cost = _seconds(lambda: gate_scores(_stream(images[:32], changed[:32]), names=["scout"], scout=scout)) / 32
    print(
        f"scout: {1000 * cost:.0f} ms of processor time a pair, {cost / FULL_SECONDS:.1%} of the full-size 0.5B on a CPU"
    )
    thresholds = {}
    for recall in (0.99, 0.995, 0.998):
        for name, found in scores.items():
            kept, spared = _judged(found, changed, recall=recall)
            whole = calibrate_gate(found, changed, recall=recall).threshold
            own = ((found[changed] >= whole).mean(), (found[~changed] < whole).mean())
            print(f"{name:8s} set at {recall:.1%}: recall {kept:.2%}, stops {spared:.1%}; set and judged on all tiles: threshold "
                  f"{whole:8.4f}, recall {own[0]:.2%}, stops {own[1]:.1%}")  # fmt: skip
            thresholds[name, recall] = whole
            if recall <= 0.995:  # beyond, nothing is left to gain
                _print_gains(name, kept=kept, spared=spared, extra=cost / FULL_SECONDS)
    _print_measured(thresholds["head", 0.995], images, changed, dtype=args.dtype)
    if args.regions:
        for name, (one, other) in _regions(args.regions).items():
            found, _ = gate_scores(_stream(one, other), mini, names=["scout", "pixel", "feature"], scout=scout)
            for gate, values in found.items():
                stops = values < thresholds[gate, 0.995]
                print(f"{name} {gate}: {len(other)} tiles, {int(other.sum())} changed; recall {1 - stops[other].mean():.1%}, "
                      f"stops {stops[~other].mean():.1%} of the unchanged")  # fmt: skip


def _tiles(path: Path | None, count: int, *, domain: str) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    if path is not None and path.exists():
        stored = np.load(path)
        return stored["images"][:count], stored["changed"][:count]
    pairs = list(islice(_held_out(domain), count))
    images = np.stack([np.stack([pair.t1, pair.t2]) for pair in pairs])
    changed = np.array([pair.changed for pair in pairs])
    if path is not None:
        np.savez(path, images=images, changed=changed)
    return images, changed


def _held_out(domain: str) -> Iterator[object]:
    seed = FIRST_SEED
    while True:
        shift = 1.5 if seed % 2 else 0.5
        yield from training_pairs([seed], per_scene=6, change_density=0.45, max_shift_px=shift, domain=domain)
        seed += 1


def _judged(scores: NDArray[np.float64], changed: NDArray[np.bool_], *, recall: float) -> tuple[float, float]:
    """Share of the changed tiles that pass and of the unchanged that are stopped, by thresholds set on other scenes."""
    first = np.arange(len(changed)) < len(changed) // 2  # the tiles of a scene follow each other
    kept, spared = [], []
    for here in (first, ~first):
        threshold = calibrate_gate(scores[here], changed[here], recall=recall).threshold
        there, truth = scores[~here], changed[~here]
        kept.append((there[truth] >= threshold).mean())
        spared.append((there[~truth] < threshold).mean())
    return float(np.mean(kept)), float(np.mean(spared))


def _stream(images, changed):  # noqa: ANN001, ANN202  # pairs for gate_scores
    return zip(images, changed.tolist(), strict=True)


def _print_gains(name: str, *, kept: float, spared: float, extra: float) -> None:
    """Print how many times as many pairs a second there are, at shares of unchanged ground."""
    for size, (vision, difference, language) in FULL_SIZE.items():
        gains = []
        for unchanged in UNCHANGED:
            left = 1 - unchanged * spared - (1 - unchanged) * (1 - kept)
            spent = {
                "pixel": left,
                "scout": (extra if size == "0.5B" else extra * _GFLOP["0.5B"] / _GFLOP["7B"]) + left,
                "feature": vision + (difference + language) * left,
                "head": vision + difference + language * left,
            }[name]
            gains.append(f"{unchanged:.0%}: {1 / spent:.2f}")
        print(f"    gain, full-size {size}: " + ", ".join(gains))


def _print_measured(threshold: float, images: NDArray[np.uint8], changed: NDArray[np.bool_], *, dtype: str) -> None:
    """Time geocc-mini with and without its head as the gate."""
    rng = np.random.default_rng(0)
    ways = [
        CCExpertCaptioner.from_pretrained("geocc-mini", dtype=dtype, skip_unchanged=limit)
        for limit in (None, threshold)
    ]
    for unchanged in UNCHANGED:
        count = round(40 * unchanged)
        picked = np.concatenate(
            [rng.choice(np.flatnonzero(~changed), count), rng.choice(np.flatnonzero(changed), 40 - count)]
        )
        batches = [TileBatch(part, tuple("t" * len(part))) for part in np.split(images[picked], [20])]
        times = [min(_seconds(lambda way=way, batches=batches: [way.caption(part) for part in batches]) for _ in range(2))
                 for way in ways]  # fmt: skip
        print(f"geocc-mini, head gate, {unchanged:.0%} unchanged: {times[0] / times[1]:.2f} times as fast, "
              f"{1000 * times[0] / 40:.0f} -> {1000 * times[1] / 40:.0f} ms of processor time a tile")  # fmt: skip


def _regions(folder: Path) -> dict[str, tuple[NDArray[np.uint8], NDArray[np.bool_]]]:
    """Tiles of real pairs whose water and vegetation indices tell what changed."""
    naip = sorted((folder / "naip").glob("*.tif"))
    landsat = folder / "landsat"
    jobs = {
        "NAIP 2018-2020": (naip[-2], naip[-1], {"indices": Indices(green=2, nir=4, red=1), "bands": (1, 2, 3)}),
        "Landsat 2010-2020": (
            landsat / "2010.tif",
            landsat / "2020.tif",
            {"indices": Indices(green=4, nir=2, red=3), "bands": (1, 2, 3)},
        ),
    }
    found = {}
    for name, (one, other, options) in jobs.items():
        with tempfile.TemporaryDirectory() as place:
            records = list(caption_indices(one, other, place, name="r", align="t1", tile_size=64, stride=32, **options))
            pictures = [
                [np.moveaxis(np.asarray(Image.open(path)), -1, 0) for path in (record.img1_path, record.img2_path)]
                for record in records
            ]
        found[name] = np.array(pictures, np.uint8), np.array([bool(record.change_flag) for record in records])
    return found


def _seconds(call) -> float:  # noqa: ANN001  # any function
    start = time.process_time()
    call()
    return time.process_time() - start


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=1000)
    parser.add_argument("--tiles", type=Path)
    parser.add_argument("--domain", default="vhr", help="key of geocc.data.synthetic.DOMAINS, or all")
    parser.add_argument("--scout", default="geocc-scout", help="name or folder of the scout")
    parser.add_argument("--regions", type=Path, help="folder with naip/ and landsat/")
    parser.add_argument("--dtype", default="float32")
    return parser.parse_args()


if __name__ == "__main__":
    main()
