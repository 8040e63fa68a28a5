from __future__ import annotations

import os
import resource
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import geopandas as gpd
import pyogrio
import pytest
from table.standins import make_layer, make_plan

from geocc.errors import InputError, WriteError
from geocc.table import check_writable, read_layer, write_layer
from geocc.table.formats import FORMATS

SUFFIXES = sorted(FORMATS)


def files_in(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_nothing_is_left_but_the_file(layer, tmp_path, suffix):
    path = tmp_path / f"changes{suffix}"
    for _ in range(2):
        assert write_layer(layer, str(path)) == path
    assert files_in(tmp_path) == sorted([path.name] + ["changes.metadata.json"] * (suffix == ".csv"))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_suffix_may_be_in_capitals(layer, tmp_path, suffix):
    path = write_layer(layer, tmp_path / f"CHANGES{suffix.upper()}")
    assert len(read_layer(path)) == len(layer)


@pytest.mark.parametrize("interruption", [OSError("disk full"), KeyboardInterrupt(), RuntimeError("GDAL")])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_interrupted_writer_leaves_the_previous_file(layer, tmp_path, monkeypatch, suffix, interruption):
    path = write_layer(layer[:2], tmp_path / f"changes{suffix}")
    before = {name: (tmp_path / name).read_bytes() for name in files_in(tmp_path)}
    form = FORMATS[suffix]

    def broken(gdf, path, /, **options):
        form.write(gdf, path, **options)
        path.write_bytes(path.read_bytes()[:100])
        raise interruption

    monkeypatch.setitem(FORMATS, suffix, type(form)(form.name, broken, form.read, form.companion))
    with pytest.raises(KeyboardInterrupt if isinstance(interruption, KeyboardInterrupt) else WriteError):
        write_layer(layer, path)
    assert {name: (tmp_path / name).read_bytes() for name in files_in(tmp_path)} == before


@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_failed_move_leaves_the_previous_file(layer, tmp_path, monkeypatch, suffix, step):
    path = write_layer(layer[:2], tmp_path / f"changes{suffix}")
    before = {name: (tmp_path / name).read_bytes() for name in files_in(tmp_path)}
    move = Path.replace

    def refuse(*_):
        raise OSError(28, "No space left on device")

    if step == "fsync":
        monkeypatch.setattr(os, "fsync", refuse)
    else:
        monkeypatch.setattr(
            Path, "replace", lambda draft, target: refuse() if draft.name == path.name else move(draft, target)
        )
    with pytest.raises(WriteError, match="what was there is as it was"):
        write_layer(layer, path)
    assert {name: (tmp_path / name).read_bytes() for name in files_in(tmp_path)} == before


def test_a_failed_move_of_a_first_csv_leaves_nothing(layer, tmp_path, monkeypatch):
    move = Path.replace

    def refuse(draft, target):
        if draft.suffix == ".csv":
            raise PermissionError(13, "locked")
        return move(draft, target)

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(WriteError):
        write_layer(layer, tmp_path / "changes.csv")
    assert files_in(tmp_path) == []


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason="needs a limit on the size of files")
@pytest.mark.parametrize("suffix", [suffix for suffix in SUFFIXES if suffix not in {".geoparquet", ".json"}])
def test_a_disk_that_fills_up_leaves_the_previous_file(tmp_path, suffix):
    path = write_layer(make_layer(), tmp_path / f"changes{suffix}")
    before = path.read_bytes()
    code = f"""
import resource, signal
from geocc.errors import InputError, WriteError
from geocc.table import write_layer
from table.standins import make_layer, make_plan
layer = make_layer(make_plan(60, 60))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    write_layer(layer, {str(path)!r})
except WriteError:
    print("refused")
"""
    ended = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, env=_environment()
    )
    assert ended.stdout == "refused\n", ended.stderr
    assert path.read_bytes() == before
    assert not [name for name in files_in(tmp_path) if name.startswith(".")]


def test_a_killed_writer_leaves_the_previous_file(tmp_path):
    path = write_layer(make_layer(), tmp_path / "changes.gpkg")
    before = path.read_bytes()
    code = f"""
import os, signal
os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)
from geocc.table import write_layer
from table.standins import make_layer
write_layer(make_layer(), {str(path)!r})
"""
    ended = subprocess.run([sys.executable, "-c", code], check=False, env=_environment())
    assert ended.returncode == -signal.SIGKILL
    assert path.read_bytes() == before
    assert len(read_layer(path)) == 6


def _environment():
    return os.environ | {
        "PYTHONPATH": os.pathsep.join(map(str, [Path(__file__).parents[1], Path(__file__).parents[2]]))
    }


@pytest.mark.parametrize("name", ["changes.shp", "changes.xlsx", "changes", "changes.gpkg.zip"])
def test_an_unknown_suffix_is_refused_with_those_known(layer, tmp_path, name):
    with pytest.raises(WriteError, match=r"\.gpkg \(GeoPackage\), .*\.csv \(CSV\)"):
        write_layer(layer, tmp_path / name)
    with pytest.raises(WriteError):
        check_writable(tmp_path / name)


