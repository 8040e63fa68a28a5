"""Runs that end too early: what is kept, what is done again, and what is refused."""

import errno
import json
import os
import random
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
from geopandas.testing import assert_geodataframe_equal
from support import killable, rasters
from support.captioners import StubCaptioner

import geocc
from geocc.errors import InputError, WriteError
from geocc.journal import differences, flushing, journal_path
from geocc.journal import journal as journal_module


class Stopping(StubCaptioner):
    """Ends the run, as Ctrl-C would, after some tiles."""

    def __init__(self, after):
        super().__init__()
        self.left = after

    def caption(self, batch):
        self.left -= len(batch)
        if self.left < 0:
            raise KeyboardInterrupt
        return super().caption(batch)


@pytest.fixture
def scene():
    return killable.pair(tiles=8, size=16)


@pytest.fixture
def output(tmp_path):
    return tmp_path / "changes.gpkg"


def caption(scene, output, **options):
    given = {"model": StubCaptioner(), "tile_size": 16, "batch_size": 8, "output": output, "progress": False} | options
    return geocc.caption_changes(*scene, **given)


def stop(scene, output, *, after=24, **options):
    with pytest.raises(KeyboardInterrupt):
        caption(scene, output, model=Stopping(after), **options)


def same(one, other):
    assert_geodataframe_equal(one, other)
    assert one.attrs == other.attrs


def test_a_run_that_ends_well_leaves_no_journal(scene, output):
    caption(scene, output)
    assert sorted(path.name for path in output.parent.iterdir()) == ["changes.gpkg"]


@pytest.mark.parametrize("after", [8, 24, 56])
def test_a_resumed_run_does_the_rest_and_ends_as_an_uninterrupted_one(scene, output, after):
    stop(scene, output, after=after)
    rest = StubCaptioner()
    resumed = caption(scene, output, model=rest, resume=True)
    assert len(rest.tiles) == 64 - after
    same(resumed, caption(scene, output))
    assert not journal_path(output).exists()


def test_a_run_stopped_before_its_first_batch_leaves_nothing(scene, output):
    stop(scene, output, after=0)
    assert not list(output.parent.iterdir())


def test_without_a_journal_resume_begins(scene, output):
    same(caption(scene, output, resume=True), caption(scene, output))


def test_a_journal_is_not_overwritten_unasked(scene, output):
    stop(scene, output)
    with pytest.raises(WriteError, match=r"pass resume=True .*--resume.*or?.*delete it: shutil.rmtree"):
        caption(scene, output)
    assert len(caption(scene, output, resume=True)) == 64


def test_resume_without_an_output_is_refused(scene):
    with pytest.raises(InputError, match="pass output="):
        caption(scene, None, resume=True)


def test_parts_can_be_looked_at_while_the_run_goes_on(scene, output):
    seen = []

    class Looking(StubCaptioner):
        def caption(self, batch):
            if len(self.tiles) == 32:
                seen.append(gpd.read_parquet(journal_path(output)))
            return super().caption(batch)

    final = caption(scene, output, model=Looking())
    (part,) = seen
    assert len(part) == 32
    assert part.crs == final.crs
    rows = final.set_index("tile_id").loc[part["tile_id"]]
    assert part["caption"].tolist() == rows["caption"].tolist()
    assert [shape.equals(other) for shape, other in zip(part.geometry, rows.geometry, strict=True)] == [True] * 32


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"stride": 12}, r"plan\.stride: 16 -> 12"),
        ({"min_valid_fraction": 0.25}, r"parameters\.min_valid_fraction: 0\.5 -> 0\.25"),
        ({"scale": (0, 200)}, r"pair\.scale\.hi: \[255\.0, 255\.0, 255\.0\] -> \[200\.0, 200\.0, 200\.0\]"),
        ({"model": "other"}, r'captioner\.fingerprint: "0{16}" -> "1{16}"'),
        ({"scene": "other"}, r"inputs\.t2\.pixels: "),
    ],
)
def test_another_run_does_not_go_on_with_a_journal_and_says_why(scene, output, change, named):
    stop(scene, output)
    change = dict(change)
    if "model" in change:
        change["model"] = StubCaptioner(fingerprint="1" * 16)
    if change.pop("scene", None):
        scene = scene[0], scene[0]
    with pytest.raises(InputError, match=named):
        caption(scene, output, resume=True, **change)
    assert len(list(journal_path(output).glob("part-*"))) == 1


