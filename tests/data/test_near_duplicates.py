"""Near-duplicates across splits: found after another encoding, and never between pairs that differ."""

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from geocc.cli import app as cli
from geocc.cli import data as _data  # noqa: F401 - registers its commands
from geocc.data import Record, write_records
from geocc.data.near_duplicates import find_near_duplicates, image_hash
from geocc.errors import InputError, ReadError


def scene(seed):
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 255, (12, 12, 3), dtype=np.uint8)).resize((96, 96), Image.Resampling.BICUBIC)


def record(folder, uid, split, images, suffix=".png", **options):
    paths = [folder / f"{uid}_{date}{suffix}" for date in (1, 2)]
    for path, image in zip(paths, images, strict=True):
        image.save(path, **options)
    return Record(uid=uid, change_flag=1, img1_path=paths[0], img2_path=paths[1], change_caption=[], split=split)


def test_a_copy_in_another_split_is_found_in_another_encoding_and_size(tmp_path):
    records = [record(tmp_path, f"train_{seed}", "train", (scene(seed), scene(seed + 500))) for seed in range(40)]
    again = tuple(image.resize((64, 64)) for image in (scene(7), scene(507)))
    records.append(record(tmp_path, "test_copy", "test", again, ".jpg", quality=70))
    records.append(record(tmp_path, "test_swapped", "test", (scene(508), scene(8))))
    records.append(record(tmp_path, "train_again", "train", (scene(9), scene(509))))
    (found,) = find_near_duplicates(records)
    assert (found.first, found.second) == (("test", "test_copy"), ("train", "train_7"))
    assert found.bits <= 10


def test_every_near_pair_is_found_as_by_comparing_all_with_all(tmp_path):
    rng = np.random.default_rng(3)
    records = []
    for number in range(60):
        images = []
        for date in range(2):
            pixels = np.asarray(scene(number % 12 + 100 * date)).astype(float)
            noisy = pixels + rng.normal(0, 12 * (number // 12), pixels.shape)
            images.append(Image.fromarray(noisy.clip(0, 255).astype(np.uint8)))
        records.append(record(tmp_path, str(number), ("train", "val", "test")[number % 3], tuple(images)))
    bits = [
        np.unpackbits(np.concatenate([image_hash(one.img1_path), image_hash(one.img2_path)])).astype(int)
        for one in records
    ]
    expected = {
        (
            int(np.abs(bits[i] - bits[j]).sum()),
            *sorted(((records[i].split, records[i].uid), (records[j].split, records[j].uid))),
        )
        for i in range(60)
        for j in range(i)
        if records[i].split != records[j].split and np.abs(bits[i] - bits[j]).sum() <= 12
    }
    found = find_near_duplicates(records, most_bits=12)
    assert {(one.bits, one.first, one.second) for one in found} == expected
    assert found == sorted(found)


def test_nothing_is_found_in_nothing(tmp_path):
    assert find_near_duplicates([]) == []
    with pytest.raises(InputError, match="0 to 15"):
        find_near_duplicates([], most_bits=16)
    (tmp_path / "x.png").write_text("no picture")
    with pytest.raises(ReadError, match="no readable image"):
        image_hash(tmp_path / "x.png")


def test_the_command_lists_them(tmp_path):
    for split in ("train", "test"):
        images = (scene(1), scene(2))
        write_records(tmp_path / f"{split}.json", [record(tmp_path, f"{split}_1", split, images)])
    mixture = tmp_path / "m.yaml"
    mixture.write_text("datasets: [{json_path: train.json}, {json_path: test.json}, {json_path: train.json}]")
    result = CliRunner().invoke(cli.app, ["data", "duplicates", str(mixture)])
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [
        "  0 bits  test_1 (test)  train_1 (train)",
        "1 near-duplicates across splits.",
    ]
