"""Versions of geocc and of the packages its results depend on."""

from __future__ import annotations

import platform
from importlib import metadata

from geocc import __version__

__all__ = ["PACKAGES", "versions"]

#: Packages whose version can change a caption, a footprint or a file.
PACKAGES: tuple[str, ...] = (
    "torch",
    "transformers",
    "torchgeo",
    "xarray",
    "rioxarray",
    "rasterio",
    "odc-geo",
    "geopandas",
    "pyogrio",
    "numpy",
)


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that matter, without importing them."""
    found = {"python": platform.python_version(), "geocc": __version__}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            # geocc.model and its kin run without the geospatial packages.
            found[package] = "not installed"
    return found
