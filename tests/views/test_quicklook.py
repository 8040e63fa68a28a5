from __future__ import annotations

import numpy as np
import pytest
from affine import Affine
from views.standins import Pair, make_geobox

from geocc.errors import InputError
from geocc.views import quicklook


def world_of(affine, shape):
    """The CRS coordinates of every pixel's centre, by the definition of an affine."""
    rows, cols = np.mgrid[0 : shape[0], 0 : shape[1]] + 0.5
    a, b, c, d, e, f = tuple(affine)[:6]
    return a * cols + b * rows + c, d * cols + e * rows + f


def test_a_small_scene_is_shown_as_it_is(pair):
    look = quicklook(pair)
    assert (look.image == pair.image).all()
    assert look.valid.all()
    assert look.geobox == pair.geobox


@pytest.mark.parametrize(
    ("height", "width", "limit"), [(40, 60, 20), (41, 59, 20), (7, 200, 10), (1, 1, 1), (50, 50, 1)]
)
def test_a_pixel_is_the_mean_of_its_valid_square(height, width, limit):
    rng = np.random.default_rng(0)
    pair = Pair(make_geobox(height, width), valid=rng.random((height, width)) < 0.5)
    look = quicklook(pair, max_size_px=limit)
    factor = -(-max(height, width) // limit)
    assert max(look.valid.shape) <= limit
    for row, col in np.ndindex(*look.valid.shape):
        square = np.s_[row * factor : (row + 1) * factor, col * factor : (col + 1) * factor]
        valid = pair.valid[square]
        assert look.valid[row, col] == valid.any()
        mean = pair.image[:, :, *square][..., valid].mean(axis=-1) if valid.any() else np.zeros((2, 3))
        np.testing.assert_allclose(look.image[..., row, col], mean, atol=0.5001)
    assert np.allclose(tuple(look.affine)[:6], [2.0 * factor, 0, 500_000, 0, -2.0 * factor, 4_000_000])


def test_memory_is_bounded_and_every_pixel_is_read_once():
    pair = Pair(make_geobox(1300, 1550))
    look = quicklook(pair, max_size_px=50)
    assert max(look.image.shape) == 50
    assert max(max(window.height, window.width) for window in pair.windows) <= 1024
    seen = np.zeros(look.valid.shape, int)
    factor = 31
    for window in pair.windows:
        seen[
            window.row // factor : (window.row + window.height) // factor,
            window.col // factor : (window.col + window.width) // factor,
        ] += 1
    assert (seen == 1).all()


def test_a_size_below_one_is_refused(pair):
    with pytest.raises(InputError, match="max_size_px is 0"):
        quicklook(pair, max_size_px=0)


@pytest.mark.parametrize(
    "linear",
    [
        pytest.param((2, 0, 0, -2), id="north up"),
        pytest.param((2, 0, 0, 2), id="south up"),
        pytest.param((-2, 0, 0, 2), id="half a turn"),
        pytest.param((-2, 0, 0, -2), id="west and east exchanged"),
        pytest.param((0, 2, 2, 0), id="a quarter turn"),
        pytest.param((0, -2, -2, 0), id="the other quarter turn"),
        pytest.param((0, 2, -2, 0), id="transposed"),
        pytest.param((1.6, 1.2, 1.2, -1.6), id="turned by 37 degrees"),
        pytest.param((-1.2, 1.6, 1.6, 1.2), id="turned by 127 degrees"),
        pytest.param((2, 0.5, 0, -2), id="sheared"),
    ],
)
def test_upright_has_north_up_and_moves_no_pixel_on_the_ground(linear):
    a, b, d, e = linear
    pair = Pair(make_geobox(5, 7, affine=Affine(a, b, 500_000, d, e, 4_000_000)))
    look = quicklook(pair)
    upright = look.upright()
    matrix = np.array([[upright.affine.a, upright.affine.b], [upright.affine.d, upright.affine.e]])
    right, down = np.linalg.inv(matrix) @ (0, 1)
    assert -down >= abs(right)
    assert np.linalg.det(matrix) < 0
    colors = {}
    for picture in (look, upright):
        xs, ys = world_of(picture.affine, picture.valid.shape)
        colors[id(picture)] = {
            (round(x, 6), round(y, 6)): tuple(picture.image[..., row, col].ravel())
            for (row, col), x, y in zip(np.ndindex(*xs.shape), xs.ravel(), ys.ravel(), strict=True)
        }
    assert colors[id(look)] == colors[id(upright)]