def test_a_file_that_was_changed_in_between_is_named(tmp_path, output):
    grid = rasters.grid(128, 128)
    paths = [rasters.write(tmp_path / name, grid) for name in ("a.tif", "b.tif")]
    stop(paths, output)
    os.utime(paths[1], ns=(0, 0))
    with pytest.raises(InputError, match=r"inputs\.t2\.modified_ns: \d+ -> 0"):
        caption(paths, output, resume=True)


def test_another_batch_size_may_go_on(scene, output):
    stop(scene, output)
    same(caption(scene, output, resume=True, batch_size=3), caption(scene, output))


def test_failed_tiles_are_tried_again(scene, output):
    bad = "r000000_c000016"

    class Unwell(Stopping):
        def caption(self, batch):
            if bad in batch.tile_ids:
                raise RuntimeError("not now")
            return super().caption(batch)

    with pytest.raises(KeyboardInterrupt):
        caption(scene, output, model=Unwell(24))
    mended = StubCaptioner()
    layer = caption(scene, output, model=mended, resume=True)
    assert bad in mended.tiles
    same(layer, caption(scene, output))


def test_a_damaged_part_costs_its_tiles_and_nothing_else(scene, output):
    stop(scene, output)
    stop(scene, output, after=8, resume=True)
    first, second = sorted(journal_path(output).glob("part-*"))
    first.write_bytes(first.read_bytes()[:-9])
    rest = StubCaptioner()
    with pytest.warns(RuntimeWarning, match="damaged and its tiles are captioned again"):
        layer = caption(scene, output, model=rest, resume=True)
    assert len(rest.tiles) == 64 - 8
    same(layer, caption(scene, output))
    assert second.name == "part-000001.parquet"


def test_leftovers_of_a_draft_do_no_harm(scene, output):
    stop(scene, output)
    (journal_path(output) / ".part-000000.parquet").write_bytes(b"half")
    same(caption(scene, output, resume=True), caption(scene, output))
    assert not journal_path(output).exists()


def test_a_journal_that_does_not_say_whose_it_is_is_refused(scene, output):
    stop(scene, output)
    (journal_path(output) / "_run.json").write_text("{")
    with pytest.raises(InputError, match="does not say which run it belongs to"):
        caption(scene, output, resume=True)


def test_two_runs_do_not_share_a_journal(scene, output):
    class Twice(StubCaptioner):
        def caption(self, batch):
            with pytest.raises(WriteError, match="another process works with it"):
                caption(scene, output, resume=True)
            return super().caption(batch)

    caption(scene, output, model=Twice())


def test_something_else_in_the_place_of_the_journal_is_left_alone(scene, output):
    journal_path(output).write_text("mine")
    with pytest.raises(WriteError, match="in the way"):
        caption(scene, output)
    assert journal_path(output).read_text() == "mine"


