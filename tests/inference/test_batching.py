import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.captioners import StubCaptioner

from geocc.errors import CaptionError, InputError
from geocc.inference.batching import BatchRunner, TileFailure, initial_batch_size


def tiles(count, size=4):
    return [(f"tile{i}", np.full((2, 3, size, size), i, dtype=np.uint8)) for i in range(count)]


@given(count=st.integers(0, 40), batch_size=st.integers(1, 12), largest=st.integers(1, 12))
def test_every_tile_is_captioned_once_in_order_whatever_fits_into_memory(count, batch_size, largest):
    stub = StubCaptioner(largest_batch=largest)
    said = list(BatchRunner(stub, batch_size=batch_size).run(tiles(count)))
    assert [tile_id for tile_id, _ in said] == [f"tile{i}" for i in range(count)]
    assert [caption.text for _, caption in said] == [f"{i:.3f} became {i:.3f}" for i in range(count)]
    assert stub.tiles == [tile_id for tile_id, _ in said]


def test_the_size_that_fits_is_remembered():
    stub = StubCaptioner(largest_batch=3)
    runner = BatchRunner(stub, batch_size=16)
    list(runner.run(tiles(32)))
    assert runner.batch_size == 2
    assert set(stub.seen) == {2}


def test_one_pair_that_does_not_fit_fails_by_name_with_advice():
    said = dict(BatchRunner(StubCaptioner(largest_batch=0), batch_size=4).run(tiles(2)))
    assert set(said) == {"tile0", "tile1"}
    assert all(isinstance(answer, TileFailure) and "smaller model" in answer.error for answer in said.values())


def test_a_tile_that_fails_costs_one_row():
    said = dict(BatchRunner(StubCaptioner(fail_on="tile2"), batch_size=4).run(tiles(6)))
    failed = [tile_id for tile_id, answer in said.items() if isinstance(answer, TileFailure)]
    assert failed == ["tile2"]
    assert said["tile2"].error == "RuntimeError: the stub dislikes tile2"


def test_a_tile_that_fails_ends_the_run_when_asked_to():
    runner = BatchRunner(StubCaptioner(fail_on="tile2"), batch_size=4, on_error="raise")
    with pytest.raises(
        CaptionError, match=r"tile0, tile1, tile2, tile3: RuntimeError: the stub dislikes tile2.*record"
    ):
        list(runner.run(tiles(6)))


def test_tiles_of_another_shape_begin_a_new_batch():
    stub = StubCaptioner()
    list(BatchRunner(stub, batch_size=4).run(tiles(3) + tiles(2, size=8)))
    assert stub.seen == [3, 2]


def test_a_captioner_that_loses_a_tile_is_named():
    class Forgetful(StubCaptioner):
        def caption(self, batch):
            return super().caption(batch)[1:]

    with pytest.raises(CaptionError, match="'stub' returned 1 captions for 2 tiles"):
        list(BatchRunner(Forgetful(), batch_size=2, on_error="raise").run(tiles(2)))


def test_a_batch_size_below_one_is_refused():
    with pytest.raises(InputError, match="batch_size is 0; expected 1 or more"):
        BatchRunner(StubCaptioner(), batch_size=0)


@pytest.mark.parametrize(
    ("bytes_per_pair", "bytes_free", "expected"),
    [
        (1, 10**12, 64),
        (0, 10**9, 64),
        (2**24, 10**12, 64),
        (2**24, 10**9, 32),  # 35 of them fit
        (2**24 + 1, 10**12, 32),
        (1, sys.maxsize, 32),  # nobody knows
        (10**9, 10**9, 1),
        (10**9, 10**10, 4),
        (10**9, 0, 1),
    ],
)
def test_the_first_batch_size_fits_into_what_is_free(bytes_per_pair, bytes_free, expected):
    assert initial_batch_size(bytes_per_pair, bytes_free) == expected
