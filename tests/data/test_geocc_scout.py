"""The shipped geocc-scout does what its card says, on tiles it has never seen."""

from itertools import islice
from pathlib import Path

import numpy as np
import pytest

import geocc
from geocc.data.synthetic import training_pairs
from geocc.inference import Gates, ScoutCaptioner, TileBatch

WEIGHTS = Path(geocc.__file__).parent / "model/weights"
FOLDER = WEIGHTS / "geocc-scout"

pytestmark = pytest.mark.skipif(not FOLDER.exists(), reason="geocc-scout is not built: scripts/build_scout.py")


@pytest.fixture(scope="module")
def scout():
    return ScoutCaptioner.from_pretrained("geocc-scout", device="cpu", local_files_only=True)


@pytest.fixture(scope="module")
def pairs():
    return list(islice(training_pairs(range(3_000_000_000, 3_000_000_040), per_scene=2), 40))


def judge(scout, images):
    return scout.caption(TileBatch(np.stack(images), tuple(map(str, range(len(images))))))


def test_it_knows_whether_a_tile_changed(scout, pairs):
    told = judge(scout, [np.stack([pair.t1, pair.t2]) for pair in pairs])
    right = [caption.changed == pair.changed for caption, pair in zip(told, pairs, strict=True)]
    assert np.mean(right) >= 0.9


def test_the_same_image_twice_is_no_change(scout, pairs):
    told = judge(scout, [np.stack([pair.t1, pair.t1]) for pair in pairs])
    assert not any(caption.changed for caption in told)


def test_it_is_what_gates_ask_when_nobody_else_is_named():
    assert Gates(scout=0.0).scout_model == "geocc-scout"


def test_it_fits_into_the_package():
    files = [path for path in WEIGHTS.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 28_000_000  # geocc-mini, of which no more than 20, among them
    assert {"README.md", "config.json", "model.safetensors"} <= {path.name for path in FOLDER.iterdir()}
    digests = (WEIGHTS / "SHA256SUMS").read_text().split()[1::2]
    assert digests == ["geocc-mini/model.safetensors", "geocc-scout/model.safetensors"]


def test_its_card_is_of_the_edition_that_the_list_names():
    entry = next(entry for entry in geocc.list_models() if entry.id == "geocc-scout")
    assert f"# geocc-scout, {entry.revision}" in (FOLDER / "README.md").read_text()
