from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from geocc.scene.source import valid_pixels


def test_integers_are_invalid_where_all_bands_hold_nodata():
    values = np.array([[[0, 0, 5]], [[0, 3, 0]], [[0, 0, 0]]], np.uint8)
    assert valid_pixels(values, (0.0, 0.0, 0.0)).tolist() == [[False, True, True]]


def test_nodata_that_the_type_cannot_hold_hides_nothing():
    values = np.zeros((3, 1, 2), np.uint8)
    assert valid_pixels(values, (-9999.0,) * 3).all()
    assert valid_pixels(values, (0.5,) * 3).all()
    assert valid_pixels(values, (float("nan"),) * 3).all()
    assert valid_pixels(values, (None,) * 3).all()


def test_float32_nodata_is_compared_in_float32():
    values = np.full((3, 1, 1), -3.4028234663852886e38, np.float32)
    assert not valid_pixels(values, (-3.40282347e38,) * 3).any()


def test_a_negative_nodata_value_makes_a_pixel_invalid_in_any_band():
    values = np.array([[[-9999, 1]], [[5, 2]], [[5, 3]]], np.int16)
    for dtype in (np.int16, np.float32):
        assert valid_pixels(values.astype(dtype), (-9999.0,) * 3).tolist() == [[False, True]]


@given(
    hnp.arrays(np.float32, (3, 4, 5), elements=st.one_of(st.floats(width=32), st.just(1.0))),
    st.sampled_from([1.0, -1.0, None]),
)
def test_floats_are_valid_only_where_every_band_is_finite_and_not_all_hold_nodata(values, nodata):
    def valid(pixel):
        hits = [value == nodata for value in pixel]
        return bool(np.isfinite(pixel).all() and not all(hits) and not (nodata == -1.0 and any(hits)))

    expected = [[valid(values[:, row, col]) for col in range(5)] for row in range(4)]
    assert valid_pixels(values, (nodata,) * 3).tolist() == expected
