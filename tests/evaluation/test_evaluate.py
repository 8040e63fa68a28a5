"""The whole evaluation: figures, edge cases, views and files."""

import json
import math
import os
import warnings

import numpy as np
import pandas as pd
import pytest

from geocc.errors import EvaluationError, InputError, WriteError
from geocc.evaluation import Evaluation, evaluate, java, meteor
from geocc.evaluation.baselines import CHANGE_SENTENCE, NO_CHANGE_SENTENCE, baseline_pairs
from geocc.evaluation.pairs import join

WITHOUT_JAVA = ("bleu", "rouge", "cider")
UNCHANGED = ["the scene is the same as before", "there is no difference", "no change has occurred"]


def records(pairs=8):
    made = []
    for number in range(pairs):
        changed = number % 2
        references = [f"{number} houses are built", "a road appears at the top", "some trees are removed"]
        made.append(
            {
                "uid": f"test_{number:06d}",
                "pred": f"{number} houses are built near the road" if number % 3 else "There is no difference.",
                "change_caption": references if changed else UNCHANGED,
                "change_probability": 0.9 if changed else 0.2,
            }
        )
    return made


def quick(predictions, references=None, **settings):
    settings = {"metrics": WITHOUT_JAVA, "bootstrap": 50, "progress": False} | settings
    return evaluate(predictions, references, **settings)


def test_the_published_mean_is_of_the_four(meteor):  # noqa: ARG001 - used through the shared one
    result = evaluate(records(), bootstrap=20, progress=False)
    scores = result.scores
    assert set(scores) == {"Bleu_1", "Bleu_2", "Bleu_3", "Bleu_4", "METEOR", "ROUGE_L", "CIDEr", "Sm"}
    mean = (scores["Bleu_4"] + scores["METEOR"] + scores["ROUGE_L"] + scores["CIDEr"]) / 4
    assert scores["Sm"] == pytest.approx(mean)
    assert result.value("S*m") == pytest.approx(100 * mean)
    # No caption of an unchanged pair can earn CIDEr there, so its mean says nothing.
    assert math.isnan(result.value("S*m", subset="unchanged"))
    assert not math.isnan(result.value("S*m", subset="changed"))
    floor = result.baselines.set_index(["baseline", "subset", "metric"])["value"]
    assert floor["perfect flag, one sentence", "all", "accuracy"] == 100
    assert floor["constant: no change", "all", "recall"] == 0
    assert math.isfinite(floor["one human against the others", "all", "S*m"])


def test_the_table_is_tidy_and_says_more():
    table = quick(records()).table
    assert list(table) == ["subset", "group", "metric", "value", "ci_low", "ci_high", "n", "unit"]
    assert not table.duplicated(["subset", "metric"]).any()
    assert set(table["group"]) == {"caption", "change", "probability", "content", "language"}
    assert set(table["unit"]) == {"points", "%", "0-1", "words", "count"}
    known = table.dropna(subset=["ci_low"])
    assert (known["ci_low"] <= known["ci_high"]).all()
    assert len(known) > 30
    all_pairs = table[table["subset"] == "all"].set_index("metric")
    assert all_pairs.loc["AUROC", "value"] == 1
    assert all_pairs.loc["accuracy", "n"] == 8


def test_samples_are_there_for_a_close_look():
    samples = quick(records()).samples
    assert samples["uid"].is_unique
    assert {"prediction", "references", "changed", "says_changed", "BLEU-4", "CIDEr", "missed"} <= set(samples)
    row = samples.set_index("uid").loc["test_000001"]
    assert row["unsupported"] == ""
    assert row["BLEU-1"] > 50


def test_duplicates_do_not_move_the_figures():
    plain, doubled = quick(records()), quick([*records(), *records()[:3]])
    assert doubled.scores == plain.scores
    assert doubled.duplicates == {f"test_{number:06d}": 2 for number in range(3)}
    assert "3 pairs came more than once" in str(doubled)
    kept = quick([*records(), *records()[:3]], duplicates="keep")
    assert len(kept.samples) == 11


def test_without_meteor_there_is_no_mean_and_a_note():
    result = quick(records())
    assert "Sm" not in result.scores
    assert any("meteor was not asked for" in note for note in result.notes)


def test_without_java_meteor_is_a_clear_error_and_the_rest_goes_on(monkeypatch):
    def none():
        raise EvaluationError("there is none; --metrics bleu,rouge,cider")

    monkeypatch.setattr(java, "find_java", none)
    monkeypatch.setattr(meteor, "shared_meteor", meteor.Meteor)
    monkeypatch.setattr("geocc.evaluation.scorers.shared_meteor", meteor.Meteor)
    with pytest.raises(EvaluationError, match="--metrics"):
        evaluate(records(), progress=False)
    assert quick(records()).value("BLEU-1") > 0


