"""Every reader on a generated miniature of its data set, whole and damaged."""

import json
from pathlib import Path

import numpy as np
import pytest
from data import layouts
from data.layouts import MAKERS
from PIL import Image
from typer.testing import CliRunner

from geocc.cli import app as cli
from geocc.cli import data as _data  # noqa: F401 - registers its commands
from geocc.data import read_records
from geocc.data.readers import SOURCES, prepare
from geocc.errors import InputError, ReadError

LEVIR = Path(__file__).parents[3] / "shared" / "data" / "levir_cc"
CAPTIONED = sorted(name for name, source in SOURCES.items() if source.captioned)


def summary(records):
    return {record.uid: (record.split, bool(record.change_flag), record.change_caption) for record in records}


def colour(path):
    with Image.open(path) as image:
        return "before" if np.asarray(image.convert("RGB"))[0, 0, 0] > 100 else "after"


def first_record(name, root):
    return next(iter(prepare(name, root)))


def test_there_is_a_miniature_of_every_source():
    assert sorted(MAKERS) == sorted(SOURCES) == list(SOURCES)


@pytest.mark.parametrize("name", MAKERS)
def test_a_whole_data_set_is_read(name, tmp_path):
    expected = MAKERS[name](tmp_path)
    prepared = prepare(name, tmp_path)
    records = list(prepared)
    assert summary(records) == expected
    assert (prepared.written, prepared.left_out) == (len(expected), [])
    for record in records:
        assert record.source == name
        assert (record.licence, record.gsd_m) == (SOURCES[name].licence, SOURCES[name].gsd_m)
        assert (colour(record.img1_path), colour(record.img2_path)) == ("before", "after")
        for path in (record.mask_path, record.label1_path, record.label2_path):
            assert path is None or path.is_file()


@pytest.mark.parametrize("name", MAKERS)
def test_a_split_is_read_alone(name, tmp_path):
    expected = MAKERS[name](tmp_path)
    for split in ("train", "val", "test"):
        wanted = {uid: found for uid, found in expected.items() if found[0] == split}
        assert summary(prepare(name, tmp_path, split=split)) == wanted


@pytest.mark.parametrize("name", MAKERS)
def test_the_docstring_says_what_the_layout_is_known_from(name):
    text = SOURCES[name].layout.lower()
    assert "seen" in text or "read at" in text
    assert any(word in text for word in ("github", "huggingface", "torchgeo's code", "others' loaders"))


@pytest.mark.parametrize("name", [name for name in MAKERS if name not in {"levir-cd", "vismin", "clevr-change"}])
@pytest.mark.parametrize("which", ["img1_path", "img2_path"])
def test_a_missing_image_is_refused_or_left_out(name, which, tmp_path):
    expected = MAKERS[name](tmp_path)
    gone = first_record(name, tmp_path)
    path = getattr(gone, which)
    path.unlink()
    with pytest.raises(InputError, match=path.name):
        list(prepare(name, tmp_path))
    prepared = prepare(name, tmp_path, damaged="skip")
    assert summary(prepared) == {uid: found for uid, found in expected.items() if uid != gone.uid}
    assert len(prepared.left_out) == 1
    assert gone.uid in prepared.left_out[0]


def test_a_missing_image_of_clevr_change_takes_its_pairs_along(tmp_path):
    expected = MAKERS["clevr-change"](tmp_path)
    (tmp_path / "images" / "CLEVR_default_000000.png").unlink()
    (tmp_path / "sc_images" / "CLEVR_semantic_000001.png").unlink()
    prepared = prepare("clevr-change", tmp_path, damaged="skip")
    gone = {"semantic_000000", "nonsemantic_000000", "semantic_000001"}
    assert set(summary(prepared)) == set(expected) - gone
    assert len(prepared.left_out) == 3


@pytest.mark.parametrize("folder", ["A", "B", "label"])
@pytest.mark.parametrize("number", [0, 1])
def test_a_missing_file_does_not_shift_the_pairs_of_levir_cd(folder, number, tmp_path):
    MAKERS["levir-cd"](tmp_path)
    (tmp_path / folder / f"train_{number}.png").unlink()
    with pytest.raises(InputError, match=rf"train_{number}\.png"):
        list(prepare("levir-cd", tmp_path, damaged="skip"))


