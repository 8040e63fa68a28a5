"""Records become batches, and whatever cannot be read is named before the first step."""

import json
import pickle

import numpy as np
import pytest
from PIL import Image
from support import tiny_ccexpert, training

from geocc.errors import InputError, ReadError
from geocc.training import Augmentation, Data, Evaluation, PairCollator, PairDataset
from geocc.training.data import check_records, evaluation_records, mixture_records, open_mixture
from geocc.training.dataset import EpochSampler, Place


def dataset(records, captions="flatten_list", **more):
    return PairDataset(open_mixture(Data(train=str(records))).samples(captions=captions, seed=1), **more)


def report(records, images="decode"):
    return check_records(mixture_records(open_mixture(Data(train=str(records))), seed=1), images=images)


def damage(path, **keys):
    """Change the second record."""
    content = json.loads(path.read_text())
    content[1] |= keys
    path.write_text(json.dumps(content))
    return content[1]["uid"]


def test_flatten_list_makes_one_sample_of_each_caption_and_random_choice_one_of_each_record(records):
    assert len(dataset(records)) == 16
    data = dataset(records, "random_choice")
    epochs = [[(s.uid, s.caption) for s in (data[place] for place in epoch(data, number))] for number in range(4)]
    assert all(len({uid for uid, _ in seen}) == len(seen) == 8 for seen in epochs)
    assert len({tuple(seen) for seen in epochs}) == 4


def epoch(data, number):
    sampler = EpochSampler(len(data))
    sampler.set_epoch(number)
    return list(sampler)


def test_a_place_gives_the_same_sample_in_any_order_and_any_process(records):
    first, second = dataset(records), pickle.loads(pickle.dumps(dataset(records)))  # noqa: S301  # our own
    places = [Place(0, 3), Place(2, 3), Place(1, 0), Place(0, 3)]
    assert [first[place].caption for place in places] == [second[place].caption for place in places]
    assert first[Place(0, 3)].uid == dataset(records)[3].uid


def test_augmentation_follows_from_the_place_alone(records):
    wild = Augmentation(horizontal_flip=0.5, vertical_flip=0.5, colour=0.5)
    first, second = (dataset(records, augmentation=wild, seed=3) for _ in range(2))
    list(map(second.__getitem__, epoch(second, 1)))  # a history of its own
    for place in epoch(first, 0):
        ours, theirs = first[place], second[place]
        assert all(np.array_equal(a, b) for a, b in zip(ours.images, theirs.images, strict=True))


def test_a_batch_is_what_the_processor_makes_with_the_ids_beside(records):
    _, processor = tiny_ccexpert.make()
    samples = [dataset(records)[at] for at in range(3)]
    batch = PairCollator(processor, change_labels=True)(samples)
    plain = processor([s.images for s in samples], captions=[s.caption for s in samples], padding_side="right")
    assert all(batch[key].equal(plain[key]) for key in plain)
    assert batch["record_ids"] == [s.uid for s in samples]
    assert batch["change_labels"].tolist() == [float(s.changed) for s in samples]
    assert batch["attention_mask"][:, 0].all()


def test_padding_can_be_on_the_left(records):
    _, processor = tiny_ccexpert.make()
    samples = [dataset(records)[at] for at in range(8)]
    batch = PairCollator(processor, padding_side="left")(samples)
    assert batch["attention_mask"][:, -1].all()
    assert not batch["attention_mask"].all()


def test_batches_can_come_in_few_lengths(records):
    _, processor = tiny_ccexpert.make()
    samples = [dataset(records)[at] for at in range(8)]
    lengths = {PairCollator(processor, pad_to_multiple_of=64)([sample])["input_ids"].shape[1] for sample in samples}
    assert all(length % 64 == 0 for length in lengths)


