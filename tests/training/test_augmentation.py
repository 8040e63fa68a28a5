"""Augmentation keeps a pair a pair, and its caption true."""

import random

import numpy as np
import pytest
from PIL import Image

from geocc.errors import InputError
from geocc.training import Augmentation
from geocc.training.augmentation import augment

SIDE = 16
SAME = "the scene is the same as before"
HOUSE = "a house appears"


def pair():
    """Two images whose red channel is the column, whose green is the row, and whose blue is the date."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    return tuple(
        Image.fromarray(np.stack([columns, rows, np.full_like(rows, date)], axis=-1).astype(np.uint8))
        for date in (1, 2)
    )


def run(caption, *, changed=True, seed=0, **settings):
    images, said = augment(pair(), caption, changed=changed, settings=Augmentation(**settings), rng=random.Random(seed))
    return [np.asarray(image) for image in images], said


def flipped(image, *, axis):
    lines = image[0, :, 0] if axis == "horizontal" else image[:, 0, 1]
    return lines[0] > lines[-1]


def test_it_is_off_by_default():
    images, said = run("a house in the left corner")
    assert Augmentation().off
    assert said == "a house in the left corner"
    assert all(np.array_equal(image, np.asarray(own)) for image, own in zip(images, pair(), strict=True))


@pytest.mark.parametrize("axis", ["horizontal", "vertical"])
def test_both_dates_are_flipped_alike(axis):
    images, said = run(HOUSE, **{f"{axis}_flip": 1})
    assert [flipped(image, axis=axis) for image in images] == [True, True]
    assert said == HOUSE


@pytest.mark.parametrize(
    ("caption", "axis", "swapped"),
    [
        ("a house on the left", "horizontal", "a house on the right"),
        ("Left of the road, west of it", "horizontal", "Right of the road, east of it"),
        ("in the upper right corner", "horizontal", "in the upper left corner"),
        ("in the upper right corner", "vertical", "in the lower right corner"),
        ("north-east, the southern edge", "vertical", "south-east, the northern edge"),
        ("in the northwest", "horizontal", "in the northeast"),
        ("a road at the topmost edge", "vertical", "a road at the bottommost edge"),
        ("on the left side and on the right-hand side", "horizontal", "on the right side and on the left-hand side"),
        ("houses above the road", "vertical", "houses below the road"),
    ],
)
def test_a_caption_that_says_where_stays_still_or_has_its_words_exchanged(caption, axis, swapped):
    still, said = run(caption, **{f"{axis}_flip": 1})
    assert (said, flipped(still[0], axis=axis)) == (caption, False)
    moved, said = run(caption, **{f"{axis}_flip": 1}, location_words="swap")
    assert (said, flipped(moved[0], axis=axis)) == (swapped, True)


def test_words_of_one_axis_do_not_hold_the_other_back():
    images, _ = run("a house at the top", horizontal_flip=1)
    assert flipped(images[0], axis="horizontal")


@pytest.mark.parametrize(
    ("caption", "axis"),
    [
        ("a house right next to the road", "horizontal"),
        ("only the foundations are left", "horizontal"),
        ("a pool on top of the building", "vertical"),
        ("lower houses replace the tower", "vertical"),
        ("a bridge over the river", "vertical"),
    ],
)
def test_an_ambiguous_word_is_never_exchanged(caption, axis):
    images, said = run(caption, **{f"{axis}_flip": 1}, location_words="swap")
    assert (said, flipped(images[0], axis=axis)) == (caption, False)


@pytest.mark.parametrize("word", ["highlights", "desktop", "rooftop", "brightness", "lefty", "westminster"])
def test_words_that_only_hold_a_direction_are_no_direction(word):
    images, said = run(f"a {word} appears", horizontal_flip=1, location_words="swap")
    assert said == f"a {word} appears"
    assert flipped(images[0], axis="horizontal")


def test_only_an_unchanged_pair_is_cropped_and_both_dates_alike():
    images, _ = run(SAME, changed=False, crop=0.5, seed=3)
    assert images[0].shape == images[1].shape != (SIDE, SIDE, 3)
    assert np.array_equal(images[0][..., :2], images[1][..., :2])
    assert run(HOUSE, changed=True, crop=0.5)[0][0].shape == (SIDE, SIDE, 3)
    assert run(SAME, changed=True, crop=0.5)[0][0].shape == (SIDE, SIDE, 3)
    assert run("nothing changed in the corner", changed=False, crop=0.5)[0][0].shape == (SIDE, SIDE, 3)


def test_the_dates_change_places_only_where_flag_and_caption_say_no_change():
    dates = [
        run(caption, changed=changed, temporal_swap=1)[0][0][0, 0, 2]
        for caption, changed in ((SAME, False), (SAME, True), (HOUSE, False), (HOUSE, True))
    ]
    assert dates == [2, 1, 1, 1]


def test_colours_change_for_each_date_on_its_own_unless_the_caption_speaks_of_them():
    images, _ = run(HOUSE, colour=0.5)
    assert not np.array_equal(images[0][..., :2], images[1][..., :2])
    still, _ = run("a bright house appears", colour=0.5)
    assert np.array_equal(still[0][..., :2], still[1][..., :2])


def test_the_same_seed_gives_the_same_pair():
    settings = {"horizontal_flip": 0.5, "vertical_flip": 0.5, "colour": 0.3, "crop": 0.7, "temporal_swap": 0.5}
    first, second = (run(SAME, changed=False, seed=5, **settings) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(first[0], second[0], strict=True))


@pytest.mark.parametrize("settings", [{"crop": 0}, {"horizontal_flip": 2}, {"colour": 1}, {"rotate": 90}])
def test_settings_that_cannot_be_meant_are_refused(settings):
    with pytest.raises(InputError, match=next(iter(settings))):
        Augmentation(**settings)
