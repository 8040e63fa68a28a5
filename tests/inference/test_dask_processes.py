"""A scheduler and a worker as processes of their own, as on a real cluster: what a client sees when the scheduler is killed."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from support import rasters
from support.deadly import DeadlyStub

import geocc
from geocc.errors import ClusterError
from geocc.journal import journal_path

SIZE = 16
ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": str(Path(__file__).parents[1]),
    "DASK_DISTRIBUTED__WORKER__LIFETIME__DURATION": "2 minutes",  # should the test itself be killed
}


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scene")
    greys = np.kron(np.arange(64).reshape(8, 8), np.ones((SIZE, SIZE), int)).astype(np.uint8)
    grid = rasters.grid(8 * SIZE, 8 * SIZE)
    return [
        rasters.write(folder / f"{i}.tif", grid, np.stack([date] * 3)) for i, date in enumerate((greys, 255 - greys))
    ]


@pytest.fixture
def port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@contextlib.contextmanager
def running(what, *arguments):
    """A process of Dask's own command line; killed at the end if it is still there."""
    command = [sys.executable, "-m", f"distributed.cli.dask_{what}", *arguments]
    with subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.kill()


def scheduler(port):
    return running("scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard", "--no-show")


def worker(port):
    options = ("--nthreads", "1", "--no-nanny", "--no-dashboard", "--host", "127.0.0.1", "--memory-limit", "0")
    return running("worker", f"tcp://127.0.0.1:{port}", *options)


def caption(paths, **options):
    given = {"model": DeadlyStub(seconds=0.05), "tile_size": SIZE, "batch_size": 4, "progress": False} | options
    return geocc.caption_changes(*paths, **given)


def test_a_scheduler_that_is_killed_ends_the_run_and_its_successor_on_the_same_port_goes_on(paths, port, tmp_path):
    output, address = tmp_path / "changes.parquet", f"tcp://127.0.0.1:{port}"
    with worker(port), scheduler(port) as killed:

        def kill(done, _total):
            if done == 24:
                killed.kill()
                killed.wait()
                moments.append(time.monotonic())

        moments = []
        with pytest.raises(ClusterError, match="resume=True"):
            caption(paths, executor=address, output=output, progress=kill)
        assert time.monotonic() - moments[0] < 25  # Dask itself tries for half a minute to reach it again
    assert not output.exists()
    assert journal_path(output).is_dir()
    with worker(port), scheduler(port):
        resumed = caption(paths, executor=address, output=output, resume=True)
    assert resumed.equals(caption(paths))
    assert not journal_path(output).exists()
