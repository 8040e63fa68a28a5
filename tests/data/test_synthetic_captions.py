"""Captions: they say what is in the tile, in English, and can be read back."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geocc.data.synthetic import (
    KINDS,
    NO_CHANGE,
    Category,
    Direction,
    Fact,
    Place,
    Window,
    describe_tile,
    make_scene,
    read_caption,
    training_pairs,
    write_caption,
)

SHARE = st.floats(0, 1)
FACTS = st.builds(
    Fact,
    category=st.sampled_from(sorted({category for category, _ in KINDS})),
    direction=st.sampled_from(list(Direction)),
    count=st.integers(1, 9),
    large=st.booleans(),
    x=SHARE,
    y=SHARE,
    width=SHARE,
    height=SHARE,
    fraction=SHARE,
    other=st.none() | st.sampled_from(sorted(Category)),
)


@pytest.fixture(scope="module")
def pairs():
    return list(training_pairs(range(12), tile_px=160))


@given(facts=st.lists(FACTS, max_size=4), seed=st.integers(0, 2**31))
def test_what_is_written_can_be_read(facts, seed):
    text = write_caption(facts, np.random.default_rng(seed))
    stated = read_caption(text)
    assert [(s.category, s.direction, s.place) for s in stated] == [
        (f.category, f.direction, f.place) for f in facts[:3]
    ]
    for statement, fact in zip(stated, facts, strict=False):
        assert statement.other in {None, fact.other}
        if fact.category is Category.BUILDING:
            assert statement.number == ("one", "two", "several")[min(fact.count, 3) - 1]


@given(facts=st.lists(FACTS, max_size=4), seed=st.integers(0, 2**31))
def test_sentences_are_grammatical(facts, seed):
    text = write_caption(facts, np.random.default_rng(seed))
    assert text == text.lower().strip()
    assert "  " not in text
    assert not re.search(r"[{}]", text)
    assert not re.search(r"\b(houses|buildings) (has|was|appears|disappears)\b", text)
    assert not re.search(r"\b(house|building|lot|road) (have|were|appear|disappear)\b", text)
    assert not re.search(r"\ba (houses|large buildings|roads)\b", text)


def test_no_facts_make_one_of_the_five_no_change_sentences():
    rng = np.random.default_rng(0)
    assert {write_caption([], rng) for _ in range(200)} == set(NO_CHANGE)
    assert all(read_caption(text) == () for text in NO_CHANGE)


@given(fact=FACTS, flip=st.booleans(), quarters=st.integers(0, 3))
def test_facts_turn_with_the_tile(fact, flip, quarters):
    size = 9
    image = np.zeros((size, size))
    col, row = (min(int(at * size), size - 1) for at in (fact.x, fact.y))
    image[row, col] = 1
    turned = np.rot90(image[:, ::-1] if flip else image, quarters)
    row, col = np.argwhere(turned == 1)[0]
    found = fact.turned(flip=flip, quarters=quarters)
    assert abs(found.x * size - 0.5 - col) <= 0.51
    assert abs(found.y * size - 0.5 - row) <= 0.51
    assert {found.width, found.height} == {fact.width, fact.height}
    assert fact.reversed().reversed() == fact
    assert fact.reversed().direction is not fact.direction


@pytest.mark.parametrize(
    ("x", "y", "place"),
    [(0.1, 0.1, "upper left"), (0.5, 0.1, "top"), (0.9, 0.5, "right"), (0.5, 0.5, "center"), (0.2, 0.9, "lower left")],
)
def test_places(x, y, place):
    fact = Fact(Category.ROAD, Direction.GAIN, count=1, large=False, x=x, y=y, width=0.2, height=0.2, fraction=0.1)
    assert fact.place == place
    assert Fact(**{name: getattr(fact, name) for name in Fact.__slots__} | {"width": 0.9}).place is Place.ACROSS


def test_half_the_pairs_are_unchanged(pairs):
    assert len(pairs) > 20
    assert sum(pair.changed for pair in pairs) * 2 == len(pairs)


def test_captions_say_what_is_in_the_tile_and_no_more(pairs):
    for pair in pairs:
        known = pair.description
        assert bool(known.facts) == known.changed == bool(read_caption(pair.caption))
        assert not known.ambiguous
        assert known.mask.any() == known.changed
        inside = {
            (change.category, change.direction)
            for change in pair.scene.changes
            if _visible(change, pair.window) >= 0.004 * known.mask.size
        }
        assert {(fact.category, fact.direction) for fact in known.facts} == inside
        for statement in read_caption(pair.caption):
            assert (statement.category, statement.direction) in inside


def test_pairs_are_cut_from_their_scene(pairs):
    for pair in pairs:
        rows, cols = pair.window.rows, pair.window.cols
        assert pair.t1.shape == pair.t2.shape == (3, 160, 160)
        assert (pair.t1 == pair.scene.t1[:, rows, cols]).all()
        assert (pair.t2 == pair.scene.t2[:, rows, cols]).all()


def test_pairs_are_deterministic():
    one, other = (list(training_pairs([4, 5], tile_px=96, change_density=2.0)) for _ in range(2))
    assert [pair.caption for pair in one] == [pair.caption for pair in other]
    assert all((a.t2 == b.t2).all() for a, b in zip(one, other, strict=True))


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 500), top=st.integers(0, 96), left=st.integers(0, 96))
def test_a_description_matches_the_mask_of_its_window(seed, top, left):
    scene = make_scene(seed, size_px=192, change_density=1.5)
    window = Window(top=top, left=left, height=96, width=96)
    known = describe_tile(scene, window)
    mask = scene.change_mask[top : top + 96, left : left + 96]
    assert known.change_fraction == pytest.approx(mask.mean())
    if not mask.any():
        assert not known.changed
        assert not known.ambiguous
    assert sum(fact.fraction for fact in known.facts) <= known.change_fraction + 1e-9
    assert list(known.facts) == sorted(known.facts, key=lambda fact: -fact.fraction)


def _visible(change, window):
    """Count the changed pixels of a change in a window, the slow way."""
    full = np.zeros((2 * window.height, 2 * window.width), dtype=bool)
    full[change.window.rows, change.window.cols] = change.mask
    return full[window.rows, window.cols].sum()
