"""GDAL's settings for the time of a run, and not a moment longer: they belong to the whole process."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import rasterio
from rasterio.env import get_gdal_config, getenv, hasenv, set_gdal_config

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["GDAL_CACHE_BYTES", "bounded_cache", "thread_environment"]

GDAL_CACHE_BYTES = 64 * 2**20
"""What GDAL may keep of blocks while geocc reads: left alone it takes a twentieth of the machine's memory."""

_OPTION = "GDAL_CACHEMAX"  # in bytes here, in megabytes as an environment variable
_lock = threading.Lock()
_before: list[int] = []  # the limit that was, once per run in progress


@contextmanager
def bounded_cache(limit: int = GDAL_CACHE_BYTES) -> Iterator[None]:
    """Bound GDAL's cache of blocks for the whole process; the limit that was comes back when the last run has ended.

    A limit that is lower already is left as it is.
    """
    with _lock:
        found = int(get_gdal_config(_OPTION))
        _before.append(_before[0] if _before else found)
        if found > limit:
            set_gdal_config(_OPTION, limit)
    try:
        yield
    finally:
        with _lock:
            was = _before.pop()
            if not _before and int(get_gdal_config(_OPTION)) != was:
                set_gdal_config(_OPTION, was)


def thread_environment() -> Callable[[], None]:
    """What a new thread is to call, so that it reads with the GDAL options of the thread that calls this."""
    options = {name: value for name, value in (getenv() if hasenv() else {}).items() if name != _OPTION}

    def enter() -> None:
        # Never left: it belongs to the thread and ends with it. Without one each read would make its own.
        rasterio.Env(**options).__enter__()

    return enter
