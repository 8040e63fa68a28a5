"""What classes of land are called, chosen so that a mask alone bears the words out.

A patch of the class "building" may be one house or a block of them, so it is called a built-up area; SECOND's ground
may be asphalt, so it is not called bare.
"""

from __future__ import annotations

from dataclasses import dataclass

from geocc.data.masks.grammar import Noun, Verb

__all__ = [
    "BINARY",
    "INDICES",
    "LEVIR_MCI",
    "MASS_GAINS",
    "MASS_LOSSES",
    "SECOND",
    "SECOND_COLOURS",
    "WORLDCOVER",
    "LandClass",
    "Vocabulary",
]

_APPEAR = Verb("appear", "appears", "appeared")
_EMERGE = Verb("emerge", "emerges", "emerged")
_DISAPPEAR = Verb("disappear", "disappears", "disappeared")
_VANISH = Verb("vanish", "vanishes", "vanished")
_BUILD = Verb("build", "builds", "built", passive=True)
_CONSTRUCT = Verb("construct", "constructs", "constructed", passive=True)
_REMOVE = Verb("remove", "removes", "removed", passive=True)
_LOSE = Verb("lose", "loses", "lost", passive=True)

MASS_GAINS = (_APPEAR, _EMERGE)
"""Verbs for the coming of what has no number: `built-up land` appears, but it is not built."""
MASS_LOSSES = (_DISAPPEAR, _VANISH, _LOSE)
"""Verbs for its going."""


@dataclass(frozen=True, slots=True)
class LandClass:
    """A class of land, or of what stands on it.

    Attributes:
        name: Its key.
        areas: What one connected patch of it is called.
        mass: What it is called as such, without number.
        thing: What LEVIR-CC's annotators would call it. With a plural, one such thing at least is in each patch.
        gains: Verbs for its coming, said of areas and things.
        losses: Verbs for its going, said of areas and things.
    """

    name: str
    areas: tuple[Noun, ...]
    mass: tuple[Noun, ...]
    thing: Noun
    gains: tuple[Verb, ...] = MASS_GAINS
    losses: tuple[Verb, ...] = MASS_LOSSES


Vocabulary = dict[int, LandClass]
"""Classes by their value in a label array."""


def _land(
    name: str, *areas: str, mass: tuple[str, ...], thing: str | None = None, plural: str | None = None
) -> LandClass:
    """Make a class of areas: `area of trees`, `areas of trees`."""
    nouns = tuple(Noun(area, _plural(area)) for area in areas)
    return LandClass(name, nouns, tuple(Noun(one) for one in mass), Noun(thing or mass[0], plural))


def _built(name: str, *areas: str, mass: tuple[str, ...], thing: str, plural: str) -> LandClass:
    """Make a class of things that people build and remove."""
    nouns = tuple(Noun(area, _plural(area)) for area in areas)
    return LandClass(
        name,
        nouns,
        tuple(Noun(one) for one in mass),
        Noun(thing, plural),
        gains=(_APPEAR, _BUILD, _CONSTRUCT),
        losses=(_DISAPPEAR, _VANISH, _REMOVE),
    )


def _plural(area: str) -> str:
    """Put the head of a phrase such as `area of trees` into the plural."""
    head, of, rest = area.partition(" of ")
    if head.endswith("body"):
        head = f"{head[:-1]}ies"
    else:
        head += "es" if head.endswith(("ch", "sh", "s")) else "s"
    return f"{head}{of}{rest}"


_BUILDING = _built(
    "building", "built-up area", "built-up patch", mass=("built-up land",), thing="building", plural="buildings"
)
_ROAD = _built("road", "stretch of road", "road area", mass=("road surface",), thing="road", plural="roads")
_PLAYGROUND = _built(
    "playground",
    "playground",
    "sports ground",
    mass=("playground surface",),
    thing="sports field",
    plural="sports fields",
)
_WATER = _land("water", "area of water", "body of water", "water surface", mass=("water",))
_TREES = _land("trees", "area of trees", "patch of trees", "wooded area", mass=("tree cover",), thing="tree cover")
_LOW = _land("low vegetation", "area of low vegetation", "patch of low vegetation", mass=("low vegetation",))
_GROUND = _land("ground", "area of unvegetated ground", "patch of unvegetated ground", mass=("unvegetated ground",))

SECOND: Vocabulary = {1: _WATER, 2: _GROUND, 3: _LOW, 4: _TREES, 5: _BUILDING, 6: _PLAYGROUND}
"""Classes of SECOND; 0 is where nothing changed."""

SECOND_COLOURS: dict[tuple[int, int, int], int] = {
    (255, 255, 255): 0,
    (0, 0, 255): 1,
    (128, 128, 128): 2,
    (0, 128, 0): 3,
    (0, 255, 0): 4,
    (128, 0, 0): 5,
    (255, 0, 0): 6,
}
"""Colours of SECOND's label images, as others' loaders list them (UFCD, MTSCDNet on GitHub)."""

LEVIR_MCI: Vocabulary = {1: _ROAD, 2: _BUILDING}
"""Classes of LEVIR-MCI's change masks."""

WORLDCOVER: Vocabulary = {
    10: _TREES,
    20: _land("shrubs", "area of shrubs", "patch of shrubs", mass=("shrubland",)),
    30: _land("grass", "area of grassland", "patch of grassland", mass=("grassland",)),
    40: _land("crops", "area of cropland", "patch of cropland", mass=("cropland",)),
    50: _BUILDING,
    60: _land("bare", "area of bare land", "patch of bare land", mass=("bare land",)),
    70: _land("snow", "area of snow", "patch of snow", mass=("snow",)),
    80: _WATER,
    90: _land("wetland", "area of wetland", "patch of wetland", mass=("wetland",)),
    95: _land("mangroves", "area of mangroves", "patch of mangroves", mass=("mangrove cover",)),
    100: _land("moss", "area of moss", "patch of moss", mass=("moss",)),
}
"""Classes of ESA WorldCover, by its codes."""

INDICES: Vocabulary = {
    1: _WATER,
    2: _land("vegetation", "area of vegetation", "patch of vegetation", mass=("vegetation",)),
    3: _GROUND,
}
"""Classes that spectral indices tell: water, vegetation, and what is neither."""

BINARY: Vocabulary = {}
"""No classes: a binary mask tells where something changed, and not what."""
