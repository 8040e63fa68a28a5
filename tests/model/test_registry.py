import hashlib

import huggingface_hub
import pytest

from geocc.errors import CheckpointError, ModelNotFoundError
from geocc.model import CCExpertConfig, list_models, registry, resolve_model

NAMES = {entry.id: entry for entry in list_models()}


def test_every_entry_says_what_a_user_must_know():
    assert {"geocc-mini", "ccexpert-0.5b", "ccexpert-7b"} <= NAMES.keys()
    for entry in NAMES.values():
        text = str(entry)
        for word in (entry.id, "licence of the weights", "licence of the data", "input size", "languages", "note"):
            assert word in text
        assert entry.hub_id is None or entry.revision


def test_packaged_models_are_listed_as_the_edition_that_their_card_describes():
    packaged = [entry for entry in NAMES.values() if entry.packaged is not None]
    assert packaged
    for entry in packaged:
        title = (entry.packaged / "README.md").read_text(encoding="utf-8").split("\n# ")[1].splitlines()[0]
        assert title == f"{entry.id}, {entry.revision}"


@pytest.fixture
def packaged(tmp_path, monkeypatch):
    """Packaged weights of our own making, and their digests."""
    folder = tmp_path / "weights" / "geocc-mini"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights")
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  geocc-mini/{path.name}" for path in folder.iterdir()]
    (folder.parent / "SHA256SUMS").write_text("\n".join(lines) + "\n")
    monkeypatch.setattr(registry, "_PACKAGED", folder.parent)
    registry._entries.cache_clear()
    yield folder
    registry._entries.cache_clear()


def test_packaged_weights_are_found_by_name_and_checked(packaged):
    source = resolve_model("geocc-mini")
    assert source.path == packaged
    assert source.entry.sha256["model.safetensors"] == hashlib.sha256(b"weights").hexdigest()
    assert len(source.revision) == 64
    (packaged / "model.safetensors").write_bytes(b"other")
    with pytest.raises(CheckpointError, match=r"expected sha256 [0-9a-f]{64}, found [0-9a-f]{64}") as caught:
        resolve_model("geocc-mini")
    assert hashlib.sha256(b"other").hexdigest() in str(caught.value)


def test_packaged_weights_go_before_a_folder_of_that_name(packaged, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "geocc-mini").mkdir()
    assert resolve_model("geocc-mini").path == packaged
    assert resolve_model("./geocc-mini").path.samefile(tmp_path / "geocc-mini")


@pytest.mark.skipif(NAMES["geocc-mini"].packaged is None, reason="geocc-mini is not in this checkout")
def test_the_weights_in_this_package_are_those_that_were_shipped():
    entry = NAMES["geocc-mini"]
    assert "model.safetensors" in entry.sha256
    assert resolve_model("geocc-mini").path == entry.packaged
    assert CCExpertConfig.from_pretrained(entry.packaged).input_size == entry.input_size


def test_a_folder_goes_before_a_name_that_cannot_be_fetched(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelNotFoundError, match=r"Baidu.*geocc convert"):
        resolve_model("ccexpert-0.5b")
    (tmp_path / "ccexpert-0.5b").mkdir()
    assert resolve_model("ccexpert-0.5b").path.name == "ccexpert-0.5b"


def test_a_path_is_a_path(tmp_path):
    source = resolve_model(tmp_path)
    assert source.path == tmp_path
    assert source.entry is None
    assert source.__fspath__() == str(tmp_path)


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A stand-in for the hub: repositories as folders, and a list of what was asked for."""
    calls = []

    def snapshot_download(repo_id, **settings):
        calls.append((repo_id, settings))
        folder = tmp_path / "hub" / repo_id.replace("/", "--") / "0123abc"
        if not folder.is_dir():
            raise OSError("401 Client Error\nand more")
        return str(folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)

    def add(repo_id, *files):
        folder = tmp_path / "hub" / repo_id.replace("/", "--") / "0123abc"
        folder.mkdir(parents=True)
        for name in files:
            (folder / name).touch()
        return folder

    return add, calls


def test_a_hub_id_works_wherever_a_name_does(hub):
    add, calls = hub
    folder = add("someone/some-model", "model.safetensors")
    source = resolve_model("someone/some-model", revision="v1", local_files_only=True)
    assert source.path == folder
    assert source.revision == "0123abc"
    ((_, settings),) = calls
    assert settings["revision"] == "v1"
    assert settings["local_files_only"]
    assert not any("bin" in pattern or pattern in ("*", "*.py", "*.pt") for pattern in settings["allow_patterns"])


def test_pickles_are_fetched_only_where_there_is_nothing_else(hub):
    add, calls = hub
    add("someone/old-model", "pytorch_model.bin")
    resolve_model("someone/old-model")
    assert ["pytorch_model*.bin" in settings["allow_patterns"] for _, settings in calls] == [False, True]


def test_a_base_is_fetched_under_its_name(hub):
    add, calls = hub
    add("lmms-lab/llava-onevision-qwen2-0.5b-ov", "model.safetensors")
    source = resolve_model("llava-onevision-qwen2-0.5b-ov")
    assert source.entry.id == source.name == "llava-onevision-qwen2-0.5b-ov"
    assert calls[0][1]["revision"] == "main"


@pytest.mark.usefixtures("hub")
@pytest.mark.parametrize("name", ["nothing", "no/such/thing", "someone/unknown"])
def test_what_is_nowhere_lists_what_there_is_and_what_was_tried(name):
    with pytest.raises(ModelNotFoundError) as caught:
        resolve_model(name)
    message = str(caught.value)
    assert "geocc-mini" in message
    assert "Tried: a folder or file" in message
    assert ("the hub repository someone/unknown (OSError: 401 Client Error)" in message) == (name == "someone/unknown")
