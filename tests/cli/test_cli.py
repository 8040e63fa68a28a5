"""The command line as a person or a pipeline meets it."""

import subprocess
import sys

import geopandas as gpd
import numpy as np
import pytest
import rioxarray  # noqa: F401 - registers the accessor
import xarray as xr
from affine import Affine
from support.captioners import StubCaptioner
from typer.testing import CliRunner

from geocc.cli import app as cli
from geocc.errors import AlignmentError, BandError, InputError, ReadError, WriteError

GRID = Affine(2.0, 0.0, 600_000.0, 0.0, -2.0, 5_200_000.0)


cli.register_commands()


def run(*arguments):
    return CliRunner().invoke(cli.app, [str(argument) for argument in arguments], catch_exceptions=True)


@pytest.fixture
def rasters(tmp_path):
    """Two rasters on one grid, and a third that lies half a pixel beside it."""
    paths = {}
    for name, value, shift in (("t1", 100, 0), ("t2", 150, 0), ("moved", 150, 0.5)):
        array = xr.DataArray(np.full((3, 128, 192), value, dtype=np.uint8), dims=("band", "y", "x"))
        array = array.rio.write_transform(GRID @ Affine.translation(shift, 0)).rio.write_crs("EPSG:32614")
        paths[name] = tmp_path / f"{name}.tif"
        array.rio.to_raster(paths[name])
    return paths


@pytest.fixture
def stub(monkeypatch):
    """A stub in the place of whatever model is named, and what it was asked for with."""
    from geocc.inference import CCExpertCaptioner

    made = StubCaptioner()
    made.asked = {}

    def from_pretrained(model, **options):
        made.asked = {"model": model} | options
        return made

    monkeypatch.setattr(CCExpertCaptioner, "from_pretrained", from_pretrained)
    return made


def test_caption_writes_a_layer_and_says_so(rasters, stub, tmp_path):
    output = tmp_path / "changes.gpkg"
    result = run("caption", rasters["t1"], rasters["t2"], "-o", output, "--tile-size", 64)
    assert result.exit_code == 0, result.output
    assert result.stdout == f"6 tiles: 6 changed. Written to {output}.\n"
    assert len(gpd.read_file(output, layer="change_captions")) == 6
    assert stub.asked["model"] == "geocc-mini"


def test_every_option_reaches_the_function(rasters, stub, tmp_path):
    result = run(
        *("caption", rasters["t1"], rasters["moved"], "-o", tmp_path / "c.parquet", "--tile-size", 64, "--stride", 32),
        *("--align", "t1", "--resampling", "nearest", "--bands", "3,2,1", "--scale", "0,200", "--nodata", 7),
        *("--roi", "600000,5199900,600100,5200000", "--min-valid-fraction", 0.9, "--model", "somewhere"),
        *("--prompt", "What? <image> <image>", "--max-new-tokens", 9, "--batch-size", 2, "--device", "cpu"),
        *("--dtype", "float32", "--skip-unchanged", 0.2, "--on-error", "raise", "--quiet"),
    )
    assert result.exit_code == 0, result.output
    assert result.output == ""
    assert stub.asked == {
        "model": "somewhere",
        "prompt": "What? <image> <image>",
        "max_new_tokens": 9,
        "device": "cpu",
        "dtype": "float32",
        "skip_unchanged": 0.2,
    }
    told = gpd.read_parquet(tmp_path / "c.parquet")
    assert set(stub.seen) <= {1, 2}
    assert told["col"].max() < 64


def test_tiles_that_fail_have_their_own_exit_code(rasters, stub, tmp_path):
    stub.fail_on = "r000000_c000064"
    result = run("caption", rasters["t1"], rasters["t2"], "-o", tmp_path / "c.gpkg", "--tile-size", 64)
    assert result.exit_code == cli.EXIT_SOME_TILES_FAILED
    assert "1 failed. The first failure, tile r000000_c000064: RuntimeError: the stub dislikes" in result.stdout


def test_plan_shows_the_tiles_and_writes_their_footprints(rasters, tmp_path):
    result = run("plan", rasters["t1"], rasters["t2"], "--tile-size", 64, "-o", tmp_path / "plan.gpkg")
    assert result.exit_code == 0, result.output
    assert "tiles" in result.stdout
    footprints = gpd.read_file(tmp_path / "plan.gpkg")
    assert len(footprints) == 6
    assert footprints.crs == "EPSG:32614"