def full_disk(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_ends_the_run_with_what_was_done_kept(scene, output, monkeypatch):
    written = []
    encoded = journal_module.replace_file

    def replace(path, data, *, flush):
        written.append(path)
        if len(written) == 5:  # the fourth part
            monkeypatch.setattr(Path, "replace", full_disk)
        encoded(path, data, flush=flush)

    monkeypatch.setattr(journal_module, "replace_file", replace)
    with pytest.raises(WriteError, match=r"No space left.*resume=True"):
        caption(scene, output)
    monkeypatch.undo()
    assert not list(journal_path(output).glob(".part*"))
    rest = StubCaptioner()
    same(caption(scene, output, model=rest, resume=True), caption(scene, output))
    assert len(rest.tiles) == 64 - 24


@pytest.mark.skipif(os.name != "posix", reason="flushed at once elsewhere")
def test_a_flush_that_fails_behind_the_run_ends_it(scene, output, monkeypatch):
    class Waiting(StubCaptioner):
        def caption(self, batch):
            if len(self.tiles) == 16:
                wait_until(lambda: failed)
            return super().caption(batch)

    failed = []
    fsync = os.fsync

    def fail(descriptor):
        if threading.current_thread().name == "geocc-flush":
            failed.append(descriptor)
            full_disk()
        fsync(descriptor)

    monkeypatch.setattr(flushing.os, "fsync", fail)
    with pytest.raises(WriteError, match=r"No space left.*resume=True"):
        caption(scene, output, model=Waiting())
    assert len(failed) == 1
    monkeypatch.undo()
    same(caption(scene, output, resume=True), caption(scene, output))


@pytest.mark.skipif(os.name != "posix", reason="flushed at once elsewhere")
def test_what_a_stopped_run_has_done_is_flushed_before_it_ends(scene, output, monkeypatch):
    flushed, fsync = [], os.fsync

    def keep(descriptor):
        flushed.append(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    monkeypatch.setattr(flushing.os, "fsync", keep)
    stop(scene, output)
    (part,) = journal_path(output).glob("part-*")
    assert part.stat().st_ino in flushed
    assert journal_path(output).stat().st_ino == flushed[-1]
    assert not [thread for thread in threading.enumerate() if thread.name == "geocc-flush"]


def wait_until(happened):
    """Wait for another thread."""
    for _ in range(1000):
        if happened():
            return
        time.sleep(0.01)
    pytest.fail("it did not happen")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_told_before_the_work(scene, tmp_path):
    folder = tmp_path / "sealed"
    folder.mkdir(mode=0o500)
    stub = StubCaptioner()
    with pytest.raises(WriteError, match="nothing can be written"):
        caption(scene, folder / "changes.gpkg", model=stub)
    assert not stub.tiles


def test_what_is_in_a_journal_holds_no_secret(scene, output):
    class Leaking(Stopping):
        def caption(self, batch):
            if self.left == 24:
                self.left -= 1
                raise RuntimeError("https://host/a.tif?sig=SECRET is gone")
            return super().caption(batch)

    with pytest.raises(KeyboardInterrupt):
        caption(scene, output, model=Leaking(24), batch_size=1)
    held = b"".join(path.read_bytes() for path in journal_path(output).iterdir())
    assert b"SECRET" not in held


def test_differences_are_told_by_key_and_value():
    old = {"a": {"b": 1, "c": [1]}, "gone": "x", "same": None}
    new = {"a": {"b": 2, "c": [1]}, "new": float(3), "same": None}
    assert differences(old, new) == ["a.b: 1 -> 2", 'gone: "x" -> nothing', "new: nothing -> 3.0"]


def test_a_run_killed_at_any_moment_loses_at_most_a_batch(tmp_path):
    output, log = tmp_path / "changes.gpkg", tmp_path / "log.txt"
    command = [sys.executable, killable.__file__, str(output), str(log), "20", "0.01"]
    clock = random.Random(5)
    for _ in range(4):
        process = subprocess.Popen(command)
        _wait_for_work(process, log)
        time.sleep(clock.uniform(0, 0.1))
        process.kill()
        process.wait()
        json.loads((journal_path(output) / "_run.json").read_text())
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)  # a damaged part would be told
        resumed = killable.run(output, log, tiles=20)
    counts = np.unique(log.read_text().split(), return_counts=True)[1]
    assert len(counts) == 400
    assert (counts - 1).sum() <= 4 * killable.BATCH
    same(resumed, killable.run(tmp_path / "clean.gpkg", tmp_path / "clean.txt", tiles=20, resume=False))


def _wait_for_work(process, log: Path):
    """Wait until the run is past its start."""
    size = log.stat().st_size if log.exists() else 0
    while process.poll() is None and (log.stat().st_size if log.exists() else 0) == size:
        time.sleep(0.005)
