"""The three stages, each from its own file and from the end of the last, on scenes that geocc makes."""

import json

import pytest
import yaml
from PIL import Image
from support import training
from typer.testing import CliRunner

from geocc.cli import app as cli
from geocc.cli import train  # noqa: F401 - registers its commands
from geocc.data.synthetic import training_pairs


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """Records of synthetic tiles: eight to train on, four to evaluate on."""
    folder = tmp_path_factory.mktemp("scenes")
    files = {}
    for split, seeds in (("train", range(4)), ("val", range(100, 102))):
        records = []
        for number, pair in enumerate(training_pairs(seeds, tile_px=64, per_scene=2)):
            names = [f"{split}_{number}_{date}.png" for date in ("t1", "t2")]
            for name, image in zip(names, (pair.t1, pair.t2), strict=True):
                Image.fromarray(image.transpose(1, 2, 0)).save(folder / name)
            records.append(
                {
                    "uid": f"{split}-{number}",
                    "change_flag": int(pair.changed),
                    "img1_path": names[0],
                    "img2_path": names[1],
                    "change_caption": [pair.caption],
                    "split": split,
                }
            )
        files[split] = folder / f"{split}.json"
        files[split].write_text(json.dumps(records))
    return files


def test_three_files_three_stages(scenes, base, tmp_path):
    start = base
    for stage in (1, 2, 3):
        settings = training.settings(
            start,
            scenes["train"],
            tmp_path / f"stage{stage}",
            recipe={"stage": stage, "learning_rate": 1e-3, "epochs": 1, "max_steps": 2, "batch_size": 2},
            **({"evaluation": evaluation(scenes["val"])} if stage == 3 else {}),
        )
        file = tmp_path / f"stage{stage}.yaml"
        file.write_text(yaml.safe_dump(settings))
        result = CliRunner().invoke(cli.app, ["train", str(file)])
        assert result.exit_code == 0, (result.output, result.exception)
        start = tmp_path / f"stage{stage}" / "model"
        told = json.loads((start / "geocc_training.json").read_text())
        assert (told["stage"], told["step"]) == (stage, 2)
    assert told["base"] == str(tmp_path / "stage2" / "model")
    assert told["best"] is not None


def evaluation(records):
    return {"records": str(records), "metrics": ["bleu", "rouge", "cider"], "best": "accuracy", "max_new_tokens": 8}
