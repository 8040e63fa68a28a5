"""`geocc data synthetic`: a folder of pairs whose records say what the pictures show."""

import json

import numpy as np
import pytest
import rasterio.features
from PIL import Image
from typer.testing import CliRunner

from geocc.cli import app as cli
from geocc.data import read_records
from geocc.data.synthetic import DOMAINS, read_caption
from geocc.data.synthetic.facts import Place
from geocc.data.synthetic.write import write_pairs
from geocc.errors import InputError, WriteError

cli.register_commands()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("made")
    arguments = ["--pairs", "10", "--tile-size", "96", "--seed", "2", "--captions", "4", "--split", "val"]
    done = CliRunner().invoke(cli.app, ["data", "synthetic", str(root / "out"), *arguments])
    assert done.exit_code == 0, done.output
    assert "10 pairs" in done.stdout
    return root / "out"


def test_records_say_what_the_pictures_show(folder):
    records = list(read_records(folder / "records.json"))
    assert len({record.uid for record in records}) == 10
    assert sum(record.change_flag for record in records) == 5
    for record in records:
        images = [np.asarray(Image.open(path)) for path in (record.img1_path, record.img2_path)]
        assert [image.shape for image in images] == [(96, 96, 3)] * 2
        mask = np.asarray(Image.open(record.mask_path)) > 0
        assert record.source == "synthetic"
        assert record.split == "val"
        assert record.model_extra["domain"] in DOMAINS
        assert DOMAINS[record.model_extra["domain"]].finest_m <= record.gsd_m
        assert len(record.change_caption) == 4
        assert mask.any() == bool(record.change_flag)
        assert all(bool(read_caption(text)) == bool(record.change_flag) for text in record.change_caption)
        if record.change_flag:
            outlines = [feature["geometry"] for feature in record.change_polygons["features"]]
            burnt = rasterio.features.rasterize(outlines, out_shape=mask.shape)
            assert (burnt.astype(bool) == mask).all()
            kinds = {feature["properties"]["kind"] for feature in record.change_polygons["features"]}
            stated = {f"{s.category} {s.direction}" for text in record.change_caption for s in read_caption(text)}
            assert stated <= kinds


def test_the_same_seed_writes_the_same(folder, tmp_path):
    write_pairs(tmp_path, 2, seed=2, tile_px=96, captions=4, split="val")
    first, second = (json.loads((root / "records.json").read_text())[:2] for root in (folder, tmp_path))
    assert first == second
    for record in first:
        assert (folder / record["img2_path"]).read_bytes() == (tmp_path / record["img2_path"]).read_bytes()


def test_plain_words_tell_the_same_facts_in_one_wording(folder, tmp_path):
    write_pairs(tmp_path, 10, seed=2, tile_px=96, captions=2, plain=1)
    several, plain = (list(read_records(root / "records.json")) for root in (folder, tmp_path))
    for told, plainly in zip(several, plain, strict=True):
        assert plainly.change_flag == told.change_flag
        first, second = plainly.change_caption
        assert first == second
        if not told.change_flag:
            assert first == "the scene is the same as before"
        kinds = [
            {(s.category, s.direction, s.place) for s in read_caption(text)} for text in (first, *told.change_caption)
        ]
        assert all(kind == kinds[0] for kind in kinds)


def test_further_views_are_the_same_pair_turned_with_its_dates_exchanged(folder, tmp_path):
    write_pairs(tmp_path, 6, seed=2, tile_px=96, captions=2, views=16)
    painted = {record.uid: record for record in read_records(folder / "records.json")}
    records = list(read_records(tmp_path / "records.json"))
    assert len(records) == 96
    assert {record.uid for record in records[::16]} <= set(painted)
    for first, *others in (records[at : at + 16] for at in range(0, 96, 16)):
        looks = {
            _pixels(record.img1_path).tobytes() + _pixels(record.img2_path).tobytes() for record in (first, *others)
        }
        assert len(looks) == 16
        for number, record in enumerate(others, start=1):
            dates = [record.img1_path, record.img2_path]
            original = [first.img1_path, first.img2_path]
            exchanged = (number % 2 == 1) != (number >= 8)
            earlier, later = original[::-1] if exchanged else original
            assert _turns(_pixels(dates[0]), _pixels(earlier)) & _turns(_pixels(dates[1]), _pixels(later))
            mask = _pixels(record.mask_path) > 0
            assert record.change_flag == first.change_flag
            assert mask.sum() == (_pixels(first.mask_path) > 0).sum()
            assert ((_pixels(record.label1_path) > 0) <= mask).all()
            if record.change_flag:
                outlines = [feature["geometry"] for feature in record.change_polygons["features"]]
                assert (rasterio.features.rasterize(outlines, out_shape=mask.shape).astype(bool) == mask).all()
                kinds = {feature["properties"]["kind"] for feature in record.change_polygons["features"]}
                stated = {f"{s.category} {s.direction}" for text in record.change_caption for s in read_caption(text)}
                assert stated
                assert stated <= kinds
                if len(kinds) == 1:
                    (place,) = {s.place for text in record.change_caption for s in read_caption(text)}
                    assert place is Place.ACROSS or _near(place, mask)


def _near(place, mask):
    """Whether the middle of what changed lies in the cell of a 3 x 3 grid that this word means, or hardly beside it."""
    row, col = divmod(list(Place).index(place), 3)
    y, x = (at.mean() / side * 3 - 0.5 for at, side in zip(np.nonzero(mask), mask.shape, strict=True))
    return max(abs(y - row), abs(x - col)) < 0.6


def _pixels(path):
    with Image.open(path) as image:
        return np.asarray(image)


def _turns(picture, original):
    """Return the ways to turn and mirror the original into the picture."""
    return {
        (mirrored, quarters)
        for mirrored in (False, True)
        for quarters in range(4)
        if np.array_equal(np.rot90(original[:, ::-1] if mirrored else original, quarters), picture)
    }


def test_a_folder_with_records_is_not_written_over(folder):
    with pytest.raises(WriteError, match="holds records"):
        write_pairs(folder, 1)


@pytest.mark.parametrize(
    "options", [{"seed": 1000}, {"per_scene": 1}, {"captions": 0}, {"plain": 1.5}, {"views": 17}, {"domain": "moon"}]
)
def test_arguments_out_of_range_are_refused(options, tmp_path):
    with pytest.raises(InputError, match=next(iter(options))):
        write_pairs(tmp_path / "none", 1, **options)
    assert not (tmp_path / "none").exists()
