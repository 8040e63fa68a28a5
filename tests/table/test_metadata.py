from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pytest

from geocc.errors import InputError
from geocc.table import write_layer
from geocc.table.metadata import json_safe, load_metadata


def test_brings_everything_to_what_json_can_hold_and_compare():
    safe = json_safe(
        {
            "path": Path("a/b"),
            "numpy": np.float32(0.5),
            "array": np.arange(3),
            "nan": float("nan"),
            "numpy nan": np.float64("nan"),
            "tuple": (1, (2, None)),
            "set": {"b", "a"},
            "date": date(2020, 1, 2),
            "datetime": datetime(2020, 1, 2, tzinfo=UTC),
            3: True,
            "dtype": np.dtype("uint8"),
        }
    )
    assert safe == {
        "path": "a/b",
        "numpy": 0.5,
        "array": [0, 1, 2],
        "nan": None,
        "numpy nan": None,
        "tuple": [1, [2, None]],
        "set": ["a", "b"],
        "date": "2020-01-02",
        "datetime": "2020-01-02T00:00:00+00:00",
        "3": True,
        "dtype": "uint8",
    }
    assert json.loads(json.dumps(safe, allow_nan=False)) == safe


def test_hides_the_secrets_of_addresses():
    safe = json.dumps(json_safe({"t1": ["https://me:pass@host/a.tif?sig=abc"]}))
    assert "pass" not in safe
    assert "abc" not in safe


@pytest.mark.parametrize("text", [None, "", b"", "not json", "[1]", '"text"'])
def test_what_other_programs_leave_counts_as_none(text):
    assert load_metadata(text) == {}


def test_metadata_that_are_no_dict_are_refused(layer, tmp_path):
    layer.attrs["geocc"] = "mini"
    with pytest.raises(InputError, match="expected a dict"):
        write_layer(layer, tmp_path / "a.gpkg")
