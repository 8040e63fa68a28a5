"""The result as a table: its columns, and the files it is written to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from .build import PlanLike, build_layer
    from .checks import LAYER_NAME, check_writable
    from .footprints import write_footprints
    from .outlines import OUTLINES_LAYER_NAME, write_outlines
    from .readers import read_layer
    from .result import TileResult, TileStatus
    from .schema import COLUMNS, restore_dtypes, validate_layer
    from .text import MAX_CAPTION_LENGTH, clean_caption
    from .writers import write_layer

__all__ = [
    "COLUMNS",
    "LAYER_NAME",
    "MAX_CAPTION_LENGTH",
    "OUTLINES_LAYER_NAME",
    "PlanLike",
    "TileResult",
    "TileStatus",
    "build_layer",
    "check_writable",
    "clean_caption",
    "read_layer",
    "restore_dtypes",
    "validate_layer",
    "write_footprints",
    "write_layer",
    "write_outlines",
]

# geopandas and GDAL are heavy: each name is imported when it is first used.
__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "build": ["PlanLike", "build_layer"],
        "checks": ["LAYER_NAME", "check_writable"],
        "footprints": ["write_footprints"],
        "outlines": ["OUTLINES_LAYER_NAME", "write_outlines"],
        "readers": ["read_layer"],
        "result": ["TileResult", "TileStatus"],
        "schema": ["COLUMNS", "restore_dtypes", "validate_layer"],
        "text": ["MAX_CAPTION_LENGTH", "clean_caption"],
        "writers": ["write_layer"],
    },
)
