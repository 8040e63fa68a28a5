from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocc.table import MAX_CAPTION_LENGTH, clean_caption


@pytest.mark.parametrize(
    ("raw", "cleaned"),
    [
        ("trees gave way to a road", "trees gave way to a road"),
        ("one\ttwo\nthree\r\nfour\rfive", "one two three four five"),
        ("a\x00b\x07c\x1b[31md\x7fe\x9bf", "abc[31mdef"),
        ("safe \u202eexe.txt\u202c \u2066x\u2069 \u200fy", "safe exe.txt x y"),
        ("line\u2028paragraph\u2029next\x85end", "line paragraph next end"),
        ("lone \ud800 surrogate", "lone  surrogate"),
        ("<b>&amp;</b> ${x} {{y}} =1+1", "<b>&amp;</b> ${x} {{y}} =1+1"),
        (
            "family \U0001f468\u200d\U0001f469\u200d\U0001f467 and \u0646\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        )
        * 2,
    ],
)
def test_takes_out_only_what_no_reader_sees(raw, cleaned):
    assert clean_caption(raw) == cleaned


@given(st.text(alphabet=st.characters(codec=None), max_size=60))
def test_any_text_ends_clean_and_stays_so(raw):
    cleaned = clean_caption(raw)
    assert clean_caption(cleaned) == cleaned
    assert {unicodedata.category(character) for character in cleaned}.isdisjoint({"Cc", "Cs", "Zl", "Zp"})
    assert {unicodedata.bidirectional(character) for character in cleaned}.isdisjoint(
        {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
    )
    cleaned.encode("utf-8")


def test_cuts_what_is_too_long_and_says_so():
    assert clean_caption("x" * MAX_CAPTION_LENGTH) == "x" * MAX_CAPTION_LENGTH
    assert clean_caption("x" * (MAX_CAPTION_LENGTH + 1)) == "x" * (MAX_CAPTION_LENGTH - 1) + "…"
    assert clean_caption("abcdef", max_length=3) == "ab…"