@pytest.mark.parametrize(
    "caption",
    ["", "   ", "a ||| b", "one\ntwo", "word " * 1000, "🌲🏠", "مبنى جديد", "\u202egnp", "\ud83c", "{} %s <b>", "."],
)
def test_any_text_has_a_score(meteor, caption):  # noqa: ARG001 - used through the shared one
    told = records(4)
    told[1]["pred"] = caption
    told[2]["change_caption"] = [*UNCHANGED, caption]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = evaluate(told, bootstrap=5, progress=False, baselines=False)
    assert all(math.isfinite(score) for score in result.scores.values())
    plain = evaluate(records(4), bootstrap=0, progress=False, baselines=False)
    assert result.samples["METEOR"][3] == plain.samples["METEOR"][3]
    str(result)
    json.loads(result.to_json(samples=True).encode("utf-8", "replace"))


@pytest.mark.parametrize("pairs", [1, 2])
def test_very_few_pairs_have_scores(pairs):
    result = quick(records(pairs))
    assert len(result.samples) == pairs
    assert all(math.isfinite(score) for score in result.scores.values())
    assert "pairs" in str(result)


def test_single_references_have_no_human_baseline():
    told = [record | {"change_caption": record["change_caption"][:1]} for record in records()]
    assert set(quick(told).baselines["baseline"]) == {"constant: no change", "perfect flag, one sentence"}


def test_baselines_look_at_no_prediction():
    pairs = join(records(), None).pairs
    sets = baseline_pairs(pairs)
    assert {pair.caption for pair in sets["constant: no change"]} == {NO_CHANGE_SENTENCE}
    assert {pair.caption for pair in sets["perfect flag, one sentence"] if pair.changed} == {CHANGE_SENTENCE}
    for before, after in zip(pairs, sets["one human against the others"], strict=True):
        assert sorted([after.caption, *after.references]) == sorted(before.references)
    assert sets == baseline_pairs(pairs)
    assert quick(records(), baselines=False).baselines.empty


def test_ptb_is_an_option_and_is_noted():
    result = quick(records(), tokenization="ptb")
    assert any("not to be compared" in note for note in result.notes)


@pytest.mark.parametrize(
    "settings", [{"bootstrap": -1}, {"metrics": ("spice",)}, {"tokenization": "x"}, {"duplicates": "last"}]
)
def test_bad_settings_are_refused_before_any_work(settings):
    with pytest.raises(InputError):
        quick(records(), **settings)


def test_references_can_differ_in_number():
    told = records()
    told[0]["change_caption"] = told[0]["change_caption"][:1]
    assert any("from 1 to 3 references" in note for note in quick(told).notes)


def test_json_is_strict_and_whole(tmp_path):
    result = quick(records(2))
    path = tmp_path / "results.json"
    text = result.to_json(path)
    content = json.loads(path.read_text(), parse_constant=pytest.fail)
    assert content == json.loads(text) == result.to_dict()
    assert content["format"] == "geocc-evaluation-1"
    assert content["settings"]["tokenization"] == "reference"
    assert set(content["versions"]) == {"geocc", "pycocoevalcap", "numpy"}
    assert "samples" not in content
    assert len(result.to_dict(samples=True)["samples"]) == 2
    with pytest.raises(WriteError):
        result.to_json(tmp_path / "none" / "results.json")


def test_views_escape_what_came_from_files():
    told = [record | {"uid": "<script>alert(1)</script>"} for record in records(2)]
    page = quick(told)._repr_html_()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert repr(quick(records())) == "<Evaluation of 8 pairs>"


def test_an_unknown_figure_is_refused():
    result = quick(records())
    with pytest.raises(InputError, match="BLEU-1, BLEU-2"):
        result.value("SPICE")


def test_nothing_global_changes():
    environment, filters = dict(os.environ), list(warnings.filters)
    state = np.random.get_state()[1].tolist()  # noqa: NPY002 - the global one is what must not move
    quick(records())
    assert dict(os.environ) == environment
    assert list(warnings.filters) == filters
    assert np.random.get_state()[1].tolist() == state  # noqa: NPY002


def test_the_result_is_a_table_of_pandas():
    result = quick(records())
    assert isinstance(result, Evaluation)
    assert isinstance(result.table, pd.DataFrame)


@pytest.mark.shared
def test_the_floor_and_the_ceiling_of_the_val_split(meteor, val_references):  # noqa: ARG001 - the shared one
    told = [{"uid": r.uid, "pred": "The scene is the same as before."} for r in val_references]
    result = evaluate(told, val_references, bootstrap=0, progress=False)
    floor = result.baselines.set_index(["baseline", "subset", "metric"])["value"].round(2)
    # The figures of docs/explanation/evaluation.md; the test split's constant is 60.45.
    assert floor["constant: no change", "all", "S*m"] == 60.47
    assert floor["perfect flag, one sentence", "all", "S*m"] == 75.16
    assert floor["one human against the others", "all", "S*m"] == 25.93
    assert floor["one human against the others", "changed", "S*m"] == 34.43
    assert round(result.value("S*m"), 2) == 60.47
    assert result.value("recall") == 0
