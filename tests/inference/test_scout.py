"""A scout as a captioner, by itself and before a large model."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from support.captioners import StubCaptioner

from geocc.errors import CaptionError, CheckpointError, InputError, ModelNotFoundError
from geocc.inference import (
    NO_CHANGE_SENTENCES,
    Captioner,
    CaptionerSpec,
    GatedCaptioner,
    ScoutCaptioner,
    TileBatch,
    calibrate_gates,
    load_captioner,
)
from geocc.model.scout import ChangeScout, ChangeScoutConfig


@pytest.fixture
def folder(tmp_path):
    torch.manual_seed(0)
    sizes = {"image_size": 32, "stem_width": 4, "widths": (8, 8), "depths": (1, 1), "merged_width": 4}
    sizes["covers"] = ["water", "trees", "road"]
    scout = ChangeScout(ChangeScoutConfig(**sizes))
    with torch.no_grad():  # a logit is the largest difference of the dates, more or less
        scout.pair_2.weight.normal_(0, 3)
    scout.save_pretrained(tmp_path / "scout")
    return tmp_path / "scout"


def batch(count=6, seed=0, side=32):
    images = np.random.default_rng(seed).integers(0, 256, (count, 2, 3, side, side), dtype=np.uint8)
    images[::2, 1] = images[::2, 0]
    return TileBatch(images, tuple(map(str, range(count))))


def logits(folder, images):
    """What the network says of four views, by itself."""
    scout = ChangeScout.from_pretrained(folder).eval()
    views = (images, images[:, ::-1].swapaxes(-1, -2), images[..., ::-1], images[:, ::-1, :, ::-1])
    with torch.inference_mode():
        found = [scout(scout.pixel_values(torch.from_numpy(view.copy()))).change_logits.double() for view in views]
    return torch.stack(found).mean(0).numpy()


def test_it_says_whether_each_tile_changed_and_how_likely_that_is(folder):
    captioner = ScoutCaptioner.from_pretrained(folder, device="cpu", dtype="float32")
    assert isinstance(captioner, Captioner)
    tiles = batch()
    told = captioner.caption(tiles)
    chances = 1 / (1 + np.exp(-logits(folder, tiles.images)))
    np.testing.assert_allclose([caption.change_probability for caption in told], chances, rtol=1e-6)
    assert [caption.changed for caption in told] == (chances >= 0.5).tolist()
    assert {caption.text for caption in told if not caption.changed} <= {NO_CHANGE_SENTENCES[0]}
    assert {caption.text for caption in told if caption.changed} <= {"something has changed"}
    assert all(caption.decoded for caption in told)


def test_its_maps_are_the_mean_of_four_views_each_turned_back_and_its_dates_put_back(folder):
    captioner = ScoutCaptioner.from_pretrained(folder, device="cpu", dtype="float32")
    images = batch().images
    scout = ChangeScout.from_pretrained(folder).eval()
    views = [(images, None, False), (images[:, ::-1].swapaxes(-1, -2), (-1, -2), True)]
    views += [(images[..., ::-1], -1, False), (images[:, ::-1, :, ::-1], -2, True)]
    changes, covers = [], []
    for view, back, exchanged in views:
        with torch.inference_mode():
            found = scout(scout.pixel_values(torch.from_numpy(view.copy())))
        change, cover = found.map_logits, found.cover_logits
        if back is not None:
            change, cover = (
                one.transpose(*back) if isinstance(back, tuple) else one.flip(back) for one in (change, cover)
            )
        changes.append(change)
        covers.append(cover.flip(1) if exchanged else cover)
    maps = captioner.maps(batch())
    np.testing.assert_allclose(maps.change, torch.stack(changes).mean(0).sigmoid().numpy(), rtol=1e-5)
    np.testing.assert_allclose(maps.covers, torch.stack(covers).mean(0).softmax(2).numpy(), rtol=1e-5)
    assert captioner.covers == ("water", "trees", "road")


def test_a_scout_without_covers_has_maps_of_change_alone(folder):
    plain = ChangeScout.from_pretrained(folder).knowing([])
    captioner = ScoutCaptioner(plain)
    assert captioner.covers == ()
    assert captioner.maps(batch()).covers is None


def test_one_view_may_do_and_more_than_there_are_is_refused(folder):
    one = ScoutCaptioner.from_pretrained(folder, device="cpu", dtype="float32", views=1)
    scout = ChangeScout.from_pretrained(folder).eval()
    with torch.inference_mode():
        expected = scout(scout.pixel_values(torch.from_numpy(batch().images))).change_logits.sigmoid().tolist()
    assert [caption.change_probability for caption in one.caption(batch())] == pytest.approx(expected, rel=1e-5)
    for views in (0, 5):
        with pytest.raises(InputError, match="from 1 to 4"):
            ScoutCaptioner.from_pretrained(folder, device="cpu", views=views)


def test_in_bfloat16_it_says_nearly_the_same(folder):
    tiles = batch()
    whole, half = (
        ScoutCaptioner.from_pretrained(folder, device="cpu", dtype=dtype).caption(tiles)
        for dtype in ("float32", "bfloat16")
    )
    for one, other in zip(whole, half, strict=True):
        assert one.change_probability == pytest.approx(other.change_probability, abs=0.05)


def test_tiles_below_the_limit_are_skipped(folder):
    told = ScoutCaptioner.from_pretrained(folder, device="cpu", skip_unchanged=1.0).caption(batch())
    assert not any(caption.decoded or caption.changed for caption in told)


def test_a_name_or_folder_finds_the_captioner_that_it_is_for(folder):
    assert isinstance(load_captioner(folder, device="cpu"), ScoutCaptioner)
    spec = CaptionerSpec(str(folder), {"device": "cpu", "prompt": None, "skip_unchanged": None})
    assert isinstance(spec.load(), ScoutCaptioner)
    with pytest.raises(ModelNotFoundError):
        load_captioner(folder.parent / "nothing")
    with pytest.raises(InputError, match="has no words"):
        load_captioner(folder, prompt="what is new?")


def test_its_fingerprint_changes_with_its_weights_and_its_dtype(folder):
    def fingerprint(**settings):
        return ScoutCaptioner.from_pretrained(folder, device="cpu", **settings).fingerprint

    first = fingerprint(dtype="float32")
    assert first == fingerprint(dtype="float32")
    assert first != fingerprint(dtype="bfloat16")
    weights = load_file(folder / "model.safetensors")
    weights["pair_2.bias"] += 1
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    assert first != fingerprint(dtype="float32")


def test_it_stands_before_a_large_model_and_its_threshold_can_be_set(folder):
    tiles = batch(60, seed=1)
    truth = logits(folder, tiles.images) > np.median(logits(folder, tiles.images))
    scout = ScoutCaptioner.from_pretrained(folder, device="cpu", dtype="float32")
    gates = calibrate_gates(zip(tiles.images, truth.tolist(), strict=True), recall=0.9, scout=scout)
    assert gates.scout_model == str(folder)
    large = StubCaptioner()
    told = GatedCaptioner(large, gates, scout=scout).caption(tiles)
    assert [caption.decoded for caption in told] == (logits(folder, tiles.images) >= gates.scout.threshold).tolist()
    assert len(large.tiles) == sum(caption.decoded for caption in told)


def test_weights_that_are_not_a_scouts_are_refused(folder):
    weights = load_file(folder / "model.safetensors")
    save_file({"odd": weights.pop("pair_2.bias"), **weights}, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match="train_scout"):
        ScoutCaptioner.from_pretrained(folder, device="cpu")
    (folder / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(CheckpointError, match="does not hold"):
        ScoutCaptioner.from_pretrained(folder, device="cpu")


def test_a_configuration_made_to_fill_the_memory_is_refused(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"widths": [10**9, 10**9]}))
    with pytest.raises(CheckpointError, match="widths"):
        ScoutCaptioner.from_pretrained(folder, device="cpu")


def test_what_is_not_a_number_is_an_error(folder):
    weights = load_file(folder / "model.safetensors")
    weights["pair_2.bias"][:] = float("nan")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CaptionError, match="not a number"):
        ScoutCaptioner.from_pretrained(folder, device="cpu").caption(batch())
