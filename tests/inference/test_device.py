import random

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from geocc.errors import InputError
from geocc.inference.device import choose_device, choose_dtype, free_memory


def test_the_device_is_the_one_asked_for():
    assert choose_device("cpu") == torch.device("cpu")
    assert choose_device(torch.device("cpu")) == torch.device("cpu")


def test_left_out_it_is_the_fastest_one_present():
    expected = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else torch.device("cpu")
    assert choose_device() == expected


@pytest.mark.parametrize("device", ["abacus", "cpu:x", "vulkan"])
def test_a_device_that_is_not_there_is_refused_with_those_that_are(device):
    with pytest.raises(InputError, match=rf"device is '{device}', which cannot be used here.*this machine has cpu"):
        choose_device(device)


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [("float32", torch.float32), ("bfloat16", torch.bfloat16), (torch.float16, torch.float16)],
)
def test_the_dtype_is_the_one_asked_for(dtype, expected):
    assert choose_dtype(dtype, torch.device("cpu")) is expected


@pytest.mark.parametrize(("gain", "expected"), [(8.0, torch.bfloat16), (0.3, torch.float32)])
def test_left_to_itself_it_is_the_faster_one(gain, expected, monkeypatch):
    seconds = {torch.float32: gain, torch.bfloat16: 1.0}
    monkeypatch.setattr("geocc.inference.device._product_seconds", lambda dtype, _: seconds[dtype])
    assert choose_dtype("auto", torch.device("cpu")) is expected


@given(st.integers(0, 2**32), st.sampled_from([(2.1, torch.bfloat16), (1.1, torch.float32)]))
def test_another_program_that_takes_the_processor_now_and_then_changes_nothing(seed, case):
    gain, expected = case
    chance = random.Random(seed)

    def seconds(dtype, _):
        return (5.0 if chance.random() < 0.3 else 1.0) * (gain if dtype is torch.float32 else 1.0)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("geocc.inference.device._product_seconds", seconds)
        assert choose_dtype("auto", torch.device("cpu")) is expected


def test_the_probe_touches_no_random_state():
    before = torch.random.get_rng_state()
    choose_dtype("auto", torch.device("cpu"))
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("dtype", ["int8", "fast", torch.int32, "nn"])
def test_what_is_no_floating_dtype_is_refused(dtype):
    with pytest.raises(InputError, match="expected 'auto', 'bfloat16'"):
        choose_dtype(dtype, torch.device("cpu"))


def test_some_memory_is_free():
    assert 0 < free_memory(torch.device("cpu")) < 2**60
