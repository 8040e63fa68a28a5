from __future__ import annotations

import numpy as np
import pytest

from geocc.scene import PixelWindow, Tile


def test_slices_and_text_say_where_the_window_lies():
    window = PixelWindow(row=2, col=3, height=4, width=5)
    assert (window.rows, window.cols) == (slice(2, 6), slice(3, 8))
    assert str(window) == "rows 2 to 6, columns 3 to 8"


@pytest.mark.parametrize(
    ("window", "inside"),
    [
        (PixelWindow(-2, -3, 6, 6), PixelWindow(0, 0, 4, 3)),
        (PixelWindow(8, 9, 6, 6), PixelWindow(8, 9, 2, 11)),
        (PixelWindow(1, 1, 2, 2), PixelWindow(1, 1, 2, 2)),
    ],
)
def test_clipped_keeps_what_lies_inside(window, inside):
    width = 20 if inside.width == 11 else 10
    expected = PixelWindow(8, 9, 2, 6) if inside.width == 11 else inside
    assert window.clipped(height=10, width=width) == expected


def test_clipped_outside_is_empty():
    assert PixelWindow(20, 0, 4, 4).clipped(height=10, width=10).is_empty


def test_padding_grows_bottom_and_right_with_invalid_zeros():
    tile = Tile(np.full((2, 3, 3, 5), 7, np.uint8), np.ones((3, 5), bool))
    padded = tile.padded(6)
    assert padded.image.shape == (2, 3, 6, 6)
    assert padded.image[..., :3, :5].min() == 7
    assert padded.image.sum() == tile.image.sum()
    assert padded.valid.sum() == 15
    assert tile.padded(3) is tile


def test_valid_fraction():
    assert Tile(np.zeros((2, 3, 2, 2), np.uint8), np.array([[True, False], [True, True]])).valid_fraction == 0.75
    assert Tile(np.zeros((2, 3, 0, 0), np.uint8), np.zeros((0, 0), bool)).valid_fraction == 0.0
