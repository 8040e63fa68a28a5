"""The mixture: what its entries take, the samples it comes to, and what it refuses."""

import json
import math
import pickle
from collections import Counter

import numpy as np
import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from geocc.data import Entry, Mixture, shipped_mixtures
from geocc.data.sampling import SamplingStrategy
from geocc.errors import InputError, ReadError

# CCExpert's pretraining mixture as the project's reference sheet states it (1.4): how often each source is read.
PUBLISHED = {
    "levir_cc_train": 6,
    "sysu_cd_train": 3,
    "sysu_cd_val": 3,
    "second_multi_expression": 3,
    "second_multi_view": 3,
    "spot_the_diff_train": 2,
    "spot_the_diff_val": 2,
    "changesim_train": 1,
    "changesim_test": 1,
    "clevr_change_train": 1,
    "clevr_change_val": 1,
    "image_editing_request_train": 1,
    "image_editing_request_val": 1,
    "stvchrono_train": 1,
    "stvchrono_test": 1,
    "vismin_train": 1,
}


def make_file(path, pairs, captions=2, **extra):
    """A file of records whose captions say which record and which caption they are."""
    counts = captions if isinstance(captions, list) else [captions] * pairs
    records = [
        {
            "uid": f"{path.stem}_{i}",
            "change_flag": i % 2,
            "img1_path": f"A/{i}.png",
            "img2_path": f"B/{i}.png",
            "change_caption": [f"{path.stem} {i} {j}" for j in range(count)],
        }
        | extra
        for i, count in enumerate(counts)
    ]
    text = "\n".join(map(json.dumps, records)) if path.suffix == ".jsonl" else json.dumps(records)
    path.write_text(text)
    return path


def make_mixture(folder, *entries, **top):
    path = folder / "mixture.yaml"
    path.write_text(yaml.safe_dump({"datasets": list(entries)} | top))
    return path


def captions_of(samples):
    return [sample.caption for sample in samples]


def test_every_caption_of_every_entry_is_one_sample(tmp_path):
    make_file(tmp_path / "a.json", 3)
    make_file(tmp_path / "b.jsonl", 2, captions=[1, 4])
    path = make_mixture(tmp_path, {"json_path": "a.json"}, {"json_path": "b.jsonl", "sampling_strategy": "all"})
    samples = Mixture.from_yaml(path).samples(shuffle=False)
    wanted = [f"a {i} {j}" for i in range(3) for j in range(2)] + ["b 0 0"] + [f"b 1 {j}" for j in range(4)]
    assert captions_of(samples) == wanted
    assert len(samples) == 11
    assert samples[-1].caption == "b 1 3"
    assert samples[0].record.img1_path == tmp_path / "A" / "0.png"
    assert samples[0].record.change_caption == ["a 0 0", "a 0 1"]
    with pytest.raises(IndexError):
        samples[11]


def test_repeated_entries_weigh_as_often(tmp_path):
    make_file(tmp_path / "a.json", 3)
    make_file(tmp_path / "b.json", 2)
    path = make_mixture(tmp_path, *[{"json_path": "a.json"}] * 6, {"json_path": "b.json"})
    counts = Counter(captions_of(Mixture.from_yaml(path).samples()))
    assert set(counts.values()) == {6, 1}
    assert all(count == (6 if caption.startswith("a") else 1) for caption, count in counts.items())


def test_random_choice_takes_one_caption_a_record_and_another_in_another_epoch(tmp_path):
    make_file(tmp_path / "a.json", 200, captions=5)
    samples = Mixture.from_yaml(make_mixture(tmp_path, {"json_path": "a.json"})).samples(captions="random_choice")
    assert len(samples) == 200
    first, second = captions_of(samples), captions_of(samples.at_epoch(1))
    assert sorted(caption.split()[1] for caption in first) == sorted(str(i) for i in range(200))
    assert sorted(first) != sorted(second)
    assert set(Counter(caption.split()[2] for caption in first)) == set("01234")


