import json
from pathlib import Path

import pytest

from geocc.inference.no_change import NO_CHANGE_SENTENCES, says_no_change

CAPTIONS = Path(__file__).parents[2].parent / "shared/data/levir_cc/LevirCCcaptions_train_val.json"


@pytest.mark.parametrize(
    "text",
    [
        *NO_CHANGE_SENTENCES,
        "The scene is the same as before .",
        "There are no visible changes between the two images.",
        "No significant difference can be seen.",
        "The area remains unchanged.",
        "The two images are almost identical.",
        "Nothing has really changed here.",
        "The scene has not changed.",
    ],
)
def test_denials_are_recognised(text):
    assert says_no_change(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a row of houses appears beside the road",
        "the trees are no longer green",
        "nothing has changed except a new road at the top",
        "there is no change in the forest but two houses were built",
        "two new houses are built in a group of the same kind of houses",
    ],
)
def test_changes_are_not_taken_for_denials(text):
    assert not says_no_change(text)


@pytest.mark.shared
@pytest.mark.skipif(not CAPTIONS.exists(), reason="needs ../shared/data")
def test_the_rule_agrees_with_the_flag_of_every_levir_cc_caption():
    images = json.loads(CAPTIONS.read_text())["images"]
    wrong = [
        sentence["raw"]
        for image in images
        for sentence in image["sentences"]
        if says_no_change(sentence["raw"]) == bool(image["changeflag"])
    ]
    assert wrong == []
