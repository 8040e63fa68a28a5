"""What the project promises of itself: style, types, light imports, no trust where none is due."""

import ast
import importlib
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

import geocc

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "geocc").rglob("*.py"))
PACKAGES = sorted(".".join(path.parent.relative_to(ROOT).parts) for path in SOURCES if path.name == "__init__.py")
#: Imported only where they are there, with a word on what is missing where they are not.
OPTIONAL = {"bitsandbytes", "dask_cuda", "wandb", "tensorboard"}
#: What a Dask client sends its workers is pickled, as all tasks of Dask are; nothing of it comes from a file.
PICKLED_TASKS = ROOT / "geocc/inference/dask_executor"


def run(*command):
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_style():
    run(sys.executable, "-m", "ruff", "check", ".")
    run(sys.executable, "-m", "ruff", "format", "--check", ".")


def test_types():
    run(sys.executable, "-m", "mypy")


def test_importing_geocc_is_light():
    heavy = "torch", "rasterio", "transformers", "xarray", "geopandas", "matplotlib"
    run(sys.executable, "-c", f"import geocc, sys; assert not set({heavy!r}) & set(sys.modules)")


@pytest.mark.parametrize("package", ["model", "training", "evaluation", "inference"])
def test_the_neural_half_needs_no_geospatial_package(package):
    if not (ROOT / "geocc" / package).exists():
        pytest.skip(f"there is no geocc.{package} yet")
    refuse = """
import importlib, sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"rasterio", "rioxarray", "geopandas", "torchgeo", "odc", "pyogrio"}:
            raise ImportError(f"{name} must not be needed here")
sys.meta_path.insert(0, Refuse())
package = importlib.import_module(sys.argv[1])
skipped = {"caption_batches", "caption_tiles", "evaluate_layer"}
for name in package.__all__:
    name in skipped or getattr(package, name)
"""
    run(sys.executable, "-c", refuse, f"geocc.{package}")


def test_the_geospatial_half_needs_no_torch():
    for package in ("table", "views"):
        code = (
            f"import geocc.{package} as p, sys; [getattr(p, n) for n in p.__all__]; assert 'torch' not in sys.modules"
        )
        run(sys.executable, "-c", code)


@pytest.mark.parametrize("package", PACKAGES)
def test_public_names_are_there(package):
    module = importlib.import_module(package)  # ruff sees to it that they are sorted
    assert [name for name in getattr(module, "__all__", []) if not hasattr(module, name)] == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_is_too_long_to_read_in_one_sitting(path):
    assert len(path.read_text().splitlines()) <= 600


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_is_loaded_that_could_run_code(path):
    """A gate on the syntax tree: text would be fooled by a line break."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call):
            continue
        keywords = {keyword.arg: getattr(keyword.value, "value", None) for keyword in node.keywords}
        assert keywords.get("trust_remote_code") is not True
        called = ast.unparse(node.func)
        if called == "torch.load":
            assert keywords.get("weights_only") is True
        assert called.split(".")[0] not in {"pickle", "dill", "joblib", "cloudpickle"} or path.parent == PICKLED_TASKS
        assert called not in {"eval", "exec"}


def test_the_ci_runs_the_command_of_the_readme():
    readme = (ROOT / "README.md").read_text()
    command = re.search(r"<!-- test command -->\n```sh\n(.+)\n```", readme)
    assert command is not None
    assert "pytest" in command[1]
    assert "<!-- test command -->" in (ROOT / ".ci/run").read_text()


def test_the_version_is_the_same_everywhere():
    assert f"version: {geocc.__version__}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"## {geocc.__version__} " in (ROOT / "CHANGELOG.md").read_text()


def test_every_package_that_is_imported_is_declared():
    """A package that another one happens to bring is missing on somebody else's machine."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = {re.split(r"[<>=\[ ]", requirement)[0].lower() for requirement in project["dependencies"]}
    providers = metadata.packages_distributions()
    imported = {}
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module]
            imported |= {name.split(".")[0]: path.name for name in names}
    known = set(sys.stdlib_module_names) | {"geocc"} | OPTIONAL
    undeclared = {
        name: path
        for name, path in imported.items()
        if name not in known
        and not declared & {provider.lower().replace("_", "-") for provider in providers.get(name, [name])}
    }
    assert undeclared == {}
