from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from geocc.views.palette import RAMP, probability_color


def lightness(color):
    red, green, blue = (int(color[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return 0.2126 * red**2.2 + 0.7152 * green**2.2 + 0.0722 * blue**2.2


def test_the_ramp_darkens_all_the_way_so_that_no_colour_vision_is_needed():
    shades = [lightness(probability_color(value)) for value in np.linspace(0, 1, 51)]
    assert all(later < earlier for earlier, later in pairwise(shades))


@pytest.mark.parametrize(
    ("probability", "color"),
    [(0, RAMP[0]), (1, RAMP[-1]), (0.2, RAMP[1]), (math.nan, RAMP[-1]), (-1, RAMP[0]), (2, RAMP[-1])],
)
def test_ends_and_stops(probability, color):
    assert probability_color(probability) == color
