"""The same layer from a cluster of separate processes, whatever happens to them."""

import os
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import psutil
import pytest
from distributed import Client, LocalCluster
from support import rasters, tiny_ccexpert
from support.captioners import StubCaptioner
from support.deadly import DeadlyStub, count_loads
from typer.testing import CliRunner

import geocc
from geocc.cli import app as cli
from geocc.errors import CaptionError, ClusterError, InputError, ModelNotFoundError
from geocc.inference import DaskExecutor
from geocc.journal import journal_path

SIZE, SIDE = 16, 8
ROUNDED = ["change_probability", "confidence"]
# On a busy machine workers that were killed take longer to come back than a user is left without a word.
may_be_slow_to_return = pytest.mark.filterwarnings("ignore:the Dask cluster has no workers:RuntimeWarning")
NAMES = [f"r{row * SIZE:06d}_c{col * SIZE:06d}" for row in range(SIDE) for col in range(SIDE)]


def start_cluster():
    return LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=True,
        dashboard_address=None,
        memory_limit=0,
        silence_logs="CRITICAL",
        scheduler_kwargs={"allowed_failures": 1, "dashboard_address": "127.0.0.1:0"},
    )


@pytest.fixture(scope="module")
def client():
    with start_cluster() as cluster, Client(cluster, set_as_default=False) as client:
        yield client


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    """Two dates as files, each tile of its own grey."""
    folder = tmp_path_factory.mktemp("scene")
    greys = np.kron(np.arange(SIDE * SIDE).reshape(SIDE, SIDE), np.ones((SIZE, SIZE), int)).astype(np.uint8)
    after = np.where(greys % 3 == 0, 255 - greys, greys).astype(np.uint8)
    grid = rasters.grid(SIDE * SIZE, SIDE * SIZE)
    return [rasters.write(folder / f"{i}.tif", grid, np.stack([date] * 3)) for i, date in enumerate((greys, after))]


def caption(dates, executor=None, **options):
    given = {"model": StubCaptioner(), "tile_size": SIZE, "batch_size": 4, "progress": False} | options
    return geocc.caption_changes(*dates, executor=executor, **given)


def small_parts(client):
    return DaskExecutor(client, tiles_per_task=8)


def test_the_layer_is_that_of_one_process(client, paths):
    calls = []
    layer = caption(paths, client, progress=lambda done, total: calls.append((done, total)))
    assert layer.equals(caption(paths))
    assert calls == [(done, 64) for done in range(1, 65)]


def test_lazy_arrays_are_computed_on_the_workers(client, paths):
    import rioxarray

    dates = [rioxarray.open_rasterio(path, chunks={"y": 32}) for path in paths]
    try:
        assert caption(dates, client).equals(caption(dates))
    finally:
        for date in dates:
            date.close()


def test_a_series_is_captioned_pair_by_pair(client, paths):
    options = {"dates": ["2009", "2010", "2020"], "model": StubCaptioner(), "tile_size": SIZE, "progress": False}
    three = [*paths, paths[0]]
    assert geocc.caption_series(three, executor=client, **options).equals(geocc.caption_series(three, **options))


@may_be_slow_to_return
@pytest.mark.parametrize("how", ["kill", "segfault", "exit"])
def test_a_worker_that_dies_costs_no_tile(client, paths, tmp_path, how):
    victim = random.choice(NAMES)
    stub = DeadlyStub(dies_on=victim, how=how, once=str(tmp_path / "died"))
    assert caption(paths, small_parts(client), model=stub).equals(caption(paths)), victim
    assert (tmp_path / "died").exists()


@may_be_slow_to_return
def test_a_tile_that_kills_every_worker_fails_alone(client, paths):
    layer = caption(paths, small_parts(client), model=DeadlyStub(dies_on=NAMES[21])).set_index("tile_id")
    clean = caption(paths).set_index("tile_id")
    assert layer.loc[NAMES[21], "status"] == "failed"
    assert layer.loc[NAMES[21], "error"] == "every worker that was given this tile died of it"
    assert layer.drop(NAMES[21]).equals(clean.drop(NAMES[21]))


