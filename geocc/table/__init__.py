"""The result as a table: its columns, and the files it is written to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .build import PlanLike, build_layer
    from .readers import read_layer
    from .schema import COLUMNS, TileResult, TileStatus, restore_dtypes, validate_layer
    from .text import MAX_CAPTION_LENGTH, clean_caption, redact_secrets
    from .writers import LAYER_NAME, check_writable, write_layer

__all__ = [
    "COLUMNS",
    "LAYER_NAME",
    "MAX_CAPTION_LENGTH",
    "PlanLike",
    "TileResult",
    "TileStatus",
    "build_layer",
    "check_writable",
    "clean_caption",
    "read_layer",
    "redact_secrets",
    "restore_dtypes",
    "validate_layer",
    "write_layer",
]

_HOMES = {
    "COLUMNS": "schema",
    "LAYER_NAME": "writers",
    "MAX_CAPTION_LENGTH": "text",
    "PlanLike": "build",
    "TileResult": "schema",
    "TileStatus": "schema",
    "build_layer": "build",
    "check_writable": "writers",
    "clean_caption": "text",
    "read_layer": "readers",
    "redact_secrets": "text",
    "restore_dtypes": "schema",
    "validate_layer": "schema",
    "write_layer": "writers",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for: geopandas and GDAL are heavy."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    """List the public names, imported or not."""
    return __all__
