"""Captions written from change masks: what the mask shows, in several wordings and from several sides."""

from __future__ import annotations

from geocc.data.masks.facts import Fact, View, change_kinds, find_facts
from geocc.data.masks.mask import ChangeMask, classes_by_colour
from geocc.data.masks.reading import Named, Statement, read_statements
from geocc.data.masks.records import caption_records
from geocc.data.masks.rewriting import RewriteReport, Rewritten, check_rewrite, rewrite_captions
from geocc.data.masks.vocabulary import (
    BINARY,
    INDICES,
    LEVIR_MCI,
    SECOND,
    SECOND_COLOURS,
    WORLDCOVER,
    LandClass,
    Vocabulary,
)
from geocc.data.masks.writer import Mode, Style, write_captions

__all__ = [
    "BINARY",
    "INDICES",
    "LEVIR_MCI",
    "SECOND",
    "SECOND_COLOURS",
    "WORLDCOVER",
    "ChangeMask",
    "Fact",
    "LandClass",
    "Mode",
    "Named",
    "RewriteReport",
    "Rewritten",
    "Statement",
    "Style",
    "View",
    "Vocabulary",
    "caption_records",
    "change_kinds",
    "check_rewrite",
    "classes_by_colour",
    "find_facts",
    "read_statements",
    "rewrite_captions",
    "write_captions",
]
