"""Captions from masks: every statement checked against the pixels by a reader of its own."""

import numpy as np
import pytest
import shapely
from data.mask_checker import Checker, random_labels

from geocc.data.masks import LEVIR_MCI, SECOND, WORLDCOVER, ChangeMask, classes_by_colour, find_facts, write_captions
from geocc.errors import InputError

STYLES = [(style, mode) for style in ("plain", "levir") for mode in ("views", "expressions")]


def from_to(before, after):
    return ChangeMask.from_to(before, after, vocabulary=SECOND)


def check_masks(seeds):
    statements = 0
    for seed in seeds:
        before, after = random_labels(seed)
        mask = from_to(before, after)
        checker = Checker(before, after, mask.changed)
        style, mode = STYLES[seed % 4]
        captions = write_captions(mask, style=style, mode=mode, seed=seed, count=5)
        assert len(set(captions)) == 5, (seed, captions)
        for caption in captions:
            try:
                checker.check(caption)
            except AssertionError as error:
                raise AssertionError(f"seed {seed}: {caption!r}") from error
            statements += 1
    return statements


def test_no_statement_is_false_on_two_thousand_masks():
    assert check_masks(range(2000)) == 10_000


def patch(*boxes, shape=(40, 40)):
    before, after = np.zeros((2, *shape), dtype=int)
    for rows, cols, one, two in boxes:
        before[rows, cols], after[rows, cols] = one, two
    return before, after


BOX = (slice(2, 12), slice(2, 12), 4, 5)


@pytest.mark.parametrize(
    "lie",
    [
        "Built-up land has appeared in the upper right.",
        "Some tree cover has appeared in the upper left.",
        "Some water has been replaced by built-up land.",
        "Two built-up areas have appeared.",
        "About 50 percent of the scene has changed.",
        "There is no difference.",
        "A built-up area have appeared.",
        "The villa is lovely.",
    ],
)
def test_the_checker_finds_lies(lie):
    before, after = patch(BOX)
    with pytest.raises(AssertionError):
        Checker(before, after, before != after).check(lie)


def test_the_checker_finds_a_place_that_could_be_heard_with_another_clause():
    before, after = patch(BOX, (slice(30, 38), slice(30, 38), 3, 1))
    with pytest.raises(AssertionError):
        Checker(before, after, before != after).check(
            "Water has appeared and some tree cover was lost at the top left."
        )


def test_captions_follow_from_the_seed():
    mask = from_to(*patch(BOX))
    assert write_captions(mask, seed=4) == write_captions(mask, seed=4)
    assert write_captions(mask, seed=4) != write_captions(mask, seed=5)


def test_views_differ_in_what_they_tell_and_expressions_in_words_alone():
    mask = from_to(*patch(BOX, (slice(30, 38), slice(30, 38), 3, 1)))
    views = " ".join(write_captions(mask, count=12, seed=1)).lower()
    assert all(word in views for word in ("built-up", "tree", "water", "low vegetation", "scene"))
    for caption in write_captions(mask, count=8, mode="expressions", seed=1):
        assert "tree" in caption.lower() or "wooded" in caption.lower()


def test_levir_style_is_lower_case_without_full_stop():
    for caption in write_captions(from_to(*patch(BOX)), style="levir", count=8):
        assert caption == caption.lower().rstrip(".")
    for caption in write_captions(from_to(*patch(BOX)), count=8):
        assert caption[0].isupper()
        assert caption.endswith(".")


def test_where_nothing_changed_the_captions_say_so():
    same = from_to(*patch())
    assert find_facts(same) == ()
    assert len(set(write_captions(same, count=9))) == 5
    assert "there is no difference" in write_captions(same, style="levir")


def test_a_binary_mask_tells_where_and_how_much_and_not_what():
    pixels = np.zeros((40, 40, 3), dtype=np.uint8)
    pixels[2:12, 2:12] = 255
    captions = write_captions(ChangeMask.binary(pixels), count=8, seed=3)
    assert len(set(captions)) == 8
    zeros = np.zeros((40, 40), dtype=int)
    for caption in captions:
        Checker(zeros, zeros, pixels.any(axis=-1)).check(caption)


def test_a_single_changed_pixel_is_told_as_little_change():
    before, after = patch((slice(0, 1), slice(0, 1), 4, 5), shape=(100, 100))
    captions = write_captions(from_to(before, after))
    assert len(set(captions)) == 5
    assert not any("built" in caption or "tree" in caption for caption in captions)


def test_unknown_land_is_no_change():
    before, after = patch((slice(0, 9), slice(0, 9), 0, 5), (slice(20, 30), slice(0, 9), 4, 0))
    assert not from_to(before, after).changed.any()


def test_polygons_say_what_their_raster_says():
    ring = shapely.Polygon([(2, 2), (20, 2), (20, 20), (2, 20)], holes=[[(8, 8), (14, 8), (14, 14), (8, 14)]])
    mask = ChangeMask.from_polygons([(ring, 1, 2)], height=40, width=50, vocabulary=LEVIR_MCI)
    assert mask.changed.shape == (40, 50)
    assert mask.changed[5, 5]
    assert not mask.changed[11, 11]
    assert not mask.changed[30, 30]
    assert any("built-up" in caption for caption in write_captions(mask))
    both = shapely.MultiPolygon([ring, shapely.box(30, 30, 39, 39)])
    again = ChangeMask.from_polygons([(both, 1, 2)], height=40, width=50, vocabulary=LEVIR_MCI)
    assert again.changed.sum() > mask.changed.sum()


def test_colours_become_classes():
    image = np.full((2, 3, 3), 255, dtype=np.uint8)
    image[0, 0] = (128, 0, 0)
    image[1, 2] = (0, 255, 0)
    assert classes_by_colour(image).tolist() == [[5, 0, 0], [0, 0, 4]]
    image[1, 1] = (127, 1, 0)
    with pytest.raises(InputError, match=r"\(127, 1, 0\)"):
        classes_by_colour(image)
    with pytest.raises(InputError, match="shape"):
        classes_by_colour(image[..., 0])


def test_every_class_of_every_vocabulary_can_be_said():
    for vocabulary in (SECOND, LEVIR_MCI, WORLDCOVER):
        values = list(vocabulary)
        for one, two in zip(values, values[1:] + values[:1], strict=True):
            mask = ChangeMask.from_to(*patch((slice(0, 9), slice(0, 9), one, two)), vocabulary=vocabulary)
            for style, mode in STYLES:
                assert len(set(write_captions(mask, style=style, mode=mode))) == 5


@pytest.mark.parametrize("options", [{"style": "poem"}, {"mode": "all"}, {"count": 0}])
def test_bad_options_are_refused(options):
    with pytest.raises(InputError, match="expected 'plain'"):
        write_captions(from_to(*patch(BOX)), **options)


def test_bad_masks_are_refused():
    one, two = patch()
    with pytest.raises(InputError, match="shapes"):
        from_to(one, two[:5])
    with pytest.raises(InputError, match="shape"):
        ChangeMask.binary(np.zeros(5))
    with pytest.raises(InputError, match="class 77"):
        from_to(one + 77, two)
