"""Gates: what they spare, what they let through, and how their thresholds are set."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import tiny_ccexpert
from support.captioners import StubCaptioner

import geocc
from geocc.errors import InputError
from geocc.inference import NO_CHANGE_SENTENCES, CCExpertCaptioner, GatedCaptioner, Gates, TileBatch, calibrate_gates
from geocc.inference.calibration import calibrate_gate
from geocc.inference.captioner import Caption
from geocc.inference.gates import Gate, feature_scores, pixel_scores


def ground(rng, side=128):
    """A picture with structure at the size of fields."""
    coarse = rng.integers(40, 200, (3, side // 16, side // 16))
    return np.kron(coarse, np.ones((16, 16))).astype(np.float64)


def pair(rng, *, changed, side=128):
    """A picture seen twice, brighter, with more contrast and a pixel aside; perhaps with something new in it."""
    before = ground(rng, side)
    after = 1.2 * np.roll(before, 1, axis=-1) + 10 + rng.normal(0, 2, before.shape)
    if changed:
        after[:, 40:70, 40:70] = rng.integers(0, 250, (3, 30, 30))
    return np.stack([before, after]).clip(0, 255).astype(np.uint8)


class Scout(StubCaptioner):
    """A small model that believes in change as much as the red band of the later date is bright."""

    def caption(self, batch):
        chances = batch.images[:, 1, 0].mean(axis=(1, 2)) / 255
        return [Caption("", changed=chance > 0.5, change_probability=float(chance)) for chance in chances]


@given(seed=st.integers(0, 2**32 - 1))
def test_the_pixel_gate_tells_a_new_thing_from_light_and_a_shift_by_a_pixel(seed):
    rng = np.random.default_rng(seed)
    same, new = (pixel_scores(pair(rng, changed=changed)[None])[0] for changed in (False, True))
    assert same < new
    assert 0 <= same < 0.5


def test_pixel_scores_are_zero_for_the_same_picture_and_never_spare_what_is_too_small():
    image = pair(np.random.default_rng(0), changed=True)[0]
    assert pixel_scores(np.stack([image, image])[None])[0] == pytest.approx(0, abs=1e-4)
    assert pixel_scores(np.zeros((2, 2, 3, 5, 5), np.uint8)).tolist() == [2, 2]
    assert pixel_scores(np.zeros((1, 2, 3, 90, 71), np.uint8)).tolist() == [pytest.approx(0, abs=1e-3)]


def test_each_gate_stops_its_tiles_and_the_captioner_sees_the_rest():
    rng = np.random.default_rng(1)
    images = np.stack([pair(rng, changed=changed) for changed in (False, True, True, False)])
    images[2, 1, 0] = 10  # the scout sees no change here
    inner = StubCaptioner()
    gates = Gates(pixel=Gate(0.5, slope=2.0, intercept=-3.0), scout=-1.0)
    told = GatedCaptioner(inner, gates, scout=Scout()).caption(TileBatch(images, tuple("abcd")))
    assert inner.tiles == ["b"]
    assert [caption.decoded for caption in told] == [False, True, False, False]
    assert told[0].text == NO_CHANGE_SENTENCES[0]
    assert told[0].changed is False
    score = pixel_scores(images[:1])[0]
    assert told[0].change_probability == pytest.approx(1 / (1 + math.exp(3 - 2 * score)))
    assert math.isnan(told[2].change_probability)


def test_a_score_that_is_not_a_number_stops_nothing():
    class Lost(StubCaptioner):
        def caption(self, batch):
            return [Caption("", changed=False) for _ in batch.tile_ids]

    images = np.zeros((2, 2, 3, 32, 32), np.uint8)
    inner = StubCaptioner()
    told = GatedCaptioner(inner, Gates(scout=100.0), scout=Lost()).caption(TileBatch(images, ("a", "b")))
    assert inner.tiles == ["a", "b"]
    assert [caption.decoded for caption in told] == [True, True]


def test_nothing_left_asks_no_captioner():
    images = np.zeros((3, 2, 3, 128, 128), np.uint8)
    inner = StubCaptioner()
    assert len(GatedCaptioner(inner, Gates(pixel=1.0)).caption(TileBatch(images, tuple("abc")))) == 3
    assert inner.seen == []


def test_the_feature_gate_leaves_the_other_captions_as_they_are():
    captioner = CCExpertCaptioner(*tiny_ccexpert.make(), max_new_tokens=4)
    images = np.random.default_rng(2).integers(0, 256, (6, 2, 3, 32, 32), dtype=np.uint8)
    images[:, 1] = np.where(np.arange(6)[:, None, None, None] < 3, images[:, 0], images[:, 1])
    batch = TileBatch(images, tuple("abcdef"))
    encoded = captioner.encode_dates(images.reshape(-1, 3, 32, 32))
    scores = feature_scores(encoded[::2], encoded[1::2])
    assert scores[:3] == pytest.approx(0, abs=1e-5)
    free = captioner.caption(batch)
    told = GatedCaptioner(captioner, Gates(feature=float(scores[3:].min()))).caption(batch)
    assert [caption.decoded for caption in told] == [False] * 3 + [True] * 3
    assert [caption.text for caption in told[3:]] == [caption.text for caption in free[3:]]
    with pytest.raises(InputError, match="feature"):
        GatedCaptioner(StubCaptioner(), Gates(feature=0.1))


def test_gates_are_an_option_of_the_main_path_and_part_of_its_fingerprint():
    t1, t2 = geocc.data.synthetic.make_scene(7, size_px=512).to_xarray()
    stub = StubCaptioner()
    layer = geocc.caption_changes(t1, t2, model=stub, gates=Gates(pixel=2.0), progress=False)
    assert set(layer["status"]) == {"skipped_unchanged"}
    assert stub.seen == []
    told = layer.attrs["geocc"]["captioner"]
    assert told["gates"]["pixel"]["threshold"] == 2.0
    assert told["fingerprint"] != stub.fingerprint
    free = geocc.caption_changes(t1, t2, model=stub, gates=Gates(pixel=0.0), progress=False)
    assert set(free["status"]) == {"ok"}
    with pytest.raises(InputError, match="one of them"):
        geocc.caption_changes(t1, t2, skip_unchanged=0.1, gates=Gates(head=0.1), progress=False)


@given(
    scores=st.lists(st.floats(-5, 5), min_size=40, max_size=120),
    recall=st.sampled_from([0.9, 0.95]),
    seed=st.integers(0, 99),
)
def test_a_calibrated_gate_keeps_its_recall_and_no_higher_threshold_does(scores, recall, seed):
    values = np.array(scores)
    changed = np.random.default_rng(seed).permutation(len(values)) < 30
    gate = calibrate_gate(values, changed, recall=recall)
    kept = (values[changed] >= gate.threshold).mean()
    assert kept >= recall
    higher = values[changed][values[changed] > gate.threshold]
    if len(higher):
        assert (values[changed] >= higher.min()).mean() < recall
    assert 0 <= gate.probability(0.0) <= 1


def test_calibration_shares_the_loss_among_the_gates():
    rng = np.random.default_rng(3)
    tiles = [(pair(rng, changed=i % 2 == 1), i % 2 == 1) for i in range(80)]
    gates = calibrate_gates(tiles, names=["pixel", "scout"], recall=0.9, scout=Scout())
    told = GatedCaptioner(StubCaptioner(), gates, scout=Scout()).caption(
        TileBatch(np.stack([image for image, _ in tiles]), tuple(map(str, range(80))))
    )
    assert np.mean([caption.decoded for caption in told[1::2]]) >= 0.9
    assert np.mean([caption.decoded for caption in told[::2]]) < 0.2
    assert gates.pixel.probability(0.0) < 0.5 < gates.pixel.probability(1.5)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: Gates(pixel="low"), "threshold"),
        (lambda: Gates(head=2), "head"),
        (lambda: Gate(math.nan), "number"),
        (lambda: calibrate_gates([], names=["pixel"]), "no pairs"),
        (lambda: calibrate_gates([], names=["colour"]), "each once"),
        (lambda: calibrate_gates([], names=["feature"]), "model="),
        (lambda: calibrate_gate(np.zeros(9), np.ones(9, bool), recall=0.5), "more tiles"),
        (lambda: calibrate_gate(np.zeros(9), np.arange(9) < 5, recall=0.995), "needs 200"),
        (lambda: calibrate_gate(np.zeros(9), np.arange(9) < 5, recall=1), "share"),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_remedy(make, match):
    with pytest.raises(InputError, match=match):
        make()
