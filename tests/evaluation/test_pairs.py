"""Joining: each pair once, nothing dropped in silence."""

import pytest

from geocc.errors import InputError
from geocc.evaluation import Prediction, Reference
from geocc.evaluation.pairs import join

ROAD = {"uid": "a", "pred": "a road", "change_caption": ["a road appears"]}
SAME = {"uid": "b", "pred": "no change", "change_caption": ["the same as before"]}


def test_duplicates_are_counted_once_and_reported():
    joined = join([ROAD, SAME, ROAD | {"pred": "a house"}, ROAD], None)
    assert [pair.uid for pair in joined.pairs] == ["a", "b"]
    assert joined.pairs[0].caption == "a road"
    assert joined.duplicates == {"a": 3}
    assert "1 pairs came more than once (2 extra lines, 1 of them with different captions)" in joined.notes[0]


def test_duplicates_can_be_kept():
    joined = join([ROAD, SAME, ROAD], None, duplicates="keep")
    assert [pair.uid for pair in joined.pairs] == ["a", "b", "a"]
    assert joined.duplicates == {"a": 2}
    with pytest.raises(InputError, match="'first' or 'keep'"):
        join([ROAD], None, duplicates="last")


@pytest.mark.parametrize(
    "references",
    [
        {"a": ["a street"], "b": ("the same",), "c": ["x"]},
        [Reference("a", ("a street",)), {"uid": "b.png", "change_caption": ["the same"]}, Reference("c", ("x",))],
    ],
)
def test_references_given_apart_come_first(references):
    joined = join([ROAD, SAME], references)
    assert [pair.references for pair in joined.pairs] == [("a street",), ("the same",)]
    assert joined.notes == ("1 of 3 references have no prediction; the scores are of the others.",)


def test_a_prediction_without_references_is_an_error():
    with pytest.raises(InputError, match=r"'a' has no references; give them: evaluate"):
        join([Prediction("a", "a road")], None)
    with pytest.raises(InputError, match="'a' has no references; add them"):
        join([Prediction("a", "a road")], {"b": ["x"]})
    with pytest.raises(InputError, match="one or more sentences"):
        join([Prediction("a", "a road")], {"a": []})
    with pytest.raises(InputError, match="expected a list"):
        join([Prediction("a", "a road")], {"a": "one text"})


def test_no_prediction_at_all_is_an_error():
    with pytest.raises(InputError, match="no prediction"):
        join([], None)


def test_truth_is_the_note_else_the_majority_of_the_sentences():
    sentences = ["no change has occurred", "the same as before", "a road is built"]
    for flag, changed in ((None, False), (0, False), (1, True)):
        record = {"uid": "a", "pred": "", "change_caption": sentences, "change_flag": flag}
        assert join([record], None).pairs[0].changed is changed
    assert Reference("a", ("no change", "a road")).says_changed()


def test_empty_captions_are_noted_and_are_no_answer_of_no_change():
    joined = join([ROAD | {"pred": " "}], None)
    assert joined.notes == ("1 predictions are empty.",)
    assert joined.pairs[0].says_changed
