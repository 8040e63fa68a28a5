"""Benchmarks: real and synthetic pairs, killed and resumed."""

import json
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.captioners import StubCaptioner
from typer.testing import CliRunner

from geocc.cli import app as cli
from geocc.errors import InputError, ReadError, WriteError
from geocc.evaluation import benchmarks, run_benchmark
from geocc.evaluation.records import Reference
from geocc.inference import CCExpertCaptioner

cli.register_commands()

SHARED = Path(__file__).parents[3] / "shared/data/levir_cc"
QUICK = {"metrics": ("bleu",), "bootstrap": 0, "progress": False}
SENTENCES = ["a house is built", "one house appears"]


@dataclass
class TellingCaptioner(StubCaptioner):
    """A stub that also tells what its captions depend on."""

    @property
    def details(self):
        return {"name": self.name, "prompt": "what changed?", "decoding": "greedy"}


def toy(pairs=5):
    """Pairs of grey squares that need no file."""

    def read(number):
        return lambda: np.full((2, 3, 8, 8), number, dtype=np.uint8)

    made = [
        benchmarks.BenchmarkPair(Reference(f"p{number}", tuple(SENTENCES), changed=True), read(number))
        for number in range(pairs)
    ]
    return benchmarks.Benchmark(
        "toy", {}, pairs, lambda done: (pair for pair in made if pair.reference.uid not in done)
    )


def lines(folder):
    return [json.loads(line) for line in (folder / "predictions.jsonl").read_text().splitlines()]


def test_results_say_what_was_run(tmp_path):
    result = run_benchmark(toy(), TellingCaptioner(), output=tmp_path / "run", batch_size=2, **QUICK)
    content = json.loads((tmp_path / "run" / "results.json").read_text(), parse_constant=pytest.fail)
    assert content == json.loads(json.dumps(result.content))
    assert content["model"] == {"name": "stub", "prompt": "what changed?", "decoding": "greedy"}
    assert content["fingerprint"] == "0" * 16
    assert content["benchmark"] == {"name": "toy"}
    assert {"python", "geocc", "torch", "transformers"} <= set(content["versions"])
    assert content["evaluation"]["pairs"] == 5
    first = lines(tmp_path / "run")[0]
    assert first["uid"] == "p0"
    assert first["change_caption"] == SENTENCES
    assert first["change_flag"] == 1


