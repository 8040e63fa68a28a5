"""The table of what is in a mixture, against figures counted by hand."""

import json

import pytest
import yaml
from PIL import Image
from typer.testing import CliRunner

from geocc.cli import app as cli
from geocc.cli import data as _data  # noqa: F401 - registers its commands
from geocc.data import Mixture
from geocc.data.describe import describe, tokenize


def add_pair(folder, name, colours, *, write=True):
    for date, colour in zip("AB", colours, strict=True):
        path = folder / date / f"{name}.png"
        path.parent.mkdir(exist_ok=True)
        if write:
            Image.new("RGB", (8, 8), colour).save(path)
    return {"uid": name, "img1_path": f"A/{name}.png", "img2_path": f"B/{name}.png"}


@pytest.fixture
def mixture(tmp_path):
    train = [
        add_pair(tmp_path, "one", ("red", "blue"))
        | {"change_flag": 1, "change_caption": ["a t-shaped road appears", "A road appears."], "licence": "CC-BY-4.0"},
        add_pair(tmp_path, "two", ("red", "red"), write=False)
        | {"change_flag": 0, "change_caption": ["there is no difference"], "licence": "CC-BY-4.0"},
    ]
    test = [
        add_pair(tmp_path, "copy", ("red", "blue")) | {"change_flag": 1, "change_caption": ["a road appears"]},
        add_pair(tmp_path, "other", ("blue", "red")) | {"change_flag": 1, "change_caption": []},
    ]
    for split, pairs in (("train", train), ("test", test)):
        records = [record | {"source": "toy", "split": split} for record in pairs]
        (tmp_path / f"{split}.json").write_text(json.dumps(records))
    path = tmp_path / "m.yaml"
    entries = [{"json_path": "train.json"}, {"json_path": "test.json"}, {"json_path": "train.json"}]
    path.write_text(yaml.safe_dump({"datasets": entries}))
    return path


def test_figures(mixture):
    found = describe(Mixture.from_yaml(mixture))
    train, test = found.files
    assert (train.source, train.splits, train.weight, train.samples) == ("toy", {"train"}, 2, 6)
    assert (train.pairs, train.changed, train.bare, train.missing) == (2, 1, 0, 2)
    assert train.captions.count == 3
    assert train.captions.mean_words == (4 + 3 + 4) / 3
    assert (train.captions.shortest, train.captions.longest) == (3, 4)
    assert set(train.captions.vocabulary) == {"a", "t-shaped", "road", "appears", "there", "is", "no", "difference"}
    assert train.first_missing.name == "two.png"
    assert (test.bare, test.missing, test.samples) == (1, 0, 1)
    assert test.licences == {"not stated"}
    total = found.total
    assert (total.pairs, total.changed, total.captions.count, total.samples, total.missing) == (4, 3, 4, 7, 2)
    assert len(total.captions.distinct) == 4
    assert total.licences == {"CC-BY-4.0", "not stated"}


def test_a_pair_in_two_splits_is_found_and_a_swapped_one_is_none(mixture):
    (double,) = describe(Mixture.from_yaml(mixture)).duplicates
    assert double.where == (("test", "copy"), ("train", "one"))


def test_the_command_prints_the_table(mixture):
    result = CliRunner().invoke(cli.app, ["data", "describe", str(mixture)])
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0].split()[:4] == ["source", "split", "weight", "pairs"]
    assert " ".join(lines[2].split()) == "toy train x2 2 3 6 50.0% 3.7 (3-4) 3 8 2"
    assert lines[-2:] == ["duplicates across splits: 1 pairs", "  copy (test), one (train)"]
    assert "missing: 2 images" in result.stdout
    assert "without captions: 1 records" in result.stdout
    assert "licences: CC-BY-4.0; not stated" in result.stdout


def test_the_shipped_mixtures_are_listed():
    result = CliRunner().invoke(cli.app, ["data", "mixtures"])
    assert [line.split()[0] for line in result.stdout.splitlines()] == ["cc-foundation-published", "cc-foundation"]


def test_words():
    assert tokenize("A T-shaped road, isn't it? 3 houses_") == ["a", "t-shaped", "road", "isn't", "it", "3", "houses"]


def test_kinds_of_change_are_counted_where_the_records_tell_them(mixture):
    assert "kind of change" not in str(describe(Mixture.from_yaml(mixture)))
    path = mixture.parent / "train.json"
    records = json.loads(path.read_text())
    kinds = [["vegetation to water", "ground to water"], []]
    path.write_text(json.dumps([one | {"change_kinds": own} for one, own in zip(records, kinds, strict=True)]))
    found = describe(Mixture.from_yaml(mixture))
    assert found.total.kinds == {"vegetation to water": 1, "ground to water": 1, "no change": 1}
    lines = [line.split() for line in str(found).splitlines()]
    assert ["toy", "vegetation", "to", "water", "1", "50.0%"] in lines
    assert ["toy", "no", "change", "1", "50.0%"] in lines
