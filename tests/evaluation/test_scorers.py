"""The scorers against pycocoevalcap called by hand, and against the papers written down once more."""

import numpy as np
import pytest
from evaluation import oracles
from hypothesis import given
from hypothesis import strategies as st
from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.rouge.rouge import Rouge

from geocc.errors import InputError
from geocc.evaluation.captions import caption_measures
from geocc.evaluation.measures import intervals
from geocc.evaluation.scorers import ALL_METRICS, check_metrics, cider_is_undefined, score_captions

WITHOUT_JAVA = ("bleu", "rouge", "cider")

words = st.sampled_from(["the", "a", "house", "houses", "road", "built", "tree", "is", "🌲", "شارع"])
captions = st.lists(words, min_size=1, max_size=9).map(" ".join)
corpora = st.lists(st.tuples(captions, st.lists(captions, min_size=1, max_size=4)), min_size=1, max_size=7)


def split(corpus):
    return [text for text, _ in corpus], [own for _, own in corpus]


@given(corpora)
def test_scores_are_those_of_pycocoevalcap_called_by_hand(corpus):
    hypotheses, references = split(corpus)
    told, known = {n: [text] for n, text in enumerate(hypotheses)}, dict(enumerate(references))
    scores = score_captions(hypotheses, references, metrics=WITHOUT_JAVA)
    whole = scores.corpus()
    bleu, per_caption = Bleu(4).compute_score(known, told, verbose=0)
    assert [whole[f"BLEU-{n}"] for n in range(1, 5)] == pytest.approx(bleu, abs=1e-12)
    assert scores.segments["BLEU-4"] == pytest.approx(per_caption[3], abs=1e-12)
    assert whole["ROUGE-L"] == pytest.approx(Rouge().compute_score(known, told)[0], abs=1e-12)
    assert whole["CIDEr"] == pytest.approx(Cider().compute_score(known, told)[0], abs=1e-12)


@given(corpora)
def test_scores_are_those_of_the_papers(corpus):
    hypotheses, references = split(corpus)
    scores = score_captions(hypotheses, references, metrics=WITHOUT_JAVA)
    whole = scores.corpus()
    for order in range(1, 5):
        expected = oracles.bleu(hypotheses, references, order)
        # Without a match pycocoevalcap gives up to 0.01: it adds 1e-15 to nothing and takes a root.
        assert whole[f"BLEU-{order}"] == pytest.approx(expected, abs=1e-6 if expected else 0.04)
    expected = [oracles.rouge(text, own) for text, own in corpus]
    assert scores.segments["ROUGE-L"] == pytest.approx(expected, abs=1e-6)
    assert scores.segments["CIDEr"] == pytest.approx(oracles.cider(hypotheses, references), abs=1e-6)


@given(corpora)
def test_a_part_scores_as_if_it_were_alone(corpus):
    hypotheses, references = split(corpus)
    rows = np.arange(0, len(corpus), 2)
    part = score_captions(hypotheses, references, metrics=WITHOUT_JAVA).part(rows).corpus()
    alone = score_captions(hypotheses[::2], references[::2], metrics=WITHOUT_JAVA).corpus()
    assert part == pytest.approx(alone, abs=1e-12)


@pytest.mark.parametrize("blank", ["", " ", "\n"])
def test_empty_captions_and_references_have_scores(blank):
    scores = score_captions([blank, "a road"], [["a road"], [blank, "a house"]], metrics=WITHOUT_JAVA)
    assert all(np.isfinite(values).all() for values in scores.segments.values())
    assert scores.segments["CIDEr"][0] == 0
    nothing = score_captions([blank, blank], [[blank], [blank]], metrics=WITHOUT_JAVA).corpus()
    assert nothing["BLEU-4"] == nothing["CIDEr"] == 0


def test_rouge_counts_blanks_as_the_reference_does():
    # The data set's sentences begin and end with a blank; pycocoevalcap splits at each: stripping moves the figures.
    padded = score_captions(["a road"], [[" a road "]], metrics=("rouge",)).corpus()["ROUGE-L"]
    assert padded == pytest.approx(oracles.rouge("a road", [" a road "]), abs=1e-12)
    assert padded < 1


def test_cider_is_undefined_where_all_pairs_have_the_same_references():
    same = [["no change", "the same"], ["the same", "no change"]]
    assert cider_is_undefined(same)
    assert not cider_is_undefined([*same, ["a road"]])
    assert Cider().compute_score(dict(enumerate(same)), {0: ["no change"], 1: ["a road"]})[0] == 0
    assert score_captions(["no change", "a road"], same, metrics=("cider",)).corpus()["CIDEr"] == 0


@pytest.mark.parametrize("metrics", [(), ("bleu", "spice"), "METEOR"])
def test_unknown_metrics_are_refused(metrics):
    with pytest.raises(InputError, match="bleu, meteor, rouge, cider"):
        check_metrics(metrics)


def test_metrics_are_brought_into_order():
    assert check_metrics(["cider", "bleu"]) == ("bleu", "cider")
    assert check_metrics("rouge") == ("rouge",)
    assert check_metrics(ALL_METRICS) == ALL_METRICS


def test_the_estimate_on_all_pairs_is_the_value(meteor):  # noqa: ARG001 - it is used through the shared one
    hypotheses = ["a road is built", "two houses appear", "no change", "", "the same"]
    references = [
        ["a road appears", "one road"],
        ["two houses are built"],
        ["no change has occurred"],
        ["x"],
        ["the same"],
    ]
    for measure in caption_measures(score_captions(hypotheses, references)):
        assert measure.estimate(np.ones((1, 5)))[0] == pytest.approx(measure.value, abs=1e-9), measure.name


def test_intervals_hold_the_value_and_repeat():
    hypotheses = ["a road is built", "two houses appear", "no change", "a tree"] * 10
    references = [["a road appears"], ["two houses are built"], ["no change has occurred"], ["the trees"]] * 10
    measures = caption_measures(score_captions(hypotheses, references, metrics=WITHOUT_JAVA))
    first, again = (intervals(measures, replicates=200, seed=5) for _ in range(2))
    assert first == again
    assert first != intervals(measures, replicates=200, seed=6)
    for (low, high), measure in zip(first, measures, strict=True):
        assert low <= measure.value <= high, measure.name
    assert np.isnan(intervals(measures, replicates=0, seed=0)).all()
