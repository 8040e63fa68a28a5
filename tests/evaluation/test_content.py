"""What, where and how many: the lexicon, and the agreement computed with it."""

import numpy as np
import pytest

from geocc.evaluation.content import content_measures, missed_categories, unsupported_categories
from geocc.evaluation.lexicon import CATEGORIES, categories, counts, places
from geocc.evaluation.records import Pair


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Many HOUSES are built along the road.", {"building", "road"}),
        ("the trees on the bareland are removed", {"vegetation", "bare land"}),
        ("a t-junction beside a swimming pool", {"road", "water"}),
        ("a football field appears", {"sports ground"}),
        ("fields become a parking lot with cars", {"farmland", "parking", "vehicle"}),
        ("an open space becomes a construction site", {"bare land", "construction site"}),
        ("the scene is the same as before", set()),
        ("woodenhouse roadworks", set()),
        ("", set()),
    ],
)
def test_categories(text, expected):
    assert categories(text) == expected
    assert expected <= set(CATEGORIES)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("at the upper-left corner", {"top", "left", "corner"}),
        ("in the bottom right", {"bottom", "right"}),
        ("in the middle of the scene", {"centre"}),
        ("on both sides of the road", set()),
    ],
)
def test_places(text, expected):
    assert places(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("two houses and a road appear", {"building": {2}, "road": {1}}),
        ("3 large new villas", {"building": {3}}),
        ("one building, then two buildings", {"building": {1, 2}}),
        ("two rows of houses are built", {}),
        ("a few houses and some roads", {}),
        ("houses on both sides of a winding road", {"road": {1}}),
        ("a lot of trees", {}),
        ("a group houses", {}),
        ("٣ houses", {}),
    ],
)
def test_counts(text, expected):
    assert {name: set(numbers) for name, numbers in counts(text).items()} == expected


def make(caption, *references):
    return Pair("a", caption, references, changed=True)


def values(*pairs):
    return {measure.name: measure.value for measure in content_measures(pairs)}


def test_wrong_is_what_nobody_names_and_missed_what_half_name():
    pair = make("a house and a river", "a house by the road", "houses beside a road", "trees are removed")
    assert unsupported_categories(pair) == ["water"]
    assert missed_categories(pair) == ["road"]
    found = values(pair)
    assert found["category precision"] == 50
    assert found["category recall"] == 50
    assert found["precision: water"] == 0
    assert found["recall: road"] == 0
    assert found["precision: building"] == found["recall: building"] == 100
    assert np.isnan(found["recall: vegetation"])


def test_places_and_counts_agree_where_the_references_speak_of_them():
    found = values(
        make("two houses in the top left", "two houses at the top", "some houses"),
        make("three houses at the bottom", "four houses"),
        make("some houses", "a house on the right"),
        make("a road", "a road at the left"),
    )
    assert found["place given"] == pytest.approx(100 / 3)
    assert found["place agreement"] == 50
    assert found["count agreement"] == pytest.approx(100 * 2 / 3)


@pytest.mark.shared
def test_the_lexicon_covers_what_people_write_of_changes(val_references):
    changed = [text for reference in val_references if reference.changed for text in reference.captions]
    assert np.mean([bool(categories(text)) for text in changed]) > 0.98
    unchanged = [text for reference in val_references if not reference.changed for text in reference.captions]
    assert not any(categories(text) for text in unchanged)
