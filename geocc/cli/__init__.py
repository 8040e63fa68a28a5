"""The command line: one command per verb of the API, with the same names."""

from __future__ import annotations

from geocc.cli.app import main

__all__ = ["main"]
