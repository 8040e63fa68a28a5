"""Batches without a copy: the same pixels as one put together, whichever tiles are in it."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from support.rasters import grid

from geocc.scene import plan_tiles
from geocc.scene.slots import TileSlots, side_by_side


def filled(count, size=4):
    """The slots of a row of tiles, each filled with its number."""
    slots = TileSlots(plan_tiles(grid(size, count * size), tile_size=size), dates=2)
    images = [slots.take(at) for at in range(count)]
    for number, image in enumerate(images):
        image[...] = number
    return images


@given(st.lists(st.integers(0, 69), min_size=1, max_size=40))
def test_a_batch_holds_its_tiles_in_order_wherever_they_lie(chosen):
    images = filled(70)
    batch = side_by_side([images[number] for number in chosen])
    assert batch[:, 0, 0, 0, 0].tolist() == chosen
    assert np.array_equal(batch, np.stack([images[number] for number in chosen]))


def test_neighbours_are_not_copied():
    images = filled(70)
    for start, stop in ((0, 32), (32, 64), (64, 70), (40, 48)):
        assert np.shares_memory(side_by_side(images[start:stop]), images[start])
    assert not np.shares_memory(side_by_side(images[30:34]), images[30])  # of two slabs
    assert not np.shares_memory(side_by_side([images[3][:, ::-1], images[4][:, ::-1]]), images[3])


def test_tiles_of_other_sizes_have_no_slots():
    plan = plan_tiles(grid(10, 40), tile_size=16)
    assert TileSlots(plan, dates=2).take(0) is None
