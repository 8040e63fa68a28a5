"""The shipped geocc-mini does what its card says, on tiles it has never seen."""

from itertools import islice
from pathlib import Path

import numpy as np
import pytest

import geocc
from geocc.data.synthetic import read_caption, training_pairs
from geocc.inference.captioner import TileBatch

FOLDER = Path(geocc.__file__).parent / "model/weights/geocc-mini"

pytestmark = pytest.mark.skipif(not FOLDER.exists(), reason="geocc-mini is not built: scripts/build_mini.py")


@pytest.fixture(scope="module")
def pairs():
    return list(islice(training_pairs(range(3_000_000_000, 3_000_000_040), per_scene=2), 40))


@pytest.fixture(scope="module")
def captions(pairs):
    from geocc.inference.ccexpert import CCExpertCaptioner

    captioner = CCExpertCaptioner.from_pretrained("geocc-mini", device="cpu", local_files_only=True)
    images = np.stack([np.stack([pair.t1, pair.t2]) for pair in pairs])
    return captioner.caption(TileBatch(images=images, tile_ids=tuple(map(str, range(len(pairs))))))


def test_it_knows_whether_a_tile_changed(pairs, captions):
    right = [caption.changed == pair.changed for pair, caption in zip(pairs, captions, strict=True)]
    assert np.mean(right) >= 0.85


def test_its_captions_are_sentences_that_can_be_read(captions):
    for caption in captions:
        assert 2 < len(caption.text.split()) < 40
        assert caption.text.isascii()
        assert 0 <= caption.change_probability <= 1
    spoken = [caption for caption in captions if caption.changed]
    assert np.mean([bool(read_caption(caption.text)) for caption in spoken]) >= 0.8


def test_the_same_image_twice_is_no_change(pairs):
    from geocc.inference.ccexpert import CCExpertCaptioner

    captioner = CCExpertCaptioner.from_pretrained("geocc-mini", device="cpu", local_files_only=True)
    images = np.stack([np.stack([pair.t1, pair.t1]) for pair in pairs])
    captions = captioner.caption(TileBatch(images=images, tile_ids=tuple(map(str, range(len(pairs))))))
    assert np.mean([not caption.changed for caption in captions]) >= 0.95


def test_it_fits_into_the_package():
    files = [path for path in FOLDER.iterdir() if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 20_000_000
    assert {"README.md", "config.json", "model.safetensors", "tokenizer.json"} <= {path.name for path in files}
