"""A run as a YAML file: read, overridden, refused."""

import sys

import pytest
import yaml
from support.training import settings

from geocc.errors import InputError, ReadError
from geocc.training import Stage2, TrainingConfig, load_config


@pytest.fixture
def write(tmp_path):
    def made(content):
        path = tmp_path / "run.yaml"
        path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
        return path

    return made


def test_a_file_may_be_short(write):
    config = load_config(write({"model": "m", "output": "o", "recipe": {"stage": 2}, "data": {"train": "d.json"}}))
    assert config.recipe == Stage2()
    assert config.augmentation.off


def test_what_is_written_is_read_back(write):
    config = TrainingConfig(**settings("m", "d.json", "o", evaluation={"records": "v.json"}, lora={"rank": 4}))
    assert load_config(write(config.to_yaml())) == config


def test_overrides_go_over_the_file(write):
    path = write(settings("m", "d.json", "o", recipe={"stage": 2}))
    config = load_config(
        path,
        [
            "recipe.learning_rate=2e-5",
            "recipe.train=[difference_module]",
            "recipe.part_learning_rates.projector=1e-3",
            "evaluation.records=v.json",
            "keep=null",
        ],
    )
    assert config.recipe.learning_rate == 2e-5
    assert config.recipe.train == ("difference_module",)
    assert config.recipe.rate_of("projector") == 1e-3
    assert config.evaluation.split == "val"
    assert config.keep is None


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("recipe.learning_rat=1", "there is no key 'learning_rat'"),
        ("recipes.learning_rate=1", "there is no key 'recipes'"),
        ("recipe.stage=4", "4"),
        ("recipe.learning_rate", "no setting; expected KEY=VALUE"),
        ("model.name=x", "'model' is a value"),
        ("recipe.learning_rate=[", "not valid YAML"),
        ("recipe.learning_rate=0", "learning rate of difference_module, projector is 0, though train lists it"),
        ("data.workers=-1", "workers"),
        ("evaluation.splits=val", "there is no key 'splits'"),
        ("lora.full=[vision_tower]", "lora.full names vision_tower, which recipe.train does not"),
        ("lora.full=[difference_module,projector]", "no adapter is left"),
        ("log_to=[mlflow]", "log_to.0"),
    ],
)
def test_what_cannot_be_meant_is_named_with_the_file(write, override, message):
    path = write(settings("m", "d.json", "o"))
    with pytest.raises(InputError) as raised:
        load_config(path, [override])
    assert message in str(raised.value)


@pytest.mark.parametrize("content", ["", "- 1", "a: [", "1: 2"])
def test_a_file_without_settings_is_refused(write, content):
    with pytest.raises(InputError, match=r"run\.yaml"):
        load_config(write(content))


def test_a_missing_file_is_a_read_error(tmp_path):
    with pytest.raises(ReadError, match="nowhere"):
        load_config(tmp_path / "nowhere.yaml")


def test_importing_brings_neither_torch_nor_the_geospatial_stack():
    import subprocess

    code = (
        "import sys, geocc.training as t, geocc.training.configuration; assert t.Stage1().stage == 1; assert sorted(t.__all__) == sorted(set(t.__all__));"
        "print([m for m in ('torch', 'transformers', 'rasterio', 'rioxarray', 'geopandas', 'torchgeo') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