def test_what_is_done_is_not_done_again(tmp_path):
    run_benchmark(toy(), StubCaptioner(), output=tmp_path, **QUICK)
    whole = (tmp_path / "predictions.jsonl").read_bytes()
    for cut in (len(whole) // 2, len(whole) - 1, 1, 0):
        (tmp_path / "predictions.jsonl").write_bytes(whole[:cut])
        again = StubCaptioner()
        run_benchmark(toy(), again, output=tmp_path, **QUICK)
        assert len(again.tiles) == 5 - whole[:cut].count(b"\n")
        assert (tmp_path / "predictions.jsonl").read_bytes() == whole
    idle = StubCaptioner()
    run_benchmark(toy(), idle, output=tmp_path, **QUICK)
    assert idle.tiles == []


def test_predictions_of_another_model_are_not_mixed_in(tmp_path):
    run_benchmark(toy(), StubCaptioner(), output=tmp_path, **QUICK)
    with pytest.raises(InputError, match="another model or benchmark"):
        run_benchmark(toy(), StubCaptioner(fingerprint="1" * 16), output=tmp_path, **QUICK)
    with pytest.raises(InputError, match="another model or benchmark"):
        run_benchmark(replace(toy(), settings={"seed": 1}), StubCaptioner(), output=tmp_path, **QUICK)


def test_a_folder_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(WriteError):
        run_benchmark(toy(), StubCaptioner(), output=tmp_path / "file", **QUICK)


SLOW_RUN = """
import sys, time
sys.path[:0] = {path!r}
from evaluation.test_benchmark import QUICK, toy
from geocc.evaluation import run_benchmark
from support.captioners import StubCaptioner
def say(image):
    time.sleep(0.2)
    return "a house is built"
run_benchmark(toy(200), StubCaptioner(say=say), output=sys.argv[1], batch_size=1, **QUICK)
"""


def test_a_killed_run_goes_on_where_it_was(tmp_path):
    script = SLOW_RUN.format(path=[str(Path(__file__).parents[1])])
    run = subprocess.Popen([sys.executable, "-c", script, tmp_path])
    predictions = tmp_path / "predictions.jsonl"
    while not predictions.exists() or predictions.read_bytes().count(b"\n") < 3:
        assert run.poll() is None
        time.sleep(0.05)
    run.send_signal(signal.SIGKILL)
    run.wait()
    before = lines(tmp_path)
    again = StubCaptioner(say=lambda _: "a house is built")
    run_benchmark(toy(200), again, output=tmp_path, **QUICK)
    after = lines(tmp_path)
    assert [line["uid"] for line in after] == [f"p{number}" for number in range(200)]
    assert after[: len(before)] == before
    assert len(again.tiles) == 200 - len(before)


@pytest.fixture(scope="module")
def some_synthetic():
    return list(benchmarks.synthetic(8, seed=3).pairs(()))


def test_synthetic_pairs_are_true_and_repeat(some_synthetic):
    assert len({pair.reference.uid for pair in some_synthetic}) == 8
    for pair in some_synthetic:
        assert pair.read().shape == (2, 3, 256, 256)
        assert len(pair.reference.captions) == 5
        # The sentences say what the flag says.
        assert Reference("a", pair.reference.captions).says_changed() == pair.reference.changed
    assert {pair.reference.changed for pair in some_synthetic} == {True, False}
    again = next(benchmarks.synthetic(8, seed=3).pairs(()))
    assert again.reference == some_synthetic[0].reference
    assert np.array_equal(again.read(), some_synthetic[0].read())


@pytest.mark.parametrize("done", [1, 5, 7, 8])
def test_synthetic_pairs_go_on_where_they_were(some_synthetic, done):
    uids = [pair.reference.uid for pair in some_synthetic]
    rest = benchmarks.synthetic(8, seed=3).pairs(set(uids[:done]))
    assert [pair.reference.uid for pair in rest] == uids[done:]


@pytest.mark.parametrize(("pairs", "seed"), [(0, 0), (5, -1), (5, 1000)])
def test_synthetic_numbers_out_of_range_are_refused(pairs, seed):
    with pytest.raises(InputError, match="expected 1 pair or more"):
        benchmarks.synthetic(pairs, seed=seed)


@pytest.fixture
def levir_cc(tmp_path):
    """Two pairs as LEVIR-CC unpacks, its sentences with their blanks and full stops."""
    for date, value in (("A", 10), ("B", 200)):
        folder = tmp_path / "images" / "test" / date
        folder.mkdir(parents=True)
        for number in (1, 2):
            Image.fromarray(np.full((8, 8, 3), value, dtype=np.uint8)).save(folder / f"test_{number:06d}.png")
    sentences = [{"raw": f" {text} .", "tokens": text.split()} for text in SENTENCES]
    images = [
        {
            "filepath": "test",
            "filename": f"test_{number:06d}.png",
            "split": "test",
            "changeflag": 1,
            "sentences": sentences,
        }
        for number in (1, 2)
    ]
    (tmp_path / "LevirCCcaptions.json").write_text(json.dumps({"images": images}))
    return tmp_path


def test_levir_cc_keeps_its_sentences_letter_by_letter(levir_cc):
    chosen = benchmarks.levir_cc(levir_cc)
    assert chosen.total == 2
    (pair,) = islice(chosen.pairs({"test_000001"}), 2)
    assert pair.reference == Reference("test_000002", tuple(f" {text} ." for text in SENTENCES), changed=True)
    assert pair.read()[:, 0, 0, 0].tolist() == [10, 200]


def test_levir_cc_that_is_not_there_is_refused(levir_cc, tmp_path):
    with pytest.raises(InputError, match="no pair of the split 'val'"):
        benchmarks.levir_cc(levir_cc, split="val")
    with pytest.raises(ReadError, match="not a folder"):
        benchmarks.levir_cc(tmp_path / "none")
    with pytest.raises(InputError, match="neither LevirCCcaptions"):
        benchmarks.levir_cc(levir_cc / "images")
    (levir_cc / "images/test/A/test_000001.png").write_bytes(b"no image")
    with pytest.raises(ReadError, match="test_000001"):
        next(benchmarks.levir_cc(levir_cc).pairs(())).read()


def run(*arguments):
    return CliRunner().invoke(cli.app, ["benchmark", *map(str, arguments)])


def test_the_command_captions_and_scores(levir_cc, tmp_path, monkeypatch):
    asked = {}

    def load(model, **settings):
        asked.update(settings, model=model)
        return StubCaptioner()

    monkeypatch.setattr(CCExpertCaptioner, "from_pretrained", load)
    done = run("levir-cc", "--root", levir_cc, "-o", tmp_path / "out", "--metrics", "bleu", "--bootstrap", 0)
    assert done.exit_code == 0, done.output
    assert "2 pairs, 2 changed" in done.stdout
    assert asked["model"] == "geocc-mini"
    assert json.loads((tmp_path / "out" / "results.json").read_text())["benchmark"]["split"] == "test"


def test_the_command_refuses_before_it_loads_a_model(tmp_path):
    for arguments, said in ((["coco"], "no benchmark 'coco'"), (["levir-cc"], "--root")):
        done = run(*arguments, "-o", tmp_path)
        assert isinstance(done.exception, InputError)
        assert said in str(done.exception)


@pytest.mark.shared
def test_the_eleven_real_pairs_are_read():
    if not SHARED.exists():
        pytest.skip(f"needs the LEVIR-CC pairs in {SHARED}")
    pairs = list(benchmarks.levir_cc(SHARED).pairs(()))
    assert len(pairs) == 11
    assert all(pair.read().shape[:2] == (2, 3) for pair in pairs)


@pytest.mark.parametrize(
    "benchmark",
    [
        pytest.param(["synthetic", "--pairs", "12"], id="synthetic"),
        pytest.param(
            ["levir-cc", "--root", str(SHARED), "--split", "all"],
            id="levir-cc",
            marks=[pytest.mark.shared, pytest.mark.skipif(not SHARED.exists(), reason="needs ../shared/data")],
        ),
    ],
)
def test_the_command_is_killed_and_goes_on(benchmark, tmp_path):
    command = [sys.executable, "-m", "geocc", "benchmark", *benchmark, "--model", "geocc-mini", "--quiet"]
    command += ["--batch-size", "1", "--metrics", "bleu", "--bootstrap", "0", "--dtype", "float32", "--output"]
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    run = subprocess.Popen([*command, str(killed)])
    predictions = killed / "predictions.jsonl"
    while not predictions.exists() or predictions.read_bytes().count(b"\n") < 3:
        assert run.poll() is None
        time.sleep(0.01)
    run.send_signal(signal.SIGKILL)
    run.wait()
    before = lines(killed)
    for folder in (killed, whole):
        subprocess.run([*command, str(folder)], check=True)
    assert lines(killed)[: len(before)] == before
    assert lines(killed) == lines(whole)
