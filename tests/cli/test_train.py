"""`geocc train` and `geocc merge`, as a person meets them."""

import pytest
import yaml
from support import training
from typer.testing import CliRunner

from geocc.cli import app as cli
from geocc.cli import train  # noqa: F401 - registers its commands
from geocc.errors import CheckpointError, InputError


def run(*arguments):
    return CliRunner().invoke(cli.app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("train")
    base, records = training.save_model(folder / "base"), training.save_records(folder / "data")
    file = folder / "run.yaml"
    file.write_text(yaml.safe_dump(training.settings(base, records, folder / "run", recipe={"max_steps": 2})))
    return folder, file


def test_a_dry_run_says_what_would_train_and_writes_nothing(made):
    folder, file = made
    result = run("train", file, "recipe.batch_size=8", "--dry-run", f"output={folder / 'dry'}")
    assert result.exit_code == 0, result.output
    assert "difference_module" in result.stdout
    assert "8 = 2 x 4 accumulated x 1 device(s)" in result.stdout
    assert not (folder / "dry").exists()


def test_train_the_difference_module_alone_and_resume(made):
    folder, file = made
    output = folder / "alone"
    result = run("train", file, f"output={output}", "--train", "difference_module")
    assert result.exit_code == 0, result.output
    assert "2 steps, mean loss" in result.stdout
    assert f"Written to {output / 'model'}." in result.stdout
    assert (output / "model" / "trained_parts.safetensors").is_file()
    again = run("train", file, f"output={output}", "--train", "difference_module", "--resume")
    assert again.exit_code == 0, again.output


def test_merge_writes_a_model_that_stands_alone(made):
    folder, file = made
    trained = run("train", file, f"output={folder / 'lora'}", "lora.rank=2", "--quiet")
    assert trained.exit_code == 0, trained.output
    result = run("merge", folder / "lora" / "adapter", folder / "merged")
    assert result.stdout == f"Written to {folder / 'merged'}.\n"
    assert (folder / "merged" / "model.safetensors").is_file()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (["recipe.learning_rat=1"], InputError, "there is no key 'learning_rat'"),
        (["recipe.learning_rate=0"], InputError, "is 0, though train lists it"),
        (["--train", "tower"], InputError, "tower"),
        (["data.train=nowhere.csv"], InputError, "nowhere.csv"),
    ],
)
def test_what_cannot_be_meant_is_refused(made, arguments, error, message):
    folder, file = made
    result = run("train", file, f"output={folder / 'never'}", *arguments)
    assert isinstance(result.exception, error)
    assert message in str(result.exception)
    assert not (folder / "never").exists()


def test_stages_keep_their_order(made):
    folder, file = made
    first = run("train", file, f"output={folder / 'one'}", "--quiet")
    assert first.exit_code == 0, first.output
    third = run("train", file, f"model={folder / 'one' / 'model'}", f"output={folder / 'three'}", "recipe.stage=3")
    assert isinstance(third.exception, CheckpointError)
    second = run("train", file, f"model={folder / 'one' / 'model'}", f"output={folder / 'two'}", "recipe.stage=2", "-q")
    assert second.exit_code == 0, second.output
