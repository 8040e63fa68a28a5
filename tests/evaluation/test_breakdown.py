"""Synthetic pairs by kind of change, pixel and misregistration."""

import json
import math

import numpy as np
import pytest
from support.captioners import StubCaptioner
from typer.testing import CliRunner

from geocc.cli import app as cli
from geocc.data.synthetic import read_caption
from geocc.errors import InputError
from geocc.evaluation import benchmarks, run_benchmark
from geocc.evaluation.breakdown import breakdown
from geocc.evaluation.records import Reference
from geocc.inference import CCExpertCaptioner

cli.register_commands()


def record(said, facts, *, probability=0.5, gsd_m=10.0, shift_px=0.2):
    return {
        "pred": said,
        "change_flag": int(bool(facts)),
        "changed": bool(read_caption(said)),
        "change_probability": probability,
        "truth": {
            "domain": "medium",
            "gsd_m": gsd_m,
            "shift_px": shift_px,
            "facts": [dict(zip(("category", "direction", "place"), fact, strict=True)) for fact in facts],
        },
    }


RECORDS = [
    record("water has appeared at the top", [("water", "gain", "top")], probability=0.9),
    record("trees have grown on the left", [("trees", "gain", "right")], probability=0.8, shift_px=1.7),
    record("no change has occurred", [("flooded ground", "gain", "top")], probability=0.2, gsd_m=30),
    record("the ground has burnt on the left", [], probability=0.6),
    record("there is no difference", [], probability=0.1, gsd_m=0.5),
]


def row(table, by, group):
    (found,) = table[(table["by"] == by) & (table["group"] == group)].to_dict("records")
    return found


def test_figures_are_counted_by_hand():
    table = breakdown(iter(RECORDS))
    every = row(table, "all", "all")
    assert (every["pairs"], every["changed"]) == (5, 3)
    assert every["accuracy"] == pytest.approx(3 / 5)
    # Six pairs of pairs; 0.2 < 0.6 is the one in disorder.
    assert every["auroc"] == pytest.approx(5 / 6)
    assert every["category_f1"] == pytest.approx(2 * 2 / (3 + 3))
    assert every["kind"] == pytest.approx(2 / 3)
    assert every["place"] == pytest.approx(1 / 2)
    assert every["ece"] == pytest.approx((0.1 + 0.2 + 0.8 + 0.6 + 0.1) / 5)
    assert row(table, "kind", "flooded ground gain")["accuracy"] == 0
    assert row(table, "kind", "none")["pairs"] == 2
    assert math.isnan(row(table, "kind", "none")["kind"])
    assert row(table, "misregistration", "over 1.5 px")["pairs"] == 1
    assert list(table[table["by"] == "gsd"]["group"]) == ["under 0.75 m", "2.5 to 12 m", "over 12 m"]
    for by in ("domain", "kind", "gsd", "misregistration"):
        assert table[table["by"] == by]["pairs"].sum() == 5


def test_pairs_without_truth_have_no_breakdown():
    assert breakdown([{"pred": "a house has been built", "change_flag": 1}]).empty


@pytest.fixture(scope="module")
def some():
    return list(benchmarks.synthetic(8, seed=1, domain="all").pairs(()))


def test_pairs_of_all_domains_are_true_and_repeat(some):
    assert len({pair.truth["domain"] for pair in some}) > 1
    for pair in some:
        assert pair.read().shape == (2, 3, 256, 256)
        assert bool(pair.truth["facts"]) == pair.reference.changed
        assert Reference("a", pair.reference.captions).says_changed() == pair.reference.changed
    rest = benchmarks.synthetic(8, seed=1, domain="all").pairs({pair.reference.uid for pair in some[:5]})
    for one, other in zip(some[5:], rest, strict=True):
        assert (one.reference, one.truth) == (other.reference, other.truth)
        assert np.array_equal(one.read(), other.read())


def test_an_unknown_domain_is_refused():
    with pytest.raises(InputError, match="'lidar'"):
        benchmarks.synthetic(4, domain="lidar")


def test_one_who_says_the_truth_is_right_in_every_group(some, tmp_path):
    answers = {pair.read()[1].tobytes(): pair.reference.captions[1] for pair in some}
    chosen = benchmarks.Benchmark("toy", {}, 8, lambda done: (pair for pair in some if pair.reference.uid not in done))
    captioner = StubCaptioner(say=lambda images: answers[images[1].tobytes()])
    result = run_benchmark(chosen, captioner, output=tmp_path, metrics=("bleu",), bootstrap=0, progress=False)
    told = result.breakdown.set_index(["by", "group"])
    assert told["kind"].dropna().eq(1).all()
    assert told["place"].dropna().eq(1).all()
    assert told.loc[("all", "all"), "category_f1"] == 1
    content = json.loads((tmp_path / "results.json").read_text(), parse_constant=pytest.fail)
    assert len(content["breakdown"]) == len(result.breakdown)


def test_the_command_prints_the_table(tmp_path, monkeypatch):
    monkeypatch.setattr(CCExpertCaptioner, "from_pretrained", lambda *_, **__: StubCaptioner())
    arguments = [
        "synthetic",
        "--pairs",
        "2",
        "--domain",
        "landsat",
        "--breakdown",
        "--metrics",
        "bleu",
        "--bootstrap",
        "0",
    ]
    done = CliRunner().invoke(cli.app, ["benchmark", *arguments, "-o", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert "misregistration" in done.stdout
    assert "landsat" in done.stdout
