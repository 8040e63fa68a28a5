"""The published mixture, as it ships, trained on miniatures of its files."""

import json
from collections import Counter

import numpy as np
import pytest
import yaml
from PIL import Image
from support.training import config

from geocc.data import shipped_mixtures
from geocc.training import train
from geocc.training.data import open_mixture
from geocc.training.dataset import PairDataset

#: How often each file counts, by the authors' mixture: LEVIR-CC six times, SYSU-CD and SECOND three times, Spot-the-Diff
#: twice, all others once.
WEIGHTS = {"levir_cc": 6, "sysu_cd": 3, "second": 3, "spot_the_diff": 2}
CAPTIONS = {"levir_cc": 5, "clevr_change": 6, "stvchrono": 2, "sysu_cd": 3}
KEPT = {"clevr_change": 3}


def source_of(name):
    return next((source for source in [*WEIGHTS, *CAPTIONS] if name.startswith(source)), "")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Two pairs in every file that the published mixture names, under the names that it uses."""
    folder = tmp_path_factory.mktemp("sources")
    rng = np.random.default_rng(0)
    shipped = yaml.safe_load(shipped_mixtures()["cc-foundation-published"].read_text())
    for path in dict.fromkeys(entry["json_path"] for entry in shipped["datasets"]):
        name, records = path.removesuffix(".json"), []
        for number in range(2):
            files = [f"{name}_{number}_{date}.png" for date in "ab"]
            for file in files:
                Image.fromarray(rng.integers(0, 255, (16, 16, 3), dtype=np.uint8)).save(folder / file)
            captions = [f"a house appears in picture {at}" for at in range(CAPTIONS.get(source_of(name), 1))]
            split = name.rsplit("_", 1)[-1]
            records.append(
                {
                    "uid": f"{name}-{number}",
                    "change_flag": 1,
                    "img1_path": files[0],
                    "img2_path": files[1],
                    "change_caption": captions,
                    "split": split if split in {"train", "val", "test"} else "train",
                }
            )
        (folder / path).write_text(json.dumps(records))
    return folder


def test_it_trains_unchanged_and_draws_by_its_weights(base, root, tmp_path, monkeypatch):
    drawn = []
    original = PairDataset.__getitem__

    def seen(self, place):
        sample = original(self, place)
        drawn.append(sample.uid)
        return sample

    monkeypatch.setattr(PairDataset, "__getitem__", seen)
    data = {"train": "cc-foundation-published", "root": str(root)}
    settings = config(base, "unused", tmp_path / "run", data=data, recipe={"max_steps": 2, "checkpoint_every": 100})
    result = train(settings)
    assert result.steps == 2
    assert all(np.isfinite(line["loss"]) for line in result.log if "loss" in line)
    assert len(drawn) >= 8
    # What an epoch would draw: two pairs of each file, times weight, times captions.
    samples = open_mixture(settings.data).samples(captions=settings.recipe.captions, seed=settings.recipe.seed)
    epoch = [samples[at] for at in range(len(samples))]
    found = Counter(sample.record.uid for sample in epoch)
    for path in root.glob("*.json"):
        name = path.stem
        source = source_of(name)
        expected = WEIGHTS.get(source, 1) * min(CAPTIONS.get(source, 1), KEPT.get(source, 99))
        assert {found[f"{name}-{number}"] for number in range(2)} == {expected}, name
    assert found.total() == sum(found.values()) == len(samples)
    # The run drew the beginning of that epoch, in its order.
    assert drawn[:8] == [sample.record.uid for sample in epoch[:8]]


def test_geoccs_own_trains_on_no_test_split(base, root, tmp_path):
    for kind in ("expression", "view"):  # its two files of SECOND have names of their own
        (root / f"second_train_multi_{kind}.json").write_bytes((root / f"second_multi_{kind}.json").read_bytes())
    settings = config(base, "unused", tmp_path / "run", data={"train": "cc-foundation", "root": str(root)})
    samples = open_mixture(settings.data).samples(captions="flatten_list", seed=0)
    assert {samples[at].record.split for at in range(len(samples))} == {"train", "val"}