def test_order_and_draws_follow_from_seed_and_epoch(tmp_path):
    make_file(tmp_path / "a.json", 50, captions=3)
    path = make_mixture(tmp_path, {"json_path": "a.json", "sampling_strategy": "random:50%"}, {"json_path": "a.json"})
    for mode in ("flatten_list", "random_choice"):
        one, same = (captions_of(Mixture.from_yaml(path).samples(captions=mode, seed=3, epoch=2)) for _ in range(2))
        assert one == same
        assert one != captions_of(Mixture.from_yaml(path).samples(captions=mode, seed=4, epoch=2))
        assert one != captions_of(Mixture.from_yaml(path).samples(captions=mode, seed=3, epoch=3))
    samples = Mixture.from_yaml(path).samples(seed=3)
    assert sorted(captions_of(samples)) == sorted(captions_of(samples.at_epoch(7)))
    assert samples.at_epoch(7).epoch == 7


def test_captions_per_pair_keeps_the_same_few_in_every_epoch(tmp_path):
    make_file(tmp_path / "a.json", 40, captions=[1, 2, 5, 9] * 10)
    mixture = Mixture.from_yaml(make_mixture(tmp_path, {"json_path": "a.json", "captions_per_pair": 3}))
    samples = mixture.samples(seed=1)
    per_record = Counter(sample.record.uid for sample in samples)
    assert [per_record[f"a_{i}"] for i in range(4)] == [1, 2, 3, 3]
    assert len(set(captions_of(samples))) == len(samples) == 90
    assert set(captions_of(samples)) == set(captions_of(samples.at_epoch(1)))
    chosen = {caption for epoch in range(30) for caption in captions_of(mixture.samples(seed=1, epoch=epoch))}
    assert chosen == set(captions_of(samples))


@given(
    total=st.integers(0, 60),
    kind=st.sampled_from(["first", "end", "random"]),
    number=st.integers(1, 80),
    percent=st.booleans(),
)
@settings(deadline=None)
def test_strategies_take_what_the_reference_takes(total, kind, number, percent):
    everything = list(range(total))
    count = math.ceil(number * total / 100) if percent else number
    rows = (
        SamplingStrategy.parse(f"{kind}:{number}{'%' if percent else ''}")
        .rows(total, rng=np.random.default_rng(0))
        .tolist()
    )
    if kind == "random":
        assert len(rows) == len(set(rows)) == min(count, total)
        assert rows == sorted(rows)
        assert set(rows) <= set(everything)
    else:
        expected = everything[:count] if kind == "first" else everything[-count:] if count else []
        assert rows == expected


@pytest.mark.parametrize("text", ["some", "first", "first:0", "end:-1", "random:0%", "random:101%", "random:1.5", ""])
def test_other_strategies_are_refused(tmp_path, text):
    path = make_mixture(tmp_path, {"json_path": "a.json", "sampling_strategy": text})
    with pytest.raises(InputError, match="first:N"):
        Mixture.from_yaml(path)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("datasets: [{json_path: a.json, weight: 3}]", "weight"),
        ("datasets: [{json_path: a.json}]\nseed: 3", "seed"),
        ("datasets: [{sampling_strategy: all}]", "json_path"),
        ("datasets: []", "datasets"),
        ("", "datasets"),
        ("datasets: [", "not valid YAML"),
        ("datasets: [{json_path: a.json, captions_per_pair: 0}]", "captions_per_pair"),
        ("datasets: !!python/object/apply:os.system [ls]", "not valid YAML"),
    ],
)
def test_what_is_no_mixture_is_refused_with_its_key(tmp_path, content, says):
    path = tmp_path / "m.yaml"
    path.write_text(content)
    with pytest.raises(InputError, match=says):
        Mixture.from_yaml(path)


def test_missing_files_are_named(tmp_path):
    with pytest.raises(ReadError, match=r"none\.yaml.*cc-foundation"):
        Mixture.from_yaml(tmp_path / "none.yaml")
    with pytest.raises(ReadError, match=r"gone\.json"):
        Mixture.from_yaml(make_mixture(tmp_path, {"json_path": "gone.json"})).samples()
    (tmp_path / "latin.yaml").write_bytes("datasets: [{json_path: Zürich.json}]".encode("latin-1"))
    with pytest.raises(ReadError, match="UTF-8"):
        Mixture.from_yaml(tmp_path / "latin.yaml")


