"""Scenes of two dates that geocc makes itself, every change of which is known exactly.

A scene is of one of four domains (`DOMAINS`): `vhr` and `aerial` show single houses, `medium` and `landsat` fields, rivers,
forests and towns.

Nothing here needs torch, and only the georeferenced views of a scene need rasterio and geopandas.
"""

from __future__ import annotations

from geocc.data.synthetic.change import Change
from geocc.data.synthetic.cover import COVER_CATEGORY, KINDS, LABELS, Category, Cover, Direction
from geocc.data.synthetic.domains import DOMAINS, Domain
from geocc.data.synthetic.facts import Fact, Place, TileDescription, describe_tile
from geocc.data.synthetic.frame import Window
from geocc.data.synthetic.pairs import TilePair, training_pairs
from geocc.data.synthetic.reading import Statement, read_caption
from geocc.data.synthetic.scene import SyntheticScene, make_scene
from geocc.data.synthetic.wording import NO_CHANGE, write_caption

__all__ = [
    "COVER_CATEGORY",
    "DOMAINS",
    "KINDS",
    "LABELS",
    "NO_CHANGE",
    "Category",
    "Change",
    "Cover",
    "Direction",
    "Domain",
    "Fact",
    "Place",
    "Statement",
    "SyntheticScene",
    "TileDescription",
    "TilePair",
    "Window",
    "describe_tile",
    "make_scene",
    "read_caption",
    "training_pairs",
    "write_caption",
]
