"""Caption, correct, fine-tune, caption again: one's own region by commands only."""

import re
import sqlite3
from pathlib import Path

import pytest
import yaml
from support import training
from typer.testing import CliRunner

from geocc import read_layer
from geocc.cli import app as cli
from geocc.data import read_records
from geocc.data.synthetic import make_scene
from geocc.inference import NO_CHANGE_SENTENCES
from geocc.model.captioning import load_captioning_checkpoint
from geocc.training import load_config

cli.register_commands()

CORRECTION = "a new hall stands on the field"


def run(*arguments):
    result = CliRunner().invoke(cli.app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, f"{result.output}\n{result.exception!r}"
    return result.stdout


def correct(path):
    """What a person does in QGIS: rewrite what is wrong, say "no change" of the rest, delete what was not looked at."""
    with sqlite3.connect(path) as database:
        database.create_function("ST_IsEmpty", 1, lambda _: 0)  # the index's triggers call these on every edit
        for edge in ("MinX", "MaxX", "MinY", "MaxY"):
            database.create_function(f"ST_{edge}", 1, lambda _: 0.0)
        database.execute("UPDATE change_captions SET caption = ?, changed = 0", (NO_CHANGE_SENTENCES[0],))
        database.execute("UPDATE change_captions SET caption = ?, changed = 1 WHERE col % 128 = 0", (CORRECTION,))
        database.execute("DELETE FROM change_captions WHERE tile_id = 'r000000_c000064'")
    database.close()


@pytest.fixture(scope="module")
def loop(tmp_path_factory):
    """Run the loop once; the folder in which it ran."""
    folder = tmp_path_factory.mktemp("loop")
    make_scene(7, size_px=256).to_geotiffs(folder)
    rasters = folder / "t1.tif", folder / "t2.tif"
    base = training.save_model(folder / "base", change_head=True)
    tiles = ("--tile-size", 64, "--device", "cpu", "--max-new-tokens", 8)
    run("caption", *rasters, "-o", folder / "first.gpkg", "--model", base, *tiles)
    (folder / "corrected.gpkg").write_bytes((folder / "first.gpkg").read_bytes())
    correct(folder / "corrected.gpkg")
    said = run("data", "region", *rasters, folder / "corrected.gpkg", folder / "set", "--split", "0.7,0.3")
    assert "train: " in said
    recipe = {"stage": 3, "max_steps": 4, "part_learning_rates": {}}
    settings = training.settings(
        base,
        folder / "set" / "train.json",
        folder / "run",
        recipe=recipe,
        lora={"rank": 4},
        start_from="any",
        evaluation={
            "records": str(folder / "set" / "val.json"),
            "metrics": ["bleu"],
            "best": "BLEU-4",
            "max_new_tokens": 8,
        },
    )
    (folder / "lora.yaml").write_text(yaml.safe_dump(settings))
    run("train", folder / "lora.yaml")
    run("caption", *rasters, "-o", folder / "second.gpkg", "--model", folder / "run" / "adapter", *tiles)
    return folder


def test_the_settings_on_the_page_load(tmp_path):
    page = (Path(__file__).parents[2] / "docs/how-to/fine-tune-region.md").read_text()
    (tmp_path / "my-region.yaml").write_text(re.search(r"```yaml\n(.*?)```", page, flags=re.DOTALL)[1])
    settings = load_config(tmp_path / "my-region.yaml")
    assert (settings.recipe.stage, settings.lora.rank, settings.start_from) == (3, 16, "any")


def test_what_was_corrected_is_what_is_trained_on(loop):
    records = [*read_records(loop / "set" / "train.json"), *read_records(loop / "set" / "val.json")]
    assert {record.split for record in records} == {"train", "val"}
    assert {(record.change_flag, *record.change_caption) for record in records} == {
        (1, CORRECTION),
        (0, NO_CHANGE_SENTENCES[0]),
    }
    assert "region_r000000_c000064" not in {record.uid for record in records}


def test_the_new_layer_is_of_the_same_ground_by_the_adapter(loop):
    first, second = read_layer(loop / "first.gpkg"), read_layer(loop / "second.gpkg")
    assert len(second) == len(first) == 16
    assert second["tile_id"].tolist() == first["tile_id"].tolist()
    assert second.geometry.geom_equals(first.geometry).all()
    assert second["status"].eq("ok").all()
    before, after = (layer.attrs["geocc"]["captioner"] for layer in (first, second))
    assert "adapter" in after["name"]
    assert after["fingerprint"] != before["fingerprint"]


def test_the_adapter_changed_what_the_model_makes_of_the_region(loop):
    first, second = read_layer(loop / "first.gpkg"), read_layer(loop / "second.gpkg")
    assert first["change_probability"].tolist() != second["change_probability"].tolist()
    assert load_captioning_checkpoint(str(loop / "run" / "adapter")).revision
