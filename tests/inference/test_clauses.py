"""Which sentences say one thing twice."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocc.inference.clauses import repeats_itself


@pytest.mark.parametrize(
    "text",
    [
        "a house appears and a house appears",
        "a road disappears across the scene, and a road disappears across the scene",
        "A road appears.  a ROAD  appears",
        "trees have been cut down, a house appears and trees have been cut down",
        "several houses have been built at the top and a house has been built at the top",
        "two roads were removed and a road was removed",
        "some trees disappear, and several new trees disappear",
    ],
)
def test_what_comes_twice_is_seen(text):
    assert repeats_itself(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ", and .",
        "a house appears",
        "a house appears at the top and a house appears at the bottom",
        "a road appears and a road disappears",
        "some sandy land and some grassland turn into buildings",
        "several houses have been built on the left and a house has been built on the right",
        "a",
    ],
)
def test_what_is_said_once_is_no_repetition(text):
    assert not repeats_itself(text)


CLAUSES = st.lists(
    st.text("abcdefgh ", min_size=1).filter(lambda words: words.strip() and "and" not in words.split()),
    min_size=1,
    max_size=5,
    unique_by=lambda words: tuple(word for word in words.split() if word != "a") or "a",
)


@given(CLAUSES, st.sampled_from([" and ", ", ", ", and ", ". ", "; "]), st.data())
def test_a_clause_more_makes_a_repetition_of_any_list(clauses, between, data):
    assert not repeats_itself(between.join(clauses))
    again = data.draw(st.sampled_from(clauses)).upper()
    assert repeats_itself(between.join([*clauses, again]))