@pytest.mark.parametrize("name", MAKERS)
def test_images_of_different_sizes_are_refused_or_left_out(name, tmp_path):
    expected = MAKERS[name](tmp_path)
    bad = first_record(name, tmp_path)
    layouts.picture(bad.img2_path, layouts.AFTER, size=(9, 9))
    with pytest.raises(InputError, match="9 x 9"):
        list(prepare(name, tmp_path))
    prepared = prepare(name, tmp_path, damaged="skip")
    assert summary(prepared) == {uid: found for uid, found in expected.items() if uid != bad.uid}


@pytest.mark.parametrize("name", MAKERS)
def test_an_image_that_is_none_is_refused(name, tmp_path):
    MAKERS[name](tmp_path)
    first_record(name, tmp_path).img2_path.write_bytes(b"\x89PNG\r\n\x1a\n and then nothing")
    with pytest.raises(InputError, match="no readable image"):
        list(prepare(name, tmp_path))


@pytest.mark.parametrize("name", ["levir-mci", "second", "second-cc", "sysu-cd", "changesim"])
def test_masks_that_are_missing_or_of_another_size_are_refused(name, tmp_path):
    MAKERS[name](tmp_path)
    record = first_record(name, tmp_path)
    path = record.mask_path or record.label2_path
    layouts.picture(path, size=(9, 9))
    with pytest.raises(InputError, match="9 x 9"):
        list(prepare(name, tmp_path))
    path.unlink()
    with pytest.raises(InputError, match=path.name):
        list(prepare(name, tmp_path))


def caption_files(root):
    return sorted(path for pattern in ("**/*.json", "**/*.jsonl") for path in root.glob(pattern))


def replace_captions(root, text, replacement):
    """Replace one caption in whatever file holds it."""
    for path in caption_files(root):
        content = path.read_text()
        if json.dumps(text) in content:
            path.write_text(content.replace(json.dumps(text), json.dumps(replacement)))
            return
    raise AssertionError(text)


# One caption of each set as it stands in its file, and whether its record is left with others.
A_CAPTION = {
    "clevr-change": ("the cube is elsewhere", True),
    "dubai-cc": ("an island has been built", True),
    "image-editing-request": ("make the train sky bluer", False),
    "levir-cc": ("no change has occurred", True),
    "levir-mci": ("no change has occurred", True),
    "rscc": ("houses 1 collapsed", False),
    "second-cc": ("no change has occurred", True),
    "spot-the-diff": ("the train car has left", True),
    "stvchrono": ("A has a car but not B . ", True),
    "whu-cdc": ("no change has occurred", True),
}


@pytest.mark.parametrize("empty", ["", "  ", None, 7])
@pytest.mark.parametrize("name", A_CAPTION)
def test_empty_and_null_captions_are_refused_or_left_out(name, empty, tmp_path):
    expected = MAKERS[name](tmp_path)
    text, others = A_CAPTION[name]
    replace_captions(tmp_path, text, empty)
    with pytest.raises(InputError, match="caption"):
        list(prepare(name, tmp_path))
    prepared = prepare(name, tmp_path, damaged="skip")
    kept = summary(prepared)
    assert prepared.left_out
    text = " ".join(text.split())
    for uid, (split, changed, captions) in expected.items():
        left = [caption for caption in captions if caption != text]
        if captions and not left:
            assert not others
            assert uid not in kept
        else:
            assert kept[uid] == (split, changed, left)


def test_vismin_without_captions_or_originals_is_refused(tmp_path):
    rows = layouts.vismin_rows()
    rows[0]["caption"] = None
    layouts.vismin(tmp_path / "a", rows)
    with pytest.raises(InputError, match="e1: caption 1 of 1 is None"):
        list(prepare("vismin", tmp_path / "a"))
    layouts.vismin(tmp_path / "b", [row for row in layouts.vismin_rows() if row["image_id"] != "o1"])
    with pytest.raises(InputError, match=r"o1\.png is no readable image"):
        list(prepare("vismin", tmp_path / "b"))


def test_vismin_takes_the_instruction_where_there_is_one(tmp_path):
    rows = [row | {"edit_instruction": "paint the cup blue"} for row in layouts.vismin_rows()]
    layouts.vismin(tmp_path, rows)
    assert {caption for record in prepare("vismin", tmp_path) for caption in record.change_caption} == {
        "paint the cup blue"
    }


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
@pytest.mark.parametrize("name", CAPTIONED)
def test_files_with_a_byte_order_mark_are_read(name, encoding, tmp_path):
    expected = MAKERS[name](tmp_path)
    for path in caption_files(tmp_path):
        path.write_bytes(path.read_text().encode(encoding))
    assert summary(prepare(name, tmp_path)) == expected


