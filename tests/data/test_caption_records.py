"""Captions for the masks of whole data sets, as records and on the command line."""

import numpy as np
import pytest
from data.layouts import MAKERS
from data.mask_checker import Checker
from PIL import Image
from typer.testing import CliRunner

from geocc.cli import app as cli
from geocc.cli import data as _data  # noqa: F401 - registers its commands
from geocc.data import Mixture, Record, read_records
from geocc.data.masks import caption_records
from geocc.data.mixture import Entry
from geocc.data.readers import prepare
from geocc.errors import InputError


@pytest.mark.parametrize("name", ["second", "sysu-cd", "changesim", "levir-cd"])
def test_masks_of_a_data_set_become_captions_that_are_true(name, tmp_path):
    MAKERS[name](tmp_path)
    records = list(caption_records(prepare(name, tmp_path)))
    assert records
    for record in records:
        assert len(set(record.change_caption)) == 5
        if name == "second":
            labels = [np.asarray(Image.open(path))[..., 0] for path in (record.label1_path, record.label2_path)]
            before, after = np.where(labels[0] == 0, 4, 0), np.where(labels[1] == 128, 5, 0)
            checker = Checker(before, after, before > 0)
        else:
            mask = np.asarray(Image.open(record.mask_path))
            changed = (mask.any(axis=-1) if mask.ndim == 3 else mask) > 0
            checker = Checker(np.zeros_like(changed, dtype=int), np.zeros_like(changed, dtype=int), changed)
        for caption in record.change_caption:
            checker.check(caption)


def test_captions_that_are_there_stay(tmp_path):
    MAKERS["levir-mci"](tmp_path)
    records = list(prepare("levir-mci", tmp_path))
    assert list(caption_records(records)) == records


def test_records_differ_in_words_and_not_between_runs(tmp_path):
    MAKERS["sysu-cd"](tmp_path)
    changed = [record for record in prepare("sysu-cd", tmp_path) if record.change_flag]
    one, two = (list(caption_records(changed, seed=3)) for _ in range(2))
    assert one == two
    assert len({tuple(record.change_caption) for record in one}) > 1


def test_a_record_without_mask_is_refused():
    record = Record(uid="x", change_flag=1, img1_path="a", img2_path="b", change_caption=[])
    with pytest.raises(InputError, match="record x has neither"):
        list(caption_records([record]))


def test_from_a_data_set_to_samples_on_the_command_line(tmp_path):
    MAKERS["second"](tmp_path / "second")
    for arguments in (
        ["prepare", "second", tmp_path / "second", tmp_path / "bare.json", "--split", "train"],
        ["caption", tmp_path / "bare.json", tmp_path / "train.jsonl", "--style", "levir", "--count", 3],
    ):
        result = CliRunner().invoke(cli.app, ["data", *map(str, arguments)])
        assert result.exit_code == 0, result.output
    assert result.stdout == f"2 records. Written to {tmp_path / 'train.jsonl'}.\n"
    records = list(read_records(tmp_path / "train.jsonl"))
    assert [record.model_extra["caption_by"] for record in records] == ["geocc masks levir views"] * 2
    assert len(Mixture([Entry(json_path=tmp_path / "train.jsonl")]).samples()) == 6
