"""The words by which captions are compared: what changed, where, and how many.

Made from the words of LEVIR-CC's train and val captions and from change classes of SECOND and SYSU-CD. A lexicon is
blunt: it does not know that "the trees are replaced by houses" removes the one and adds the other, and "field" is a sports
field or farmland by the word before it.
"""

from __future__ import annotations

import re

__all__ = ["CATEGORIES", "PLACES", "categories", "counts", "places"]

_NOUNS: dict[str, str] = {
    "building": r"""
        buildings? | houses? | villas? | homes? | residences? | residential | apartments? | bungalows? | cottages? | mansions?
        | cabins? | sheds? | garages? | warehouses? | factory | factories | malls? | rooms? | roofs? | towers? | schools?
        | hotels? | churche?s? | depots? | greenhouses? | skyscrapers? | structures? | facility | facilities
        """,
    "road": r"""
        roads? | streets? | paths? | pathways? | highways? | motorways? | lanes? | bypass(?:es)? | crossroads? | roundabouts?
        | intersections? | junctions? | t-junctions? | driveways? | overpass(?:es)? | viaducts? | bridges? | trails? | avenues?
        | roadways? | railways? | runways?
        """,
    "parking": r"parking | carparks? | car\ parks?",
    "vegetation": r"""
        trees? | woods? | woodlands? | forests? | vegetation | grass | grassy | grasslands? | lawns? | meadows? | bush(?:es)?
        | shrubs? | plants? | jungles? | pastures? | greenery | moorland | mangroves?
        """,
    "water": r"""
        water | waters | rivers? | lakes? | ponds? | pools? | streams? | creeks? | canals? | reservoirs? | sea | ocean | coast
        | shore | wetlands? | marsh(?:es)? | flood(?:s|ed|ing)? | basins?
        """,
    "bare land": r"""
        barelands? | bare\ (?:land|lands|ground|soil|earth) | barren | deserts? | wastelands? | wilderness | sand | sandy | dirt
        | soil | mud | open\ (?:space|spaces|ground|land) | clearings? | vacant
        """,
    "farmland": r"""
        farmlands? | farms? | crops? | croplands? | paddy | paddies | orchards? | cultivated
        | (?<!playing\ )(?<!football\ )(?<!sports\ )(?<!soccer\ )(?<!baseball\ )fields?
        """,
    "sports ground": r"""
        playgrounds? | stadiums? | (?:basketball|tennis|sports)\ courts? | courts? | golf
        | (?:playing|football|sports|soccer|baseball)\ fields? | racetracks? | running\ tracks?
        """,
    "vehicle": r"cars? | trucks? | vehicles? | bus(?:es)? | boats? | ships? | planes? | aircraft | airplanes?",
    "construction site": r"construction\ sites? | foundations? | unfinished | uncompleted | excavat(?:ion|ed|ing)",
}

_PLACES: dict[str, str] = {
    "top": r"top | upper | north | northern | above",
    "bottom": r"bottom | lower | south | southern | below",
    "left": r"left | west | western",
    "right": r"right | east | eastern",
    "centre": r"centers? | centres? | middle | central",
    "corner": r"corners?",
    "edge": r"edges? | margins? | border",
}


def _compile(patterns: dict[str, str]) -> dict[str, re.Pattern[str]]:
    # "upper-left" names two places, "t-junction" one road, "greenhouse" no house.
    return {name: re.compile(rf"(?<!\w)(?:{pattern})(?!\w)", re.VERBOSE) for name, pattern in patterns.items()}


_CATEGORY = _compile(_NOUNS)
_PLACE = _compile(_PLACES)

CATEGORIES: tuple[str, ...] = tuple(_NOUNS)
"""The categories of things that change."""

PLACES: tuple[str, ...] = tuple(_PLACES)
"""The places of a tile that captions name; "upper-left" names two."""

_NUMBERS = {"a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8}
_NUMBERS |= {"nine": 9, "ten": 10, "eleven": 11, "twelve": 12}

# After these a number counts something else ("two rows of houses"), or nothing ("a few houses").
_NOT_COUNTED = frozenset("of in on at by and with to along is are few lot lots number".split())  # noqa: SIM905 - words


def categories(text: str) -> frozenset[str]:
    """Return the categories that a caption names."""
    lowered = _plain(text)
    return frozenset(name for name, pattern in _CATEGORY.items() if pattern.search(lowered))


def places(text: str) -> frozenset[str]:
    """Return the places that a caption names."""
    lowered = _plain(text)
    return frozenset(name for name, pattern in _PLACE.items() if pattern.search(lowered))


def counts(text: str) -> dict[str, frozenset[int]]:
    """Return the numbers that a caption gives, by category: "two houses and a road" gives building 2 and road 1.

    "A" and "one" count 1 before a singular noun. Words such as "some", "many" and "rows of" give no number.

    Args:
        text: A caption.

    Returns:
        The numbers of each category that has one.
    """
    words = re.split(r"[\s,;:]+", _plain(text))
    found: dict[str, set[int]] = {}
    for position, word in enumerate(words):
        if (number := _number(word)) is not None:
            noun, category = _first_noun(words[position + 1 : position + 5])
            if category is not None and not (number == 1 and noun.endswith("s")):
                found.setdefault(category, set()).add(number)
    return {name: frozenset(numbers) for name, numbers in found.items()}


def _first_noun(words: list[str]) -> tuple[str, str | None]:
    for word in words:
        if word in _NOT_COUNTED:
            break
        for name, pattern in _CATEGORY.items():
            if pattern.fullmatch(word):
                return word, name
    return "", None


def _number(word: str) -> int | None:
    return int(word) if re.fullmatch(r"[0-9]{1,3}", word) else _NUMBERS.get(word)


def _plain(text: str) -> str:
    return " ".join(text.lower().replace(".", " ").split())
