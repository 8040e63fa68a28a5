"""Prediction and reference files: every fault is named with its line."""

import json

import pytest

from geocc.errors import InputError, ReadError
from geocc.evaluation import Prediction, Reference, read_predictions, read_references

GOOD = {"uid": "test_000004", "pred": "A road.", "change_caption": ["a road is built", "a street"]}


def test_the_reference_layout_is_read(write_lines):
    path = write_lines([GOOD, "", GOOD | {"uid": 7, "change_probability": 0.25, "change_flag": 1}])
    first, second = read_predictions(path)
    reference = Reference("test_000004", ("a road is built", "a street"))
    assert first == Prediction("test_000004", "A road.", reference, first.change_probability)
    assert (second.uid, second.change_probability, second.reference.changed) == ("7", 0.25, True)


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[1]", "expected an object"),
        ({"pred": "x"}, "uid is None"),
        ({"uid": True, "pred": "x"}, "uid is True"),
        ({"uid": "a"}, "pred of 'a' is None"),
        (GOOD | {"pred": None}, "pred of 'test_000004' is None"),
        (GOOD | {"pred": 5}, "is 5; expected the caption as a text"),
        (GOOD | {"pred": ["a road"]}, "expected the caption as a text"),
        (GOOD | {"change_caption": []}, "one or more sentences"),
        (GOOD | {"change_caption": "a road"}, "expected a list"),
        (GOOD | {"change_caption": ["a road", 3]}, "holds 3"),
        (GOOD | {"change_flag": 2}, "change_flag"),
        (GOOD | {"change_flag": [1]}, "change_flag"),
        (GOOD | {"change_probability": 1.5}, "expected 0 to 1"),
        (GOOD | {"change_probability": "0.5"}, "expected 0 to 1"),
    ],
)
def test_a_bad_line_is_named(write_lines, record, said):
    path = write_lines([GOOD, GOOD, record])
    with pytest.raises(InputError, match=r"predictions\.jsonl, line 3") as caught:
        read_predictions(path)
    assert said in str(caught.value)


def test_bytes_that_are_no_text_are_named(tmp_path):
    path = tmp_path / "predictions.jsonl"
    path.write_bytes(json.dumps(GOOD).encode() + b'\n{"uid": "\xff"}\n')
    with pytest.raises(InputError, match="line 2: not UTF-8"):
        read_predictions(path)


def test_only_a_line_feed_ends_a_line(write_lines):
    caption = "one\u2028two\x85three\x0bfour"
    (read,) = read_predictions(write_lines([GOOD | {"pred": caption}]))
    assert read.caption == caption


def test_a_file_that_is_missing_or_empty(tmp_path):
    with pytest.raises(ReadError, match=r"none\.jsonl cannot be read"):
        read_predictions(tmp_path / "none.jsonl")
    with pytest.raises(ReadError):
        read_references(tmp_path / "none.json")
    (tmp_path / "empty.jsonl").write_text("\n")
    with pytest.raises(InputError, match="holds no prediction"):
        read_predictions(tmp_path / "empty.jsonl")
    (tmp_path / "empty.json").write_text("[]")
    with pytest.raises(InputError, match="holds no reference"):
        read_references(tmp_path / "empty.json")


def test_references_come_as_lines_as_records_and_as_levir_cc_writes_them(write_lines, tmp_path):
    record = {"uid": "val_000001", "change_flag": 0, "change_caption": ["no change", "the same as before"]}
    expected = [Reference("val_000001", ("no change", "the same as before"), changed=False)]
    assert read_references(write_lines([record], "references.jsonl")) == expected
    records = tmp_path / "records.json"
    records.write_text(json.dumps([record]))
    assert read_references(records) == expected
    sentences = [{"raw": text, "tokens": text.split()} for text in record["change_caption"]]
    image = {"filename": "val_000001.png", "split": "val", "changeflag": 0, "sentences": sentences}
    records.write_text("\ufeff" + json.dumps({"images": [image]}), encoding="utf-8")
    assert read_references(records) == expected


@pytest.mark.parametrize("content", ['{"images": [{"filename": "a.png"}]}', '{"a": 1}', "3", '[{"uid": "a"}]', "no"])
def test_what_is_no_reference_file_is_refused(tmp_path, content):
    path = tmp_path / "references.json"
    path.write_text(content)
    with pytest.raises(InputError, match=r"references\.json"):
        read_references(path)


@pytest.mark.shared
def test_levir_cc_captions_are_read_with_their_flags(val_references):
    assert len(val_references) == 1333
    assert sum(reference.changed for reference in val_references) == 667
    # The rule for "no change" sentences finds the data set's own flags again.
    assert all(Reference("a", r.captions).says_changed() == r.changed for r in val_references)