def test_a_shapefile_is_refused_with_the_reason(layer, tmp_path):
    with pytest.raises(WriteError, match="254 bytes"):
        write_layer(layer, tmp_path / "changes.shp")


def test_a_missing_folder_is_refused(layer, tmp_path):
    for attempt in (check_writable, lambda path: write_layer(layer, path)):
        with pytest.raises(WriteError, match=r"there is no folder .*mkdir"):
            attempt(tmp_path / "missing" / "changes.gpkg")


def test_a_folder_in_which_nothing_can_be_made_is_refused():
    with pytest.raises(WriteError, match="nothing can be written in the folder /proc"):
        check_writable("/proc/changes.gpkg")


def test_a_folder_under_the_name_is_refused(tmp_path):
    (tmp_path / "changes.gpkg").mkdir()
    with pytest.raises(WriteError, match="is a folder"):
        check_writable(tmp_path / "changes.gpkg")


def test_a_full_disk_is_refused_before_the_work(tmp_path):
    check_writable(tmp_path / "changes.gpkg", rows=1000)
    with pytest.raises(WriteError, match="bytes free"):
        check_writable(tmp_path / "changes.gpkg", rows=10**15)


def test_a_write_protected_file_is_refused(layer, tmp_path, monkeypatch):
    path = write_layer(layer, tmp_path / "changes.gpkg")
    # Stands in for chmod, which means nothing to a root user.
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(WriteError, match="write-protected"):
        check_writable(path)


def test_overwriting_can_be_forbidden(layer, tmp_path):
    path = write_layer(layer, tmp_path / "changes.gpkg", overwrite=False)
    with pytest.raises(WriteError, match="overwrite=True"):
        write_layer(layer, path, overwrite=False)


def test_checking_leaves_no_trace(tmp_path):
    check_writable(tmp_path / "changes.gpkg")
    assert files_in(tmp_path) == []


def test_a_link_is_followed(layer, tmp_path):
    (tmp_path / "there").mkdir()
    link = tmp_path / "changes.gpkg"
    link.symlink_to(tmp_path / "there" / "real.gpkg")
    write_layer(layer, link)
    assert link.is_symlink()
    assert len(read_layer(tmp_path / "there" / "real.gpkg")) == len(layer)


def test_a_linked_csv_has_its_metadata_beside_the_file(layer, tmp_path):
    (tmp_path / "there").mkdir()
    link = tmp_path / "changes.csv"
    link.symlink_to(tmp_path / "there" / "real.csv")
    write_layer(layer, link)
    assert files_in(tmp_path / "there") == ["real.csv", "real.metadata.json"]
    assert read_layer(link).attrs == layer.attrs


def test_a_geopackage_with_other_layers_is_not_lost(layer, tmp_path):
    path = tmp_path / "project.gpkg"
    gpd.GeoDataFrame({"a": [1]}, geometry=layer.geometry[:1]).to_file(path, layer="fields")
    before = path.read_bytes()
    for attempt in (check_writable, lambda path: write_layer(layer, path)):
        with pytest.raises(WriteError, match=r"other layers too \(fields\)"):
            attempt(path)
    assert path.read_bytes() == before


def test_a_geopackage_open_elsewhere_is_not_spoilt(layer, tmp_path):
    path = write_layer(layer, tmp_path / "changes.gpkg")
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE note (x)")
    try:
        with pytest.raises(WriteError, match="open in another program"):
            check_writable(path)
    finally:
        connection.close()


def test_a_file_that_only_claims_to_be_a_geopackage_is_replaced(layer, tmp_path):
    path = tmp_path / "changes.gpkg"
    path.write_text("half a file")
    write_layer(layer, path)
    assert len(read_layer(path)) == len(layer)


def test_rewriting_leaves_one_layer(layer, tmp_path):
    path = write_layer(layer, tmp_path / "changes.gpkg")
    write_layer(layer[:2], path)
    assert [name for name, _ in pyogrio.list_layers(path)] == ["change_captions"]
    assert len(gpd.read_file(path)) == 2


def test_a_caption_no_file_can_hold_is_refused_before_writing(layer, tmp_path):
    spoilt = layer.assign(caption=layer.caption + "\x00")
    with pytest.raises(InputError, match="clean_caption"):
        write_layer(spoilt, tmp_path / "changes.gpkg")
    assert files_in(tmp_path) == []


def test_twenty_thousand_rows_are_no_trouble(tmp_path):
    layer = make_layer(make_plan(100, 200))
    for suffix in (".gpkg", ".parquet", ".fgb", ".csv"):
        assert len(read_layer(write_layer(layer, tmp_path / f"changes{suffix}"))) == 20_000
