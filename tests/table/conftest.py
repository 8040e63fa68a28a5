"""What the tests of the table share."""

from __future__ import annotations

import pytest
from table.standins import make_layer


@pytest.fixture
def layer():
    return make_layer()
