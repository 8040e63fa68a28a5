import json

import pytest
from support.foreign import TOWER
from transformers import SiglipVisionConfig

from geocc.errors import CheckpointError
from geocc.model.checkpoints.towers import tower_sizes


@pytest.mark.parametrize(
    "name",
    [
        "google/siglip-so400m-patch14-384",
        "/mnt/models/siglip-so400m-patch14-384/",
        r"D:\models\siglip-so400m-patch14-384",
    ],
)
def test_the_towers_name_is_enough_wherever_it_lay(name):
    sizes = tower_sizes(name)
    assert (sizes["hidden_size"], sizes["num_hidden_layers"], sizes["image_size"]) == (1152, 27, 384)


def test_a_config_goes_before_the_name_in_every_form(tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"text_config": {}, "vision_config": TOWER}))  # as google/siglip-* nests it
    for given in (TOWER, {"vision_config": TOWER}, path, str(path), tmp_path):
        assert tower_sizes("google/siglip-so400m-patch14-384", vision_config=given) == TOWER
    assert tower_sizes(None, vision_config=SiglipVisionConfig(**TOWER).to_dict())["hidden_size"] == TOWER["hidden_size"]


@pytest.mark.parametrize("name", [None, "", "openai/clip-vit-large-patch14-336"])
def test_an_unknown_tower_is_refused_with_the_remedy(name):
    with pytest.raises(CheckpointError, match="vision_config="):
        tower_sizes(name)


def test_a_config_without_sizes_is_refused():
    with pytest.raises(CheckpointError, match=r"lacks \['hidden_size'"):
        tower_sizes(None, vision_config={"image_size": 384, "patch_size": 14})
