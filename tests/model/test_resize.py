"""Against Pillow itself, bit by bit."""

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image
from support import tiny_ccexpert

from geocc.errors import InputError
from geocc.model import resize
from geocc.model.resize import resize_as_pillow


def by_pillow(planes, side):
    return np.stack([np.asarray(Image.fromarray(x).resize((side, side), Image.Resampling.BICUBIC)) for x in planes])


@settings(deadline=None, max_examples=40)
@given(given_side=st.integers(1, 150), side=st.integers(1, 150), seed=st.integers(0, 99), black_and_white=st.booleans())
@example(given_side=256, side=384, seed=0, black_and_white=False)
@example(given_side=256, side=128, seed=1, black_and_white=True)
@example(given_side=700, side=3, seed=2, black_and_white=True)
def test_every_value_is_pillows(given_side, side, seed, black_and_white):
    planes = np.random.default_rng(seed).integers(0, 256, (2, given_side, given_side), dtype=np.uint8)
    if black_and_white:  # the filter overshoots most at edges
        planes = np.where(planes > 127, 255, 0).astype(np.uint8)
    found = resize_as_pillow(torch.from_numpy(planes), side)
    assert found.dtype == torch.uint8
    np.testing.assert_array_equal(found.numpy(), by_pillow(planes, side))


def test_any_number_of_leading_axes_in_parts_of_any_size(monkeypatch):
    images = np.random.default_rng(0).integers(0, 256, (2, 2, 3, 20, 20), dtype=np.uint8)
    whole = resize_as_pillow(torch.from_numpy(images), 31)
    assert whole.shape == (2, 2, 3, 31, 31)
    monkeypatch.setattr(resize, "_VALUES_AT_ONCE", 5000)
    assert torch.equal(resize_as_pillow(torch.from_numpy(images), 31), whole)
    assert resize_as_pillow(torch.empty(0, 3, 20, 20, dtype=torch.uint8), 31).shape == (0, 3, 31, 31)


@pytest.mark.parametrize(
    ("shape", "dtype", "side"),
    [((3, 4, 5), torch.uint8, 8), ((3, 4, 4), torch.float32, 8), ((3, 4, 4), torch.uint8, 0)],
)
def test_what_it_is_not_made_for_is_refused(shape, dtype, side):
    with pytest.raises(InputError, match=r"expected \(\.\.\., H, H\) torch\.uint8"):
        resize_as_pillow(torch.zeros(shape, dtype=dtype), side)


def test_a_device_sees_the_pixels_that_pillow_makes():
    _, processor = tiny_ccexpert.make()
    images = np.random.default_rng(1).integers(0, 256, (3, 2, 3, 50, 50), dtype=np.uint8)
    # What runs on a CUDA device, run on this one.
    assert torch.equal(processor._pixels_at(torch.from_numpy(images)), processor.pixel_values(images))
    assert torch.equal(processor.pixel_values(images, device=torch.device("cpu")), processor.pixel_values(images))
    assert processor._is_plain(images)
    assert not processor._is_plain(images[..., :40])
