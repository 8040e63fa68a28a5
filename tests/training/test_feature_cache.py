"""Features of a frozen tower from files: the same training, and the tower asked once."""

import threading

import pytest
import torch
from support.training import config, losses

from geocc.errors import InputError, WriteError
from geocc.model import load_checkpoint
from geocc.training import train
from geocc.training.feature_cache import FeatureCache, attach_feature_cache
from geocc.training.parts import set_trainable


@pytest.fixture
def model(base):
    model = load_checkpoint(base).model
    set_trainable(model, ("difference_module", "projector"))
    return model


@pytest.fixture
def pixels(model):
    side = model.config.vision_config.image_size
    return torch.rand(3, 2, 3, side, side, generator=torch.Generator().manual_seed(1)) * 2 - 1


def gradients(model, pixels):
    model.zero_grad()
    images = model.get_image_features(pixels)
    images.image_features.square().sum().backward()
    return {name: weight.grad.clone() for name, weight in model.named_parameters() if weight.grad is not None}


def test_features_and_gradients_are_those_of_the_tower_and_it_is_asked_once(model, pixels, tmp_path):
    tower = model.model.vision_tower
    levels, wanted = tower(pixels.flatten(0, 1)), gradients(model, pixels)
    names = set(model.state_dict())
    cache = attach_feature_cache(model, tmp_path / "features")
    for _ in range(2):
        assert torch.equal(tower(pixels.flatten(0, 1)), levels)
        found = gradients(model, pixels)
        assert found.keys() == wanted.keys()
        assert all(torch.equal(found[name], wanted[name]) for name in wanted)
    assert cache.encoded == 6
    assert set(model.state_dict()) == names
    assert not list((tmp_path / "features").rglob(".*"))


def test_images_that_come_several_times_in_a_batch_are_encoded_once(model, pixels, tmp_path):
    cache = attach_feature_cache(model, tmp_path)
    repeated = pixels.flatten(0, 1)[[0, 1, 0, 2, 1]]
    levels = model.model.vision_tower(repeated)
    assert cache.encoded == 3
    assert torch.equal(levels[:, 0], levels[:, 2])
    assert torch.equal(levels[:, 1], levels[:, 4])
    assert levels.shape[1] == 5


@pytest.mark.parametrize("change", ["weights", "pixels", "dtype", "autocast"])
def test_nothing_is_found_that_is_not_the_same(base, pixels, tmp_path, change):
    first, second = (load_checkpoint(base).model.requires_grad_(requires_grad=False) for _ in range(2))
    images = pixels.flatten(0, 1)
    attach_feature_cache(first, tmp_path)
    first.model.vision_tower(images)
    if change == "weights":
        next(second.model.vision_tower.parameters()).data.view(-1)[0].add_(1e-3)
    elif change == "dtype":
        second.bfloat16()
        images = images.bfloat16()
    elif change == "pixels":
        images = images + 1e-6
    plain = second.model.vision_tower
    with torch.autocast("cpu", torch.bfloat16, enabled=change == "autocast"):
        expected = plain(images)
        cache = attach_feature_cache(second, tmp_path)
        found = plain(images)
    assert cache.encoded == len(images)
    assert torch.equal(found, expected)
    assert found.dtype == expected.dtype


def test_a_file_that_was_cut_short_is_made_again(model, pixels, tmp_path):
    images = pixels.flatten(0, 1)
    attach_feature_cache(model, tmp_path)
    levels = model.model.vision_tower(images)
    files = sorted(tmp_path.rglob("*.safetensors"))
    files[0].write_bytes(files[0].read_bytes()[:100])
    files[1].write_bytes(b"")
    cache = attach_feature_cache_anew(model, tmp_path)
    assert torch.equal(model.model.vision_tower(images), levels)
    assert cache.encoded == 2
    assert torch.equal(model.model.vision_tower(images), levels)
    assert cache.encoded == 2


def attach_feature_cache_anew(model, folder):
    del model.model.vision_tower.forward
    return attach_feature_cache(model, folder)


def test_two_may_write_the_same_folder_at_once(base, pixels, tmp_path):
    images = pixels.flatten(0, 1)
    models = [load_checkpoint(base).model.requires_grad_(requires_grad=False) for _ in range(2)]
    wanted = models[0].model.vision_tower(images)
    for model in models:
        attach_feature_cache(model, tmp_path)
    found = {}
    threads = [
        threading.Thread(target=lambda at=at: found.update({at: models[at].model.vision_tower(images)}))
        for at in (0, 1)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(torch.equal(found[at], wanted) for at in (0, 1))
    assert len(list(tmp_path.rglob("*.safetensors"))) == len(images)


def test_a_run_with_a_cache_learns_the_same(base, records, tmp_path, monkeypatch):
    asked = []
    encode = FeatureCache.__call__

    def counting(self, pixels):
        levels = encode(self, pixels)
        asked.append(self.encoded)
        return levels

    monkeypatch.setattr(FeatureCache, "__call__", counting)
    plain = train(config(base, records, tmp_path / "plain", recipe={"epochs": 2}))
    assert not asked
    folder = tmp_path / "features"
    cached = train(
        config(base, records, tmp_path / "cached", recipe={"epochs": 2}, data={"feature_cache": str(folder)})
    )
    assert losses(cached) == losses(plain)
    ended, wanted = (load_checkpoint(run.folder).model.state_dict() for run in (cached, plain))
    assert all(torch.equal(ended[name], value) for name, value in wanted.items())
    # The second epoch asked the tower for nothing.
    assert asked[len(asked) // 2 - 1] == asked[-1] == len(list(folder.rglob("*.safetensors"))) <= 16


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"recipe": {"train": ["difference_module", "vision_tower"]}}, "recipe.train lists vision_tower"),
        ({"augmentation": {"horizontal_flip": True}}, "augmentation changes them each time"),
    ],
)
def test_what_would_not_be_the_same_is_refused(base, records, tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        config(base, records, tmp_path, data={"feature_cache": str(tmp_path / "features")}, **changes)


def test_a_tower_that_trains_or_drops_out_is_refused(base, tmp_path):
    model = load_checkpoint(base).model
    with pytest.raises(InputError, match="this one trains"):
        attach_feature_cache(model, tmp_path)
    model.requires_grad_(requires_grad=False)
    model.model.vision_tower.config.attention_dropout = 0.1
    with pytest.raises(InputError, match="drops out 10%"):
        attach_feature_cache(model, tmp_path)


def test_a_folder_that_cannot_be_made_is_told(model, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(WriteError, match="cannot be made"):
        attach_feature_cache(model, tmp_path / "file")
