"""`geocc evaluate` as a person meets it."""

import json

import pytest
from evaluation.test_evaluate import records
from typer.testing import CliRunner

from geocc.cli import app as cli
from geocc.errors import InputError, ReadError, WriteError

cli.register_commands()


def run(*arguments):
    return CliRunner().invoke(cli.app, ["evaluate", *map(str, arguments)])


def test_a_file_is_scored_and_the_figures_written(write_lines, tmp_path):
    output, samples = tmp_path / "results.json", tmp_path / "samples.json"
    done = run(
        write_lines(records()), "--metrics", "bleu, rouge", "--bootstrap", 10, "-o", output, "--samples", samples
    )
    assert done.exit_code == 0, done.output
    assert "8 pairs, 4 changed and 4 unchanged" in done.stdout
    assert "BLEU-4" in done.stdout
    assert "constant: no change" in done.stdout
    assert json.loads(output.read_text())["pairs"] == 8
    assert len(json.loads(samples.read_text())["samples"]) == 8


def test_references_may_stand_elsewhere(write_lines):
    told = [{"uid": record["uid"], "pred": record["pred"]} for record in records()]
    references = write_lines(records(), "references.jsonl")
    done = run(write_lines(told), "--references", references, "--metrics", "bleu", "--quiet")
    assert done.exit_code == 0, done.output
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["none.jsonl"], ReadError),
        (["{file}", "--metrics", "spice"], InputError),
        (["{file}", "--metrics", ""], InputError),
        (["{file}", "--tokenization", "nltk"], InputError),
        (["{file}", "--output", "/none/there/results.json"], WriteError),
    ],
)
def test_faults_are_sentences(write_lines, arguments, error):
    path = str(write_lines(records()))
    done = run(*[path if argument == "{file}" else argument for argument in arguments])
    assert isinstance(done.exception, error)
