"""The record, and the files it is streamed from and to."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geocc.data import Record, read_records, write_records
from geocc.errors import InputError, ReadError, WriteError

PLAIN = {
    "uid": "train_000001",
    "change_flag": 1,
    "img1_path": "A/1.png",
    "img2_path": "B/1.png",
    "change_caption": ["a house appears", "a house has been built"],
}


def write(path, text, encoding="utf-8"):
    path.write_bytes(text.encode(encoding))
    return path


def test_a_record_of_the_reference_is_read_as_it_stands(tmp_path):
    path = write(tmp_path / "a.json", json.dumps([PLAIN]))
    (record,) = read_records(path)
    assert (record.uid, record.change_flag, record.change_caption) == ("train_000001", 1, PLAIN["change_caption"])
    assert record.img1_path == tmp_path / "A" / "1.png"
    assert record.img2_path == tmp_path / "B" / "1.png"
    (moved,) = read_records(path, root="/elsewhere")
    assert str(moved.img1_path) == "/elsewhere/A/1.png"


def test_absolute_paths_stay(tmp_path):
    path = write(tmp_path / "a.json", json.dumps([PLAIN | {"img1_path": "/data/x.png"}]))
    assert str(next(read_records(path)).img1_path) == "/data/x.png"


@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
def test_what_is_written_is_read_back_with_the_keys_that_geocc_does_not_know(tmp_path, name):
    extra = {"source": "mine", "split": "train", "gsd_m": 0.5, "dates": ["2020-01-02", None], "annotator": {"id": 7}}
    path = write(tmp_path / "in.json", json.dumps([PLAIN | extra, PLAIN]))
    records = list(read_records(path))
    assert records[0].model_extra == {"annotator": {"id": 7}}
    assert write_records(tmp_path / name, iter(records)) == 2
    assert list(read_records(tmp_path / name)) == records
    # The reference reads a JSON array with relative or absolute paths, and passes over the other keys.
    if name == "a.json":
        first = json.loads((tmp_path / name).read_text())[0]
        assert {key: first[key] for key in PLAIN} == PLAIN
        assert first["annotator"] == {"id": 7}


def test_paths_outside_the_folder_are_written_absolute(tmp_path):
    path = write(tmp_path / "in.json", json.dumps([PLAIN]))
    (tmp_path / "other").mkdir()
    write_records(tmp_path / "other" / "out.json", read_records(path))
    assert next(read_records(tmp_path / "other" / "out.json")) == next(read_records(path))


@settings(max_examples=60, deadline=None)
@given(
    texts=st.lists(st.lists(st.text(min_size=1).filter(str.strip), max_size=4), max_size=6),
    indent=st.sampled_from([None, 1, 4]),
    ascii_only=st.booleans(),
    lines=st.booleans(),
    bom=st.booleans(),
)
def test_every_text_in_every_layout_of_the_file_reads_alike(tmp_path_factory, texts, indent, ascii_only, lines, bom):
    wanted = [PLAIN | {"uid": f"{i}", "change_caption": captions} for i, captions in enumerate(texts)]
    dump = json.dumps
    text = (
        "\n\n".join(dump(one, ensure_ascii=ascii_only) for one in wanted)
        if lines
        else dump(wanted, indent=indent, ensure_ascii=ascii_only)
    )
    path = tmp_path_factory.mktemp("texts") / "a.json"
    path.write_bytes((b"\xef\xbb\xbf" if bom else b"") + text.encode("utf-8"))
    # White space around a caption goes.
    assert [[caption.strip() for caption in record.change_caption] for record in read_records(path)] == [
        [caption.strip() for caption in captions] for captions in texts
    ]


def test_records_are_streamed_across_the_chunks_of_a_large_array(tmp_path):
    wanted = [PLAIN | {"uid": str(i), "note": "é" * 997} for i in range(3000)]
    path = write(tmp_path / "large.json", json.dumps(wanted, ensure_ascii=False))
    assert [record.uid for record in read_records(path)] == [str(i) for i in range(3000)]


def test_reading_is_lazy(tmp_path):
    path = write(tmp_path / "a.jsonl", json.dumps(PLAIN) + "\nthis is not JSON\n")
    records = read_records(path)
    assert next(records).uid == "train_000001"
    with pytest.raises(InputError, match=r"a\.jsonl, line 2 \(record 2\)"):
        next(records)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"change_flag": 2}, "change_flag"),
        ({"change_flag": None}, "change_flag"),
        ({"change_caption": None}, "change_caption"),
        ({"change_caption": "a house appears"}, "change_caption"),
        ({"change_caption": ["a house appears", ""]}, r"change_caption\.1"),
        ({"change_caption": ["  "]}, r"change_caption\.0"),
        ({"change_caption": [None]}, r"change_caption\.0"),
        ({"img2_path": None}, "img2_path"),
        ({"gsd_m": -1}, "gsd_m"),
        ({"uid": ""}, "uid"),
    ],
)
@pytest.mark.parametrize("lines", [False, True])
def test_a_broken_record_is_named_with_file_line_record_and_key(tmp_path, change, says, lines):
    broken = [PLAIN, PLAIN | change]
    text = "\n".join(map(json.dumps, broken)) if lines else "[\n" + ",\n".join(map(json.dumps, broken)) + "\n]"
    path = write(tmp_path / "a.json", text)
    with pytest.raises(InputError, match=rf"a\.json, line {2 if lines else 3} \(record 2\): key '{says}'.*geocc data"):
        list(read_records(path))


def test_a_missing_key_is_named(tmp_path):
    path = write(tmp_path / "a.json", json.dumps([{k: v for k, v in PLAIN.items() if k != "img2_path"}]))
    with pytest.raises(InputError, match="'img2_path': Field required"):
        list(read_records(path))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[", "ends before"),
        ("[{}", "ends before|Field required"),
        (json.dumps([PLAIN])[:-20], "record 1 is not valid JSON"),
        (json.dumps([PLAIN]) + " x", "after the end"),
        (json.dumps([PLAIN])[:-1] + " " + json.dumps(PLAIN) + "]", "comma"),
        ("[" + json.dumps(PLAIN) + ",]", "record 2 is not valid JSON"),
        (json.dumps({"images": []}), "geocc data prepare"),
        ('"text"', "record 1"),
        ("3\n", "record 1"),
    ],
)
def test_a_broken_file_is_refused(tmp_path, text, says):
    with pytest.raises(InputError, match=says):
        list(read_records(write(tmp_path / "a.json", text)))


def test_other_encodings_are_refused_and_the_remedy_is_named(tmp_path):
    with pytest.raises(ReadError, match="UTF-8"):
        list(read_records(write(tmp_path / "a.json", json.dumps([PLAIN]), "utf-16")))
    latin = json.dumps([PLAIN | {"uid": "Zürich"}], ensure_ascii=False)
    with pytest.raises(InputError, match="record 1"):
        list(read_records(write(tmp_path / "b.json", latin, "latin-1")))


def test_an_empty_file_and_an_empty_array_hold_no_records(tmp_path):
    assert list(read_records(write(tmp_path / "a.json", ""))) == []
    assert list(read_records(write(tmp_path / "b.json", " [ ] "))) == []


def test_a_missing_file_is_a_read_error(tmp_path):
    with pytest.raises(ReadError, match=r"none\.json cannot be read"):
        list(read_records(tmp_path / "none.json"))


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    path = write(tmp_path / "a.json", "[]")

    def fails():
        yield Record.model_validate(PLAIN)
        raise KeyError("the source broke off")

    with pytest.raises(KeyError):
        write_records(path, fails())
    assert path.read_text() == "[]"
    assert sorted(at.name for at in tmp_path.iterdir()) == ["a.json"]
    with pytest.raises(WriteError, match="folder"):
        write_records(tmp_path / "none" / "a.json", [])