def test_info_names_versions_and_devices():
    result = run("info")
    assert result.exit_code == 0, result.output
    assert {"geocc", "torch", "device", "dtype"} <= {line.split()[0] for line in result.stdout.splitlines()}


def test_models_lists_what_is_known_by_name():
    result = run("models")
    assert result.exit_code == 0, result.output
    assert "geocc-mini" in result.stdout
    assert "ccexpert-7b" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (["--bands", "1,2"], BandError, "--bands is '1,2'; expected three names"),
        (["--bands-t2", "1,2,3"], BandError, "without --bands"),
        (["--scale", "wide"], InputError, "--scale is 'wide'"),
        (["--batch-size", "many"], InputError, "--batch-size is 'many'"),
        (["--roi", "here.txt"], InputError, "--roi is 'here.txt'"),
        (["--roi", "1,2,0,4"], InputError, "xmin < xmax"),
        (["--roi", "nothing.gpkg"], ReadError, "nothing.gpkg cannot be read"),
        (["--report", "nowhere/report.html"], WriteError, "mkdir -p nowhere"),
        (["--align", "sideways"], InputError, "sideways"),
    ],
)
def test_bad_options_are_named(rasters, tmp_path, arguments, error, message):
    result = run("caption", rasters["t1"], rasters["t2"], "-o", tmp_path / "c.gpkg", *arguments)
    assert isinstance(result.exception, error)
    assert message in str(result.exception)
    assert not (tmp_path / "c.gpkg").exists()


def test_grids_that_differ_are_an_error_with_the_remedy(rasters, tmp_path):
    result = run("caption", rasters["t1"], rasters["moved"], "-o", tmp_path / "c.gpkg")
    assert isinstance(result.exception, AlignmentError)
    assert "--align t1" in str(result.exception)


@pytest.mark.usefixtures("stub")
def test_report_and_figure_are_written_beside_the_layer(rasters, tmp_path):
    result = run(
        *("caption", rasters["t1"], rasters["t2"], "-o", tmp_path / "c.gpkg", "--tile-size", 64),
        *("--report", tmp_path / "r.html", "--figure", tmp_path / "f.png"),
    )
    assert result.exit_code == 0, result.output
    assert "100.000 became 150.000" in (tmp_path / "r.html").read_text()
    assert (tmp_path / "f.png").read_bytes().startswith(b"\x89PNG")


def command(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "geocc", *map(str, arguments)], capture_output=True, text=True, check=False
    )


def test_an_error_is_a_sentence_not_a_traceback(rasters, tmp_path):
    done = command("caption", rasters["t1"], rasters["moved"], "-o", tmp_path / "c.gpkg")
    assert done.returncode == cli.EXIT_INPUT
    assert done.stderr.startswith("Error: The two dates are not on one grid")
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_missing_file_has_another_exit_code(rasters, tmp_path):
    done = command("caption", tmp_path / "none.tif", rasters["t2"], "-o", tmp_path / "c.gpkg")
    assert done.returncode == cli.EXIT_FAILED
    assert "none.tif" in done.stderr


def test_the_demo_leaves_all_that_it_says(tmp_path):
    done = run("demo", tmp_path / "demo", "--size", 512)
    assert done.exit_code == 0, done.output
    left = {path.name for path in (tmp_path / "demo").iterdir()}
    assert left == {"t1.tif", "t2.tif", "changes.gpkg", "outlines.gpkg", "changes.png", "report.html"}
    assert len(gpd.read_file(tmp_path / "demo/changes.gpkg")) == 4
    assert "outlined" in gpd.read_file(tmp_path / "demo/outlines.gpkg").columns
    again = [line.split() for line in done.output.replace("again", "").splitlines() if line.split()[:1] == ["geocc"]]
    assert [words[1] for words in again] == ["caption", "outline"]


def test_without_a_command_there_is_help():
    done = command("--help")
    assert done.returncode == 0
    assert "demo" in done.stdout


def test_the_version_is_told():
    import geocc

    assert run("--version").stdout == f"{geocc.__version__}\n"