@pytest.mark.parametrize("name", [name for name in CAPTIONED if name != "vismin"])
def test_other_encodings_and_broken_files_are_refused(name, tmp_path):
    MAKERS[name](tmp_path)
    files = {path: path.read_text() for path in caption_files(tmp_path)}
    for path, text in files.items():
        path.write_bytes(text.replace("a", "\xe4").encode("latin-1"))
    with pytest.raises(ReadError, match="UTF-8"):
        list(prepare(name, tmp_path))
    for path, text in files.items():
        path.write_text(text[: len(text) // 2])
    with pytest.raises(ReadError, match="not valid JSON"):
        list(prepare(name, tmp_path))


@pytest.mark.parametrize("name", MAKERS)
def test_a_folder_that_is_not_the_data_set_is_refused(name, tmp_path):
    with pytest.raises(ReadError, match=str(tmp_path / "none")):
        list(prepare(name, tmp_path / "none"))
    with pytest.raises(ReadError, match=str(tmp_path)):
        list(prepare(name, tmp_path))


@pytest.mark.parametrize("evil", ["../../secret.png", "/etc/passwd"])
def test_names_that_lead_out_of_the_folder_are_refused(evil, tmp_path):
    MAKERS["levir-cc"](tmp_path)
    content = json.loads((tmp_path / "LevirCCcaptions.json").read_text())
    content["images"][0]["filename"] = evil if evil.startswith("/") else f"../../../{evil}"
    (tmp_path / "LevirCCcaptions.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match="leads out of"):
        list(prepare("levir-cc", tmp_path))


@pytest.mark.parametrize(
    ("change", "says"), [({"filename": None}, "filename"), ({"changeflag": 7}, "changeflag"), ({"split": 3}, "split")]
)
def test_a_broken_item_is_named(change, says, tmp_path):
    MAKERS["levir-cc"](tmp_path)
    content = json.loads((tmp_path / "LevirCCcaptions.json").read_text())
    content["images"][1] |= change
    (tmp_path / "LevirCCcaptions.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=rf"image 2: .*{says}"):
        list(prepare("levir-cc", tmp_path))


def test_an_unknown_source_is_refused():
    with pytest.raises(InputError, match=r"'levir' is not known; .*levir-cc"):
        prepare("levir", ".")


def test_dates_of_oscd_are_kept(tmp_path):
    MAKERS["oscd"](tmp_path)
    assert first_record("oscd", tmp_path).dates == ("2016-01-20", "2018-03-28")


def test_the_command_writes_records_that_are_read_back(tmp_path):
    expected = MAKERS["levir-cc"](tmp_path / "set")
    result = CliRunner().invoke(
        cli.app, ["data", "prepare", "levir-cc", str(tmp_path / "set"), str(tmp_path / "o.json")]
    )
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("3 records and 5 captions.")
    records = list(read_records(tmp_path / "o.json"))
    assert summary(records) == expected
    assert all(record.img1_path.is_file() for record in records)


def test_the_command_says_what_it_left_out(tmp_path):
    MAKERS["levir-cc"](tmp_path / "set")
    (tmp_path / "set/images/train/B/train_000001.png").unlink()
    arguments = ["data", "prepare", "levir-cc", str(tmp_path / "set"), str(tmp_path / "o.json")]
    failed = CliRunner().invoke(cli.app, arguments)
    assert isinstance(failed.exception, InputError)
    assert not (tmp_path / "o.json").exists()
    result = CliRunner().invoke(cli.app, [*arguments, "--skip-damaged"])
    assert result.stdout.startswith("2 records")
    assert "Left out for damage: 1\n  train_000001:" in result.stderr


def test_the_sources_are_listed():
    result = CliRunner().invoke(cli.app, ["data", "sources", "--layout"])
    assert result.exit_code == 0, result.output
    assert all(name in result.stdout for name in SOURCES)


@pytest.mark.shared
def test_the_captions_of_levir_cc_are_read_whole():
    file = LEVIR / "LevirCCcaptions_train_val.json"
    if not file.exists():
        pytest.skip("../shared/data/levir_cc is not there")
    records = {record.uid: record for record in prepare("levir-cc", file, check_images=False)}
    assert len(records) == 8148
    assert sum(len(record.change_caption) for record in records.values()) == 40_740
    assert {split: sum(record.split == split for record in records.values()) for split in ("train", "val")} == {
        "train": 6815,
        "val": 1333,
    }
    for known in read_records(LEVIR / "records.json"):
        assert records[known.uid].change_caption == known.change_caption
        assert records[known.uid].change_flag == known.change_flag
