"""Reaching a Dask cluster, or making one on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from geocc.errors import ClusterError, InputError

if TYPE_CHECKING:
    from contextlib import ExitStack

    from distributed import Client

__all__ = ["DEATHS", "connect", "is_dask"]

DEATHS = 3
"""Workers that a part may cost before it is looked into, on clusters made here; others have a setting of their own."""

_MOST_WORKERS = 4  # of a local cluster by default: each holds a model of its own


def is_dask(executor: Any) -> bool:
    """Whether this is a client or cluster of dask.distributed."""
    import sys

    distributed = sys.modules.get("distributed")  # nobody holds a client without having imported it
    return distributed is not None and isinstance(executor, (distributed.Client, distributed.deploy.cluster.Cluster))


def connect(where: Any, *, workers: int | None, stack: ExitStack) -> Client:
    """A client of the cluster.

    Args:
        where: A client, a cluster object, ``"local"``, the address of a scheduler, or the path of its `.json` file.
        workers: Processes of a local cluster.
        stack: Closes, when it is closed, what was opened here.

    Raises:
        InputError: `where` is none of these, or the client is asynchronous.
        ClusterError: The cluster cannot be reached, or not be started.
    """
    from distributed import Client

    if isinstance(where, Client):
        if where.asynchronous:
            raise InputError(
                "the Dask client is asynchronous, and geocc waits for results. Make one with Client(address)."
            )
        return where
    if where == "local":
        where = stack.enter_context(_local_cluster(workers))
    named: dict[str, Any] = {"address": where}
    if isinstance(where, str) and where.endswith(".json"):
        if not Path(where).is_file():
            raise InputError(f"there is no scheduler file {where!r}; `dask scheduler --scheduler-file` writes one.")
        named = {"scheduler_file": where}
    try:
        client: Client = stack.enter_context(Client(**named, set_as_default=False))
    except (OSError, ValueError) as error:
        raise ClusterError(
            f"no Dask scheduler answers at {where!r}: {error}. Expected the address that `dask scheduler` prints, such as "
            "'tcp://10.0.0.5:8786', or 'local' for processes on this machine."
        ) from error
    return client


def _local_cluster(workers: int | None) -> Any:
    """Processes on this machine, each with one thread and without a limit of memory; one per GPU where there are GPUs."""
    import torch
    from dask.system import CPU_COUNT
    from distributed import LocalCluster

    gpus = torch.cuda.device_count()
    options: dict[str, Any] = {
        "n_workers": workers or gpus or min(_MOST_WORKERS, CPU_COUNT),
        "threads_per_worker": 1,
        "memory_limit": 0,  # a model may take what it takes: a limit would end in killed workers
        "dashboard_address": None,
        # Dask counts the failures that it allows, and gives up at one more. Its server listens even without a dashboard: on
        # any port, for the usual one may be taken, and for nobody else.
        "scheduler_kwargs": {"allowed_failures": DEATHS - 1, "dashboard_address": "127.0.0.1:0"},
    }
    try:
        return (_cuda_cluster() if gpus else LocalCluster)(**options)
    except RuntimeError as error:
        raise ClusterError(
            f"the workers cannot be started: {error}. In a script, the call belongs under `if __name__ == '__main__':`, for "
            "each worker imports the script."
        ) from error


def _cuda_cluster() -> Any:
    """dask-cuda's cluster where it is installed: it gives each worker a GPU, and the cores near it."""
    try:
        from dask_cuda import LocalCUDACluster
    except ImportError:
        from distributed import LocalCluster

        return LocalCluster
    return LocalCUDACluster
