"""What the tests of the views share."""

from __future__ import annotations

import pytest
from views.standins import Pair, make_changes, make_geobox


@pytest.fixture
def pair():
    return Pair(make_geobox())


@pytest.fixture
def changes(pair):
    return make_changes(pair.geobox)
