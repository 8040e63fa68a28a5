"""METEOR: its figures, its lines that never shift, and the one Java process behind it."""

import os
import subprocess
import threading

import numpy as np
import pytest
from evaluation import oracles
from pycocoevalcap.meteor.meteor import Meteor as TheirMeteor

from geocc.errors import EvaluationError
from geocc.evaluation import meteor as module
from geocc.evaluation.meteor import Meteor, meteor_from_counts, poolable, shared_meteor

#: Scored once with pycocoevalcap 1.2's own wrapper, untouched, and the Java 17 of its machine.
GOLDEN_HYPOTHESES = [
    "villa some along is",
    "top built top road",
    "of removed houses on a house on constructed many removed",
    "",
    "two villas were constructed near the streets",
    "the roads 🌲 are built  شارع",
]
GOLDEN_REFERENCES = [
    ["many are desert the some of along two", "in on the house some the is is", "villa some along is", "of in two"],
    [
        "the villa the along and many roads is many",
        "two in roads along of trees houses two in in desert",
        "constructed two along removed some in",
        "bareland house appears",
        "is left built appear in appear constructed roads villa corner houses",
    ],
    [
        "some in roads on appears built",
        "roads bareland some two on is houses left built many",
        "is the trees some left along in corner of built",
        "removed constructed bareland appears in corner appear some",
        "road appears removed trees",
    ],
    ["trees villa a appears of in"],
    [
        "appear houses two built bareland the",
        "a in many along",
        "constructed bareland a some",
        "bareland are many desert road constructed",
        "constructed appears two two and appears appear appears appears roads some many",
    ],
    ["the road 🌲 is built", "شارع جديد", "  padded   sentence  "],
]
GOLDEN_SCORES = [1.0, 0.05294640036870678, 0.18524301983167063, 0.0, 0.13259668508287292, 0.4238491513450371]


class BorrowedMeteor(TheirMeteor):
    """pycocoevalcap's own class on our Java process, so that a session needs but one."""

    def __init__(self, process):
        self.meteor_p = process
        self.lock = threading.Lock()

    def __del__(self):
        """Leave the process alone: it is not ours to end. (The original also raises where its start failed.)"""


def test_figures_are_those_of_pycocoevalcaps_own_wrapper(meteor):
    _, scores = meteor.score(meteor.statistics(GOLDEN_HYPOTHESES, GOLDEN_REFERENCES))
    assert scores == pytest.approx(GOLDEN_SCORES, abs=1e-12)


def test_figures_are_those_of_pycocoevalcaps_protocol(meteor):
    whole, scores = meteor.score(meteor.statistics(GOLDEN_HYPOTHESES, GOLDEN_REFERENCES))
    theirs = BorrowedMeteor(meteor._running()).compute_score(
        dict(enumerate(GOLDEN_REFERENCES)), {n: [text] for n, text in enumerate(GOLDEN_HYPOTHESES)}
    )
    assert whole == pytest.approx(theirs[0], abs=1e-12)
    assert scores == pytest.approx(theirs[1], abs=1e-12)


def test_figures_are_those_of_the_paper(meteor):
    counts = meteor.statistics(GOLDEN_HYPOTHESES, GOLDEN_REFERENCES)
    assert np.array_equal(counts, counts.astype(int))  # the reference cuts them to whole numbers: nothing is lost
    assert [oracles.meteor(row) for row in counts.tolist()] == pytest.approx(GOLDEN_SCORES, abs=1e-12)
    pooled = meteor_from_counts(poolable(counts).sum(axis=0, keepdims=True))
    assert pooled == pytest.approx([meteor.score(counts)[0]], abs=1e-12)


HOSTILE = [
    "",
    "   ",
    "a ||| b",
    "|||",
    "||||||| a",
    "two\nlines",
    "carriage\rreturn\r\n",
    "line\u2028paragraph\u2029next\x85feed\x0b\x0c\x1c",
    "EVAL ||| 1 2 3",
    "SCORE ||| a ||| b",
    "nul \x00 and bell \x07",
    "emoji 👩‍🌾🌲",
    "مبنى جديد على الطريق",
    "\u202eright to left",
    "lone \ud83c surrogate",
    "{} %s $HOME `ls`",
    "the road and the house " * 200,
    "x" * 5000,
]


