"""What a cold `geocc caption` leaves unimported, and that it is all there for who asks for it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import geocc
from geocc.cli import app
from geocc.model import lean_imports

#: Packages that are slow to import and that no caption needs: torch's compiler, its arithmetic, resizing on tensors, SciPy.
NEVER = {"torch._inductor", "torch._dynamo.convert_frame", "sympy", "torchvision", "scipy", "torch.distributed.tensor"}
#: Packages for arrays that are there already, of which files have no need; and for the layer, which comes after the captions.
LATER = {"xarray", "rioxarray", "dask.array", "geopandas", "pyogrio"}

RUN = """
import json, sys
from geocc.cli import main
from geocc.inference.ccexpert import CCExpertCaptioner
found, plain = {}, CCExpertCaptioner.caption
def caption(self, batch):
    captions = plain(self, batch)
    found.setdefault("at_first_caption", sorted(sys.modules))
    return captions
CCExpertCaptioner.caption = caption
try:
    main()
except SystemExit as leaving:
    found["exit"] = leaving.code
found["at_the_end"] = sorted(sys.modules)
"""
AFTERWARDS = """
import torch
found["compiled"] = torch.compile(lambda x: x + 1, backend="eager")(torch.ones(1)).tolist()
found["compiler"] = hasattr(torch._dynamo, "convert_frame")
found["distributed"] = torch.distributed.is_available()
import scipy, torchvision
found["torchvision"] = hasattr(torchvision, "ops")
"""


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pair")
    return geocc.data.synthetic.make_scene(7, size_px=256).to_geotiffs(folder)


def run_in_a_process_of_its_own(pair, output, code):
    found = output.with_suffix(".json")
    code += f"\nopen({str(found)!r}, 'w').write(json.dumps(found))"
    done = subprocess.run(
        [sys.executable, "-c", code, "caption", *map(str, pair), "--output", str(output), "--quiet"],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parent,
        env=os.environ | {"HF_HUB_OFFLINE": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return json.loads(found.read_text())


def test_a_cold_start_imports_what_captions_need_and_the_rest_on_request(pair, tmp_path):
    output = tmp_path / "changes.gpkg"
    found = run_in_a_process_of_its_own(pair, output, RUN + AFTERWARDS)

    assert found["exit"] == 0
    assert (NEVER | LATER) & set(found["at_first_caption"]) == set()
    assert NEVER & set(found["at_the_end"]) == set()

    assert found["compiled"] == [2.0]
    assert found["compiler"]
    assert found["distributed"]
    assert found["torchvision"]

    whole = geocc.caption_changes(*pair, progress=False)  # in this process, with all that is installed
    lean = geocc.read_layer(output)
    assert list(lean["caption"]) == list(whole["caption"])
    # Seen once on a busy machine: 4e-6 between the two processes, less than half a step of bfloat16 in this tile's logit of 8.
    assert list(lean["change_probability"]) == pytest.approx(list(whole["change_probability"]), abs=1e-5)


def test_only_a_process_of_the_commands_own_is_lean(pair, tmp_path):
    app.register_commands()
    done = CliRunner().invoke(
        app.app, ["caption", *map(str, pair), "--output", str(tmp_path / "changes.gpkg"), "--quiet"]
    )
    assert done.exit_code == 0, done.output
    assert not lean_imports._allowed
    assert not [finder for finder in sys.meta_path if type(finder).__module__ == "geocc.model.compiler_on_demand"]
