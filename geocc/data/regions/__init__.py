"""A region of one's own as training data: two rasters and captions that a person drew or corrected become tile pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from geocc.data.regions.labels import Labels, TileLabel
    from geocc.data.regions.layer import FlagFrom, is_layer, label_layer
    from geocc.data.regions.polygons import label_tiles
    from geocc.data.regions.split import SPLITS, split_windows
    from geocc.data.regions.summary import SplitCount, TrainingSet
    from geocc.data.regions.vectors import read_captions
    from geocc.data.regions.write import write_training_set

__all__ = [
    "SPLITS",
    "FlagFrom",
    "Labels",
    "SplitCount",
    "TileLabel",
    "TrainingSet",
    "is_layer",
    "label_layer",
    "label_tiles",
    "read_captions",
    "split_windows",
    "write_training_set",
]

# geopandas, GDAL and pydantic stay out until they are asked for.
__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "labels": ["Labels", "TileLabel"],
        "layer": ["FlagFrom", "is_layer", "label_layer"],
        "polygons": ["label_tiles"],
        "split": ["SPLITS", "split_windows"],
        "summary": ["SplitCount", "TrainingSet"],
        "vectors": ["read_captions"],
        "write": ["write_training_set"],
    },
)
