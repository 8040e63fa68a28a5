from __future__ import annotations

import pandas as pd
import pytest

from geocc.scene.labels import parse_label


@pytest.mark.parametrize(
    ("text", "stamp"),
    [
        ("2009:08:18 17:02:11", "2009-08-18 17:02:11"),
        ("2009-08-18", "2009-08-18"),
        ("2020-08-31T10:00:00Z", "2020-08-31 10:00"),
        ("2020-08-31T10:00:00+02:00", "2020-08-31 08:00"),
    ],
)
def test_times_are_understood(text, stamp):
    assert parse_label(text) == pd.Timestamp(stamp)


@pytest.mark.parametrize("text", [None, "", "last summer", "0000:00:00 00:00:00", 7])
def test_what_is_no_time_is_none(text):
    assert parse_label(text) is None
