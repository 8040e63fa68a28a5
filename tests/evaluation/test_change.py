"""Change or none: the figures against their definitions, one pair at a time."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocc.evaluation.change import (
    BINS,
    average_precision,
    calibration_error,
    change_measures,
    probability_measures,
    roc_area,
)
from geocc.evaluation.records import Pair

scored = st.lists(st.tuples(st.booleans(), st.sampled_from([0.0, 0.1, 0.35, 0.5, 0.9, 1.0])), min_size=1, max_size=12)


def arrays(rows):
    truth, scores = zip(*rows, strict=True)
    return np.array(truth), np.array(scores), np.ones((1, len(rows)))


@given(scored)
def test_roc_area_is_the_chance_to_rank_right(rows):
    changed = [score for truth, score in rows if truth]
    unchanged = [score for truth, score in rows if not truth]
    (area,) = roc_area(*arrays(rows))
    if not changed or not unchanged:
        assert np.isnan(area)
        return
    wins = sum((one > two) + (one == two) / 2 for one in changed for two in unchanged)
    assert area == pytest.approx(wins / len(changed) / len(unchanged))


@given(scored)
def test_average_precision_sums_precision_over_thresholds(rows):
    positives = sum(truth for truth, _ in rows)
    (value,) = average_precision(*arrays(rows))
    if not positives:
        assert np.isnan(value)
        return
    expected, before = 0.0, 0.0
    for threshold in sorted({score for _, score in rows}, reverse=True):
        kept = [truth for truth, score in rows if score >= threshold]
        recall = sum(kept) / positives
        expected += (recall - before) * sum(kept) / len(kept)
        before = recall
    assert value == pytest.approx(expected)


@given(scored)
def test_calibration_error_is_the_mean_gap_of_the_bins(rows):
    bins = {}
    for truth, score in rows:
        bins.setdefault(min(int(score * BINS), BINS - 1), []).append((truth, score))
    gaps = [abs(sum(score - truth for truth, score in own)) for own in bins.values()]
    assert calibration_error(*arrays(rows))[0] == pytest.approx(sum(gaps) / len(rows))


@given(scored, st.lists(st.integers(0, 3), min_size=12, max_size=12))
def test_weights_are_copies(rows, weights):
    copies = [row for row, weight in zip(rows, weights, strict=False) for _ in range(weight)]
    if not copies:
        return
    truth, scores, _ = arrays(rows)
    for function in (roc_area, average_precision, calibration_error):
        weighted = function(truth, scores, np.array([weights[: len(rows)]], dtype=float))
        assert weighted == pytest.approx(function(*arrays(copies)), nan_ok=True)


def pair(caption, *, changed, probability=float("nan")):
    return Pair("a", caption, ("a road",), changed, probability)


def values(measures):
    return {measure.name: measure.value for measure in measures}


def test_figures_from_the_text():
    pairs = [pair("a road is built", changed=True)] * 6 + [pair("no change", changed=True)] * 2
    pairs += [pair("the same as before", changed=False)] * 7 + [pair("a house", changed=False)] * 3
    found = values(change_measures(pairs))
    assert found["accuracy"] == pytest.approx(100 * 13 / 18)
    assert found["precision"] == pytest.approx(100 * 6 / 9)
    assert found["recall"] == pytest.approx(75)
    assert found["F1"] == pytest.approx(100 * 12 / 17)
    assert found["hallucination rate"] == pytest.approx(30)


def test_an_empty_caption_is_a_wrong_answer_but_no_hallucination():
    found = values(change_measures([pair("", changed=False)]))
    assert found["accuracy"] == 0
    assert found["hallucination rate"] == 0


def test_figures_without_one_of_the_classes_are_unknown():
    found = values(change_measures([pair("no change", changed=False)]))
    assert found["accuracy"] == 100
    assert np.isnan([found["recall"], found["precision"], found["F1"]]).all()


def test_probabilities_are_scored_where_they_are():
    assert probability_measures([pair("a", changed=True)]) == []
    pairs = [
        pair("a", changed=True, probability=0.8),
        pair("a", changed=False, probability=0.4),
        pair("a", changed=True),
    ]
    measures = probability_measures(pairs)
    assert {measure.n for measure in measures} == {2}
    found = values(measures)
    assert found["AUROC"] == found["average precision"] == 1
    assert found["Brier score"] == pytest.approx((0.2**2 + 0.4**2) / 2)
    assert found["calibration error"] == pytest.approx((0.2 + 0.4) / 2)
    for measure in measures:
        assert measure.estimate(np.ones((1, 3)))[0] == pytest.approx(measure.value)