def test_a_sample_that_is_too_long_is_named_not_cut(records):
    _, processor = tiny_ccexpert.make()
    sample = dataset(records)[0]
    with pytest.raises(InputError, match=rf"record '{sample.uid}'.*max_length is 20"):
        PairCollator(processor, max_length=20)([sample])


def test_the_fingerprint_follows_the_data(tmp_path):
    one = report(training.save_records(tmp_path / "a"))
    assert (one.records, one.changed) == (8, 4)
    assert report(training.save_records(tmp_path / "b")).fingerprint == one.fingerprint
    other = training.save_records(tmp_path / "c")
    damage(other, change_caption=["something else"])
    assert report(other).fingerprint != one.fingerprint


def test_a_missing_image_is_named(tmp_path):
    path = training.save_records(tmp_path)
    uid = damage(path, img2_path="nowhere.png")
    for images in ("decode", "header"):
        with pytest.raises(ReadError, match=rf"record '{uid}', key 'img2_path': .*nowhere\.png is not there"):
            report(path, images)
    with pytest.raises(ReadError, match="nowhere"):
        list(map(dataset(path).__getitem__, range(16)))


def test_a_damaged_image_is_named(tmp_path):
    path = training.save_records(tmp_path)
    whole = (tmp_path / "0_1_a.png").read_bytes()
    (tmp_path / "0_1_a.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ReadError, match=r"record 'pair-0-1', key 'img1_path': .* cannot be read as an image"):
        report(path)
    (tmp_path / "0_1_a.png").write_bytes(b"no image")
    with pytest.raises(ReadError, match=r"record 'pair-0-1', key 'img1_path'"):
        report(path, "header")


@pytest.mark.parametrize("images", ["decode", "header"])
def test_an_image_deeper_than_eight_bits_is_named(tmp_path, images):
    path = training.save_records(tmp_path)
    Image.fromarray(np.zeros((8, 8), dtype=np.uint16)).save(tmp_path / "0_1_b.png")
    with pytest.raises(ReadError, match=r"'pair-0-1', key 'img2_path'.*deeper than eight bits"):
        report(path, images)


def test_empty_captions_are_named(tmp_path):
    path = training.save_records(tmp_path)
    damage(path, change_caption=[])
    with pytest.raises(InputError, match=r"record 2.*'change_caption' is empty"):
        dataset(path)
    damage(path, change_caption=["  "])
    with pytest.raises(InputError, match=r"change_caption\.0"):
        report(path)


def test_a_mixture_weighs_its_files(tmp_path):
    path = training.save_records(tmp_path)
    (tmp_path / "mixture.yaml").write_text(
        f"datasets:\n- json_path: {path.name}\n- json_path: {path.name}\n  sampling_strategy: first:2\n"
    )
    mixture = open_mixture(Data(train=str(tmp_path / "mixture.yaml")))
    assert len(mixture.samples(captions="random_choice", seed=0)) == 10
    assert check_records(mixture_records(mixture, seed=0), images="none").records == 10


def test_what_is_no_data_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"expected a mixture \(\.yaml\)"):
        open_mixture(Data(train=str(tmp_path / "data.csv")))


def test_evaluation_takes_its_split_and_never_the_test_split_unasked(tmp_path):
    test = training.save_records(tmp_path, split="test", name="records.json")
    with pytest.raises(InputError, match="no record of split 'val'"):
        evaluation_records(Evaluation(records=test))
    assert len(evaluation_records(Evaluation(records=test, split="test"))) == 8
    assert len(evaluation_records(Evaluation(records=test, split="test", limit=3))) == 3
    named = training.save_records(tmp_path, name="levir_cc_test.json")
    with pytest.raises(InputError, match=r"evaluation\.split=test"):
        evaluation_records(Evaluation(records=named))
    assert len(evaluation_records(Evaluation(records=named, split="test"))) == 8
    innocent = training.save_records(tmp_path, name="latest_val.json")
    assert len(evaluation_records(Evaluation(records=innocent))) == 8
