"""What is done to captions before they are scored."""

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

from geocc.errors import EvaluationError, InputError
from geocc.evaluation import find_java, normalisation
from geocc.evaluation.normalisation import normalise, ptb_tokenize, tokenize

CAPTIONS = [
    "A house, is Built.",
    "",
    '(a) don\'t - t-shaped ... ! roads; and "trees"',
    "it's/that's 3.5 m",
    "emoji 🌲 and مبنى",
]


@given(st.text())
def test_the_reference_normalisation_lowers_and_drops_full_stops_only(text):
    assert normalise(text) == text.lower().replace(".", "")


def test_blanks_are_kept():
    assert normalise(" A  Road . ") == " a  road  "


def test_ptb_is_that_of_the_coco_evaluation(monkeypatch):
    # pycocoevalcap starts java by name.
    monkeypatch.setenv("PATH", str(find_java().parent))
    theirs = PTBTokenizer().tokenize({0: [{"caption": text} for text in CAPTIONS]})[0]
    assert ptb_tokenize(CAPTIONS) == theirs


def test_ptb_keeps_one_line_per_caption():
    hostile = ["two\nlines\r\nhere", "line\u2028sep\x85\x0b\x1c", "\ud800", "|||", "   ", "last"]
    tokenized = ptb_tokenize(hostile)
    assert len(tokenized) == len(hostile)
    assert tokenized[0] == "two lines here"
    assert tokenized[-1] == "last"


def test_a_tokenizer_that_fails_is_an_error(monkeypatch):
    def fail(command, **_):
        raise subprocess.CalledProcessError(1, command, stderr=b"no memory for you")

    monkeypatch.setattr(normalisation.subprocess, "run", fail)
    with pytest.raises(EvaluationError, match="no memory for you"):
        ptb_tokenize(["a"])


def test_a_tokenizer_that_drops_a_line_is_an_error(monkeypatch):
    monkeypatch.setattr(normalisation, "_run_tokenizer", lambda _: b"a\n")
    with pytest.raises(EvaluationError, match="1 lines of 2"):
        ptb_tokenize(["a", "b"])


def test_no_such_tokenization():
    assert tokenize(["A."], "reference") == ["a"]
    with pytest.raises(InputError, match="reference, ptb"):
        tokenize(["a"], "nltk")
