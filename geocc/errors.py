"""Every error that geocc raises on purpose.

Each is also the builtin a caller would expect, so ``except ValueError`` keeps working::

    GeoccError
    ├── InputError (ValueError)            an argument cannot be used as given
    │   ├── BandError                      a band that the raster does not have
    │   ├── ScaleError                     values that no shared stretch can bring to uint8
    │   ├── MissingCRSError                a raster that does not say where it lies
    │   └── AlignmentError                 the two dates are not on one grid
    │       └── NoOverlapError             the two dates share no ground
    ├── ReadError (OSError)                a raster that cannot be read
    ├── WriteError (OSError)               a result that cannot be written
    ├── CheckpointError (ValueError)       weights that do not fit the model
    │   └── UnsafeCheckpointError          weights that would run code when loaded
    ├── ModelNotFoundError (LookupError)   no such name, folder or hub id
    ├── CaptionError (RuntimeError)        the captioner failed on a batch of tiles
    ├── ClusterError (RuntimeError)        a Dask cluster that cannot be reached, or was lost
    ├── EvaluationError (RuntimeError)     a metric cannot be computed here: no Java, or it failed
    └── TrainingError (RuntimeError)       training cannot go on: the loss is no longer a number
"""

from __future__ import annotations

__all__ = [
    "AlignmentError",
    "BandError",
    "CaptionError",
    "CheckpointError",
    "ClusterError",
    "EvaluationError",
    "GeoccError",
    "InputError",
    "MissingCRSError",
    "ModelNotFoundError",
    "NoOverlapError",
    "ReadError",
    "ScaleError",
    "TrainingError",
    "UnsafeCheckpointError",
    "WriteError",
]


class GeoccError(Exception):
    """The root of every error that geocc raises on purpose."""


class InputError(GeoccError, ValueError):
    """An argument cannot be used as given."""


class BandError(InputError):
    """A band was asked for that the raster does not have."""


class ScaleError(InputError):
    """The values of the two dates cannot be brought to uint8 by one shared stretch."""


class MissingCRSError(InputError):
    """A raster does not say in which coordinate reference system it lies."""


class AlignmentError(InputError):
    """The two dates are not on one grid, and no alignment was asked for."""


class NoOverlapError(AlignmentError):
    """The two dates share no ground."""


class ReadError(GeoccError, OSError):
    """A raster, or a part of one, cannot be read."""


class WriteError(GeoccError, OSError):
    """A result cannot be written where it was asked for."""


class CheckpointError(GeoccError, ValueError):
    """Weights are missing, of the wrong shape, or not of a known layout."""


class UnsafeCheckpointError(CheckpointError):
    """Loading these weights would run code that came with them."""


class ModelNotFoundError(GeoccError, LookupError):
    """A model name is neither registered, nor a folder, nor a hub id that can be reached."""

    def __str__(self) -> str:
        # LookupError's children print like a dictionary key otherwise.
        return str(self.args[0]) if self.args else ""


class CaptionError(GeoccError, RuntimeError):
    """The captioner failed on a batch of tiles."""


class ClusterError(GeoccError, RuntimeError):
    """A Dask cluster cannot be reached, was lost, or its workers die whatever they are given."""


class EvaluationError(GeoccError, RuntimeError):
    """A metric cannot be computed on this machine: there is no Java, or its process failed."""


class TrainingError(GeoccError, RuntimeError):
    """Training cannot go on: the loss is no longer a number."""