def test_errors_of_the_workers_are_those_of_this_process(client, paths):
    with pytest.raises(CaptionError, match=f"the stub dislikes {NAMES[5]}"):
        caption(paths, small_parts(client), model=StubCaptioner(fail_on=NAMES[5]), on_error="raise")
    with pytest.raises(ModelNotFoundError, match="no-such-model"):
        caption(paths, client, model="no-such-model")
    layer = caption(paths, client, model=StubCaptioner(fail_on=NAMES[5]))
    assert layer.loc[layer["status"] == "failed", "tile_id"].tolist() == [NAMES[5]]


def test_memory_that_runs_out_on_a_worker_shrinks_the_batch(client, paths):
    assert caption(paths, client, model=StubCaptioner(largest_batch=3), batch_size=16).equals(caption(paths))


@pytest.fixture(scope="module")
def saved_model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    for part in tiny_ccexpert.make():
        part.save_pretrained(folder)
    return str(folder)


def test_a_model_by_name_is_loaded_once_per_worker(client, paths, saved_model, tmp_path):
    (tmp_path / "loads").mkdir()
    client.run(count_loads, str(tmp_path / "loads"))
    options = {"model": saved_model, "max_new_tokens": 2, "device": "cpu", "dtype": "float32"}
    layer = caption(paths, DaskExecutor(client, tiles_per_task=4), **options)
    processes = Counter(path.name.split("-")[0] for path in (tmp_path / "loads").iterdir())
    assert set(processes.values()) == {1}
    assert layer["status"].eq("ok").all()


@pytest.mark.slow
@pytest.mark.parametrize("where", ["a scheduler", "local"])
def test_the_command_line_captions_on_a_cluster(client, paths, saved_model, tmp_path, where):
    dask = ["--dask", client.scheduler.address] if where == "a scheduler" else ["--dask", "local", "--workers", "1"]
    options = [
        "--model",
        saved_model,
        "--tile-size",
        SIZE,
        "--max-new-tokens",
        2,
        "--device",
        "cpu",
        "--dtype",
        "float32",
    ]
    cli.register_commands()
    for name, cluster in (("cluster", dask), ("alone", [])):
        command = ["caption", *paths, "-o", tmp_path / f"{name}.parquet", *options, *cluster]
        done = CliRunner().invoke(cli.app, [str(argument) for argument in command])
        assert done.exit_code == 0, done.output
    layer, alone = (geocc.read_layer(tmp_path / f"{name}.parquet") for name in ("cluster", "alone"))
    assert len(layer) == 64
    assert layer.drop(columns=ROUNDED).equals(alone.drop(columns=ROUNDED))
    for name in ROUNDED:  # batches of another make-up
        np.testing.assert_allclose(layer[name], alone[name], rtol=1e-4)


@pytest.mark.slow
def test_a_cluster_that_adapts_grows_for_the_run(paths):
    with LocalCluster(
        n_workers=0, threads_per_worker=1, dashboard_address=None, memory_limit=0, silence_logs="CRITICAL",
        scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
    ) as cluster:  # fmt: skip
        cluster.adapt(minimum=1, maximum=2, interval="100ms")
        slow = DeadlyStub(seconds=0.1)
        layer = caption(paths, DaskExecutor(cluster, tiles_per_task=4), model=slow)
    assert layer.equals(caption(paths))


def test_what_is_too_large_to_be_sent_is_refused(client):
    date = rasters.scene(rasters.grid(2000, 2000), np.zeros((3, 2000, 2000), np.uint8))
    with pytest.raises(InputError, match=r"the scene would be sent .* as 24 MB.*to_raster"):
        caption([date, date], client)
    with pytest.raises(InputError, match=r"the captioner .* as \d+ MB.*each worker loads it once"):
        caption([date, date], client, model=StubCaptioner(name="x" * 20_000_000))
    with pytest.raises(InputError, match=r"the captioner .* cannot be sent"):
        caption([date, date], client, model=StubCaptioner(seen=(i for i in range(3))))


