"""The documentation's commands and code are run as they stand, with a stub in the place of the model."""

import doctest
import importlib
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rioxarray  # noqa: F401 - registers the accessor
import shapely
import xarray as xr
from affine import Affine
from PIL import Image
from support.captioners import StubCaptioner
from typer.testing import CliRunner

from geocc.cli import app as cli
from geocc.data import Record, write_records

cli.register_commands()

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "docs/how-to").glob("*.md"))]
#: What cannot be run here, and why.
LEFT_OUT = (
    "python3 -m venv",  # sets up this very environment
    "geocc convert",  # needs the authors' weights; tests/model converts a checkpoint of their layout
    "geocc benchmark levir-cc",  # needs LEVIR-CC's images
    "geocc data unpack",  # these three need a public data set; tests/data prepares miniatures of each
    "geocc data prepare",
    "geocc data caption",
    'model="ccexpert-0.5b")',
    "--model ccexpert-0.5b",
)


def blocks(page, language):
    return re.findall(rf"^ *```{language}\n(.*?)^ *```", page.read_text(), flags=re.DOTALL | re.MULTILINE)


def raster(path, *, shift=0.0, bands=4):
    values = np.add.outer(np.arange(300), np.arange(400)) % 251
    array = xr.DataArray(np.stack([values] * bands).astype(np.uint8), dims=("band", "y", "x"))
    grid = Affine(5.0, 0.0, 691_000.0, 0.0, -5.0, 5_211_000.0) @ Affine.translation(shift, 0)
    array.rio.write_transform(grid).rio.write_crs("EPSG:32614").rio.to_raster(path)


def mixture(folder):
    """A mixture of one pair."""
    for name, value in (("before", 40), ("after", 90)):
        Image.fromarray(np.full((32, 32, 3), value, dtype=np.uint8)).save(folder / f"{name}.png")
    pair = Record(
        uid="1", change_flag=1, img1_path="before.png", img2_path="after.png", change_caption=["a house appears"]
    )
    write_records(folder / "pair.json", [pair])
    (folder / "mixture.yaml").write_text("datasets: [{json_path: pair.json}]\n")


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """A folder with the files that the documentation speaks of."""
    import geopandas as gpd

    from geocc.inference import CCExpertCaptioner

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(CCExpertCaptioner, "from_pretrained", lambda *_, **__: StubCaptioner())
    for name, shift in (("T1", 0), ("T2", 0), ("2009", 0), ("2020", 0.3), ("1985", 0)):
        raster(tmp_path / f"{name}.tif", shift=shift)
    district = gpd.GeoSeries([shapely.box(691_100, 5_210_000, 691_900, 5_210_900)], crs="EPSG:32614")
    district.to_file(tmp_path / "district.gpkg")
    mixture(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("workplace")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_code_runs(page):
    namespace = {}
    for block in blocks(page, "python"):
        if any(text in block for text in LEFT_OUT):
            continue
        if "t1" in block and "t1" not in namespace:
            import rioxarray as rxr

            namespace |= {"t1": rxr.open_rasterio("T1.tif"), "t2": rxr.open_rasterio("T2.tif")}
        exec(compile(block, str(page), "exec"), namespace)  # noqa: S102 - our own documentation


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_run(page, workplace):
    for line in "\n".join(blocks(page, "sh")).replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if not words or any(text in line for text in LEFT_OUT):
            continue
        assert words[0] == "geocc", f"{line!r} is not a command of ours: run it here or leave it out with a reason"
        if "2020.tif" in words and "--align" not in words:
            raster(workplace / "2020.tif")
        result = CliRunner().invoke(cli.app, words[1:])
        assert result.exit_code == 0, f"{line}\n{result.output}\n{result.exception!r}"


@pytest.mark.parametrize(
    "module", ["geocc", "geocc.captioning", "geocc.series", "geocc.inference.calibration", "geocc.outlines"]
)
def test_examples_of_docstrings_are_true(module):
    done = doctest.testmod(importlib.import_module(module))
    assert done.attempted > 0
    assert done.failed == 0


def test_the_site_builds_with_its_notebooks(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    page = (tmp_path / "site/tutorials/01_whole_scene/index.html").read_text()
    assert "change_probability" in page
    assert "Traceback" not in page
