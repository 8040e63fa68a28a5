"""Pairs of images with captions: records, mixtures, readers of public data sets, captions from masks, own regions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from geocc.data import masks, readers, regions, synthetic
    from geocc.data.archives import Limits, extract_archive
    from geocc.data.describe import Description, describe
    from geocc.data.mixture import Entry, Mixture, shipped_mixtures
    from geocc.data.near_duplicates import NearDuplicate, find_near_duplicates
    from geocc.data.own_region import Indices, caption_cover, caption_indices
    from geocc.data.records import Record, read_records, write_records
    from geocc.data.samples import Sample, Samples

__all__ = [
    "Description",
    "Entry",
    "Indices",
    "Limits",
    "Mixture",
    "NearDuplicate",
    "Record",
    "Sample",
    "Samples",
    "caption_cover",
    "caption_indices",
    "describe",
    "extract_archive",
    "find_near_duplicates",
    "masks",
    "read_records",
    "readers",
    "regions",
    "shipped_mixtures",
    "synthetic",
    "write_records",
]

# Each name is imported when it is first used: some need pydantic, torch or GDAL.
__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submodules=["masks", "readers", "regions", "synthetic"],
    submod_attrs={
        "archives": ["Limits", "extract_archive"],
        "describe": ["Description", "describe"],
        "mixture": ["Entry", "Mixture", "shipped_mixtures"],
        "near_duplicates": ["NearDuplicate", "find_near_duplicates"],
        "own_region": ["Indices", "caption_cover", "caption_indices"],
        "records": ["Record", "read_records", "write_records"],
        "samples": ["Sample", "Samples"],
    },
)
