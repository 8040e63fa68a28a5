import pytest
import torch
from support import foreign
from transformers import AutoConfig, Qwen2Config

from geocc.errors import InputError
from geocc.model import CCExpertConfig, CCExpertForConditionalGeneration

# Millions, from ../shared/performance.md, "Parameters".
MILLIONS = {
    "0.5b": {"difference": 63.77, "projector": 1.84, "language_model": 357.90 + 136.13, "lm_head": 0},
    "7b": {"difference": 63.77, "projector": 16.98, "language_model": 6525.62 + 545.0, "lm_head": 545.0},
}


@pytest.mark.parametrize("size", MILLIONS)
def test_published_sizes_have_the_right_number_of_parameters_in_each_part(size):
    with torch.device("meta"):
        model = CCExpertForConditionalGeneration(CCExpertConfig.ccexpert(size))
    counts = dict.fromkeys(("vision_tower", "difference", "projector", "language_model", "lm_head"), 0)
    for name, parameter in model.named_parameters():
        part = next(part for part in counts if part in name)
        counts[part] += parameter.numel()
    for part, millions in MILLIONS[size].items():
        assert counts[part] / 1e6 == pytest.approx(millions, abs=0.05), part
    # 27 layers and the last norm are 412.99 M; a block is 4 d^2 + 4 d of attention, 2 d m + d + m of MLP, 4 d of norms.
    d, m = 1152, 4304
    block = 4 * d * d + 4 * d + 2 * d * m + d + m + 4 * d
    assert counts["vision_tower"] == pytest.approx(412.99e6 - block - 2 * d, abs=0.01e6)
    total = {"0.5b": 957e6, "7b": 8094e6}[size]
    assert sum(counts.values()) == pytest.approx(total, rel=0.002)


def test_the_defaults_are_the_half_billion_model():
    default, published = CCExpertConfig(), CCExpertConfig.ccexpert("0.5B")
    assert default.to_dict() == published.to_dict()
    assert default.tokens_per_image == 729
    assert default.feature_levels == [17, 20, 23, 26]
    assert default.tie_word_embeddings
    assert not CCExpertConfig.ccexpert("7b").tie_word_embeddings


def test_a_published_size_may_be_changed():
    assert CCExpertConfig.ccexpert("0.5b", change_head=True).change_head
    with pytest.raises(InputError, match="'3b'"):
        CCExpertConfig.ccexpert("3b")


def test_it_comes_back_from_a_folder(tmp_path):
    config = CCExpertConfig(
        vision_config=foreign.TOWER,
        text_config=Qwen2Config(**foreign.TEXT),
        feature_levels=(0, 2),
        difference_head_dim=64,
        image_token_id=298,
        change_head=True,
    )
    config.save_pretrained(tmp_path)
    again = AutoConfig.from_pretrained(tmp_path)
    assert isinstance(again, CCExpertConfig)
    again.save_pretrained(tmp_path / "again")
    assert (tmp_path / "again" / "config.json").read_text() == (tmp_path / "config.json").read_text()
    assert again.feature_levels == [0, 2]


@pytest.mark.parametrize("tie", [None, True, False])
@pytest.mark.parametrize("text_tie", [True, False])
def test_the_two_ways_to_tie_agree(tie, text_tie):
    config = CCExpertConfig(text_config=foreign.TEXT | {"tie_word_embeddings": text_tie}, tie_word_embeddings=tie)
    assert config.tie_word_embeddings == config.text_config.tie_word_embeddings == (text_tie if tie is None else tie)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"feature_levels": [1, 6]}, "between 0 .* and 5"),
        ({"feature_levels": [-2]}, "between 0"),
        ({"feature_levels": [3, 1]}, "ascending"),
        ({"feature_levels": [1, 1]}, "distinct"),
        ({"feature_levels": []}, "feature_levels"),
        ({"difference_head_dim": 100}, "128 is not a multiple of difference_head_dim 100"),
        ({"difference_head_dim": 0}, "difference_head_dim"),
        ({"difference_depth": -1}, "difference_depth"),
        ({"vision_config": foreign.TOWER | {"hidden_size": 6}, "difference_head_dim": 6}, "multiple of 4"),
        ({"vision_config": foreign.TOWER | {"image_size": [28, 42]}}, "square grid"),
        ({"vision_config": foreign.TOWER | {"image_size": 8}}, "no larger than the image"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(change, message):
    fields = {"vision_config": foreign.TOWER, "text_config": foreign.TEXT, "feature_levels": [1, 4]} | change
    with pytest.raises(InputError, match=message):
        CCExpertConfig(**fields)