def test_test_splits_are_sampled_only_where_the_mixture_says_so(tmp_path):
    make_file(tmp_path / "a.json", 3, split="test")
    with pytest.raises(InputError, match=r"3 records of a test split.*a\.json, line 1.*allow_test_splits"):
        Mixture.from_yaml(make_mixture(tmp_path, {"json_path": "a.json"})).samples()
    path = make_mixture(tmp_path, {"json_path": "a.json"}, allow_test_splits=True)
    assert len(Mixture.from_yaml(path).samples()) == 6


def test_records_without_captions_are_refused(tmp_path):
    make_file(tmp_path / "a.json", 3, captions=[2, 0, 0])
    with pytest.raises(InputError, match=r"\(record 2\).*empty.*1 more"):
        Mixture.from_yaml(make_mixture(tmp_path, {"json_path": "a.json"})).samples()


def test_broken_records_are_found_before_the_first_sample(tmp_path):
    make_file(tmp_path / "a.json", 3, change_caption=None)
    with pytest.raises(InputError, match=r"a\.json, line 1 \(record 1\): key 'change_caption'"):
        Mixture.from_yaml(make_mixture(tmp_path, {"json_path": "a.json"})).samples()


def test_a_file_that_is_cut_off_meanwhile_is_noticed(tmp_path):
    path = make_file(tmp_path / "a.jsonl", 3)
    samples = Mixture([Entry(json_path=path)]).samples(shuffle=False)
    path.write_text("")
    with pytest.raises(ReadError, match="shorter"):
        samples[0]


def test_samples_are_read_where_there_is_no_pread(tmp_path, monkeypatch):
    make_file(tmp_path / "a.json", 5)
    samples = Mixture([Entry(json_path=tmp_path / "a.json")]).samples(shuffle=False)
    wanted = captions_of(samples)
    monkeypatch.delattr("os.pread")
    assert captions_of(samples) == wanted


@pytest.mark.parametrize("options", [{"captions": "all"}, {"seed": -1}, {"epoch": -1}])
def test_bad_options_are_refused(tmp_path, options):
    make_file(tmp_path / "a.json", 3)
    mixture = Mixture([Entry(json_path=tmp_path / "a.json")])
    with pytest.raises(InputError):
        mixture.samples(**options)


def test_samples_go_through_a_loader_with_workers_and_through_pickle(tmp_path):
    make_file(tmp_path / "a.json", 30)
    samples = Mixture([Entry(json_path=tmp_path / "a.json")]).samples(seed=5)
    wanted = captions_of(samples)
    assert captions_of(pickle.loads(pickle.dumps(samples))) == wanted  # noqa: S301 - our own bytes
    loader = torch.utils.data.DataLoader(samples, batch_size=7, num_workers=2, collate_fn=captions_of)
    assert [caption for batch in loader for caption in batch] == wanted


def test_the_published_mixture_expands_to_the_published_weights(tmp_path):
    for name in PUBLISHED:
        make_file(tmp_path / f"{name}.json", 4, captions=5, split=name.rsplit("_", 1)[1])
    mixture = Mixture.from_yaml("cc-foundation-published", root=tmp_path)
    assert Counter(entry.json_path.stem for entry in mixture.entries) == PUBLISHED
    counts = Counter(sample.record.uid.rsplit("_", 1)[0] for sample in mixture.samples())
    kept = {name: 3 if name.startswith("clevr") else 5 for name in PUBLISHED}
    assert counts == {name: weight * 4 * kept[name] for name, weight in PUBLISHED.items()}


def test_our_mixture_trains_on_no_test_split(tmp_path):
    mixture = Mixture.from_yaml("cc-foundation", root=tmp_path)
    assert not mixture.allow_test_splits
    assert not any("test" in entry.json_path.stem for entry in mixture.entries)
    assert {entry.source for entry in mixture.entries} == {
        entry.source for entry in Mixture.from_yaml("cc-foundation-published", root=tmp_path).entries
    }


def test_a_shipped_mixture_needs_the_folder_of_the_data():
    assert sorted(shipped_mixtures()) == ["cc-foundation", "cc-foundation-published"]
    with pytest.raises(InputError, match="root="):
        Mixture.from_yaml("cc-foundation")
