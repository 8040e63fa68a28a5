"""Parts of a batch side by side: the same answers in the same order, and torch's threads as they were."""

import threading

import numpy as np
import pytest
import torch
from support import tiny_ccexpert

from geocc.errors import InputError
from geocc.inference import CCExpertCaptioner, TileBatch
from geocc.inference.streams import Streams

SMALL = torch.nn.Linear(2, 2)


@pytest.fixture
def four_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


def threads_of_another():
    found = []
    other = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
    other.start()
    other.join()
    return found[0]


@pytest.mark.parametrize(
    ("items", "most", "parts"),
    [
        (32, None, [8, 8, 8, 8]),
        (31, None, [10, 10, 11]),
        (32, 2, [16, 16]),
        (15, None, [15]),
        (64, 1, [64]),
        (0, None, [0]),
    ],
)
@pytest.mark.usefixtures("four_threads")
def test_a_batch_is_cut_into_parts_of_eight_and_more_and_stays_in_order(items, most, parts):
    seen, together = [], threading.Barrier(len(parts), timeout=30)

    def work(numbers, letters):
        seen.append((len(numbers), torch.get_num_threads()))
        together.wait()  # none is done before all have begun
        return [f"{number}{letter}" for number, letter in zip(numbers, letters, strict=True)]

    letters = [chr(65 + at % 26) for at in range(items)]
    results = Streams(SMALL, most=most).map(work, np.arange(items), letters)
    assert results == [f"{at}{letter}" for at, letter in enumerate(letters)]
    assert sorted(number for number, _ in seen) == sorted(parts)
    assert {threads for _, threads in seen} == {4 // len(parts)}
    assert torch.get_num_threads() == threads_of_another() == 4


@pytest.mark.usefixtures("four_threads")
def test_what_a_part_raises_is_raised_and_threads_are_as_before():
    def work(numbers):
        if 20 in numbers:
            raise ValueError("twenty")
        return list(numbers)

    with pytest.raises(ValueError, match="twenty"):
        Streams(SMALL).map(work, list(range(32)))
    assert torch.get_num_threads() == threads_of_another() == 4


@pytest.mark.usefixtures("four_threads")
@pytest.mark.parametrize("model", [torch.nn.Linear(2, 2, device="meta"), torch.nn.Embedding(2**24 + 1, 1)])
def test_batches_stay_whole_elsewhere_and_for_models_that_fill_the_memory(model):
    calls = []
    Streams(model).map(lambda numbers: calls.append(len(numbers)) or list(numbers), list(range(32)))
    assert calls == [32]


def test_fewer_than_one_is_refused():
    with pytest.raises(InputError, match="streams is 0; expected 1 or more"):
        CCExpertCaptioner(*tiny_ccexpert.make(), streams=0)


@pytest.mark.usefixtures("four_threads")
@pytest.mark.parametrize("change_head", [True, False])
def test_captions_are_those_of_the_whole_batch(change_head):
    model, processor = tiny_ccexpert.make(change_head=change_head, scout=True)
    images = np.random.default_rng(3).integers(0, 256, (33, 2, 3, 32, 32), dtype=np.uint8)
    batch = TileBatch(images=images, tile_ids=tuple(map(str, range(33))))
    whole, parts = (CCExpertCaptioner(model, processor, max_new_tokens=6, streams=streams) for streams in (1, None))
    encoded = [parts.encode_dates(images[:, date]) for date in (0, 1)]
    for said in (parts.caption(batch), parts.caption_encoded(*encoded)):
        for one, other in zip(whole.caption(batch), said, strict=True):
            assert (one.text, one.changed) == (other.text, other.changed)
            assert one.change_probability == pytest.approx(other.change_probability, abs=1e-5)