@pytest.mark.parametrize("executor", ["lokal", 7])
def test_what_is_no_cluster_is_refused(paths, executor):
    with pytest.raises(InputError, match="expected None, which runs in this process"):
        caption(paths, executor)


def test_an_address_where_nobody_listens_is_told(paths):
    import dask

    with (
        dask.config.set({"distributed.comm.timeouts.connect": "1s"}),
        pytest.raises(ClusterError, match=r"127\.0\.0\.1:9"),
    ):
        caption(paths, "tcp://127.0.0.1:9")


def test_a_cut_connection_ends_the_run_and_another_cluster_goes_on(client, paths, tmp_path):
    output = tmp_path / "changes.parquet"
    slow = DeadlyStub(seconds=0.1)

    def cut(done, _total):
        if done == 16:
            other.loop.add_callback(other.scheduler_comm.comm.abort)

    with (
        Client(client.scheduler.address, set_as_default=False) as other,
        pytest.raises(ClusterError, match="resume=True"),
    ):
        caption(paths, DaskExecutor(other, tiles_per_task=8), model=slow, output=output, progress=cut)
    assert journal_path(output).is_dir()
    with DaskExecutor(client.scheduler.address) as executor:
        assert caption(paths, executor, model=slow, output=output, resume=True).equals(caption(paths))
    assert not journal_path(output).exists()


def test_a_scheduler_that_restarts_ends_the_run_and_a_new_one_goes_on(client, paths, tmp_path):
    output = tmp_path / "changes.parquet"
    slow = DeadlyStub(seconds=0.1)

    def restart(done, _total):
        if done == 16:
            other.restart(wait_for_workers=False)

    # A cluster of its own: whether its workers come back is Dask's affair, and no other test's.
    with (
        start_cluster() as cluster,
        Client(cluster, set_as_default=False) as other,
        pytest.raises(ClusterError, match="resume=True"),
    ):
        caption(paths, small_parts(other), model=slow, output=output, progress=restart)
    assert caption(paths, client, model=slow, output=output, resume=True).equals(caption(paths))


def test_leaving_the_run_leaves_nothing_on_the_cluster(client, paths):
    def leave(_done, _total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        caption(paths, small_parts(client), model=DeadlyStub(seconds=0.2), progress=leave)
    for _ in range(100):  # the client lets go in the background
        if not client.run_on_scheduler(held):
            return
        time.sleep(0.1)
    pytest.fail(f"{client.run_on_scheduler(held)} tasks are still wanted")


def held(dask_scheduler):
    """How many tasks a scheduler still has for its clients."""
    return sum(len(state.wants_what) for state in dask_scheduler.clients.values())


CHILD = """
import sys
sys.path.insert(0, sys.argv[1])
from support.deadly import DeadlyStub
import geocc

if __name__ == "__main__":
    geocc.caption_changes(
        *sys.argv[2:4], model=DeadlyStub(seconds=0.1), tile_size=16, batch_size=4, output=sys.argv[4],
        executor="local", progress=lambda done, total: print(done, flush=True),
    )
"""


@pytest.mark.slow
def test_a_killed_client_takes_its_workers_along_and_another_cluster_goes_on(client, paths, tmp_path):
    output, script = tmp_path / "changes.parquet", tmp_path / "child.py"
    script.write_text(CHILD)
    command = [sys.executable, str(script), str(Path(__file__).parents[1]), *paths, str(output)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ) as child:
        assert child.stdout.readline() == "1\n"
        family = psutil.Process(child.pid).children(recursive=True)
        child.kill()
    assert len(family) >= 2
    assert psutil.wait_procs(family, timeout=30)[1] == []
    assert caption(paths, client, model=DeadlyStub(), output=output, resume=True).equals(caption(paths))