def test_no_caption_shifts_the_lines_of_another(meteor):
    plain = [f"{number} houses are built along the road" for number in range(len(HOSTILE))]
    mixed = [text for pair in zip(HOSTILE, plain, strict=True) for text in pair]
    references = [["some houses are built", text[:500]] for text in mixed]
    _, scores = meteor.score(meteor.statistics(mixed, references))
    assert scores[1::2] == pytest.approx(np.ones(len(plain)))
    assert np.isfinite(scores).all()


def test_nothing_at_all_scores_nothing(meteor):
    whole, scores = meteor.score(meteor.statistics(["", ""], [["a"], [""]]))
    assert whole == 0
    assert scores.tolist() == [0, 0]
    assert meteor.statistics([], []).shape == (0, 23)
    assert np.isnan(meteor.score(np.zeros((0, 23)))[0])


def test_threads_share_one_process(meteor):
    results = {}

    def score(number):
        results[number] = meteor.statistics([f"{number} houses"], [[f"{number} roads and houses"]])

    threads = [threading.Thread(target=score, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(row[0, 0] == 2 for row in results.values())
    assert shared_meteor() is meteor


def test_the_process_outlives_the_thread_that_asked_for_it(meteor):
    meteor.statistics(["a"], [["b"]])
    assert meteor._running().poll() is None


def test_the_bar_hears_of_every_caption(meteor):
    done = []
    meteor.statistics(["a", "a", "b"], [["a"], ["a"], ["a"]], on_done=done.append)
    assert done == [1, 1, 1]


def fake_java(script, monkeypatch):
    """Stand in for Java: a shell script that answers as it likes."""

    def start(_, *, stderr):
        return subprocess.Popen(["/bin/sh", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr)

    monkeypatch.setattr(module, "start_java", start)


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo no memory for you >&2", "no memory for you"),
        ("while read line; do echo Error: specify; done", "Error: specify"),
        ("exec sleep 60", "did not answer in time, on the caption 'a'"),
    ],
)
def test_a_process_that_fails_is_an_error_and_never_a_hang(script, said, monkeypatch):
    fake_java(script, monkeypatch)
    monkeypatch.setattr(module, "_START_TIMEOUT", 0.5)
    monkeypatch.setattr(module, "_REPLY_TIMEOUT", 0.5)
    with pytest.raises(EvaluationError, match=said) as caught:
        Meteor().statistics(["a"], [["b"]])
    assert "--metrics bleu,rouge,cider" in str(caught.value)


def test_a_process_that_died_is_started_again(monkeypatch):
    zeros = " ".join("0" * module.STATISTICS)
    fake_java(f"while read line; do echo {zeros}; done", monkeypatch)
    fake = Meteor()
    assert fake.statistics(["a"], [["b"]]).shape == (1, 23)
    first = fake._running()
    first.kill()
    first.wait()
    assert fake.statistics(["c"], [["b"]]).shape == (1, 23)
    assert fake._running() is not first
    fake.close()
    fake.close()


def test_known_captions_are_bounded(monkeypatch):
    fake_java(f"while read line; do echo {' '.join('0' * module.STATISTICS)}; done", monkeypatch)
    monkeypatch.setattr(module, "_MAX_KNOWN", 3)
    fake = Meteor()
    fake.statistics([str(number) for number in range(10)], [["a"]] * 10)
    assert len(fake._known) <= 3
    fake.close()


def test_a_forked_child_gets_its_own(meteor, monkeypatch):
    monkeypatch.setattr(os, "getpid", lambda: -1)
    other = shared_meteor()
    assert other is not meteor
    module._shared.pop(-1)


def test_without_the_jar_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda _: None)
    with pytest.raises(EvaluationError, match="pip install pycocoevalcap"):
        Meteor().statistics(["a"], [["b"]])
