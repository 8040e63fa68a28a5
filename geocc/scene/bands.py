"""Which three bands of a raster are red, green and blue."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import TypeAlias, cast

from geocc.errors import BandError

__all__ = ["Band", "BandChoice", "bands_per_date", "pick_bands"]

BandKey: TypeAlias = str | int
BandTriple: TypeAlias = Sequence[BandKey]
BandChoice: TypeAlias = BandTriple | tuple[BandTriple | None, BandTriple | None]

_COLOURS = ("red", "green", "blue")
# Only names that mean one colour whatever the sensor: a plain "B4" is red on Sentinel-2 and Landsat 8, near infrared on
# Landsat 5. With the leading zero it is Sentinel-2's.
_ALIASES = {"red": {"red", "r", "b04"}, "green": {"green", "g", "b03"}, "blue": {"blue", "b", "b02"}}


@dataclass(frozen=True, slots=True)
class Band:
    """What a raster says of one of its bands.

    Attributes:
        names: Everything the band is called: description, variable name, band coordinate.
        colour: Its colour interpretation in lower case, ``""`` where the raster has none.
    """

    names: tuple[str, ...] = ()
    colour: str = ""

    def is_called(self, name: str) -> bool:
        """Whether the band goes by this name, in any case, or by another name of the same colour."""
        wanted = name.strip().lower()
        mine = {own.strip().lower() for own in self.names}
        if wanted in mine:
            return True
        return any(
            wanted in aliases and (mine & aliases or self.colour == colour) for colour, aliases in _ALIASES.items()
        )


def bands_per_date(bands: BandChoice | None) -> tuple[BandTriple | None, BandTriple | None]:
    """Split the `bands` argument into the choice for t1 and that for t2.

    Raises:
        BandError: It is neither None, three bands, nor a pair of those.
    """
    if bands is None:
        return None, None
    items = [] if isinstance(bands, str) else list(bands)
    if len(items) == 2 and all(item is None or _is_triple(item) for item in items):
        return cast("tuple[BandTriple | None, BandTriple | None]", tuple(items))
    if _is_triple(items):
        return cast("BandTriple", items), cast("BandTriple", items)
    raise BandError(
        f"bands={bands!r} does not name red, green and blue. Give three names or numbers counted from 1, as in "
        'bands=("red", "green", "blue") or bands=(3, 2, 1), or a pair of those, one for each date.'
    )


def _is_triple(item: object) -> bool:
    return isinstance(item, Sequence) and not isinstance(item, str) and len(item) == 3 and all(map(_is_key, item))


def _is_key(key: object) -> bool:
    return isinstance(key, str) or (isinstance(key, Integral) and not isinstance(key, bool))


def pick_bands(available: Sequence[Band], *, wanted: BandTriple | None, where: str) -> tuple[int, int, int]:
    """Positions, counted from 0, of the red, green and blue band.

    Without a wish: the bands that are called or interpreted red, green and blue; else the first three of a raster with
    three or four bands none of which says a colour.

    Args:
        available: The raster's bands in order.
        wanted: Three names or 1-based numbers, or None.
        where: Date and name of the raster, for messages.

    Raises:
        BandError: A band is missing, or nothing says which bands to take.
    """
    red, green, blue = (
        (_find(available, key, where) for key in wanted) if wanted is not None else _default(available, where)
    )
    return red, green, blue


def _find(available: Sequence[Band], key: BandKey, where: str) -> int:
    if not isinstance(key, str):
        if 1 <= key <= len(available):
            return int(key) - 1
        raise BandError(f"{where} has no band {key}: it has {_listing(available)}. Bands are counted from 1.")
    for position, band in enumerate(available):
        if band.is_called(key):
            return position
    names = [name for band in available for name in band.names]
    close = difflib.get_close_matches(key, names, n=1)
    hint = f"did you mean {close[0]!r}?" if close else "give the bands by number instead, as in bands=(1, 2, 3)."
    raise BandError(f"{where} has no band called {key!r}: it has {_listing(available)}; {hint}")


def _default(available: Sequence[Band], where: str) -> tuple[int, ...]:
    found = [[i for i, band in enumerate(available) if band.is_called(colour)] for colour in _COLOURS]
    if all(found):
        return tuple(positions[0] for positions in found)
    if not any(found) and len(available) in (3, 4):
        return (0, 1, 2)
    remedy = "bands=(1, 1, 1)" if len(available) < 3 else "bands=(3, 2, 1)"
    raise BandError(
        f"{where} does not say which of its bands are red, green and blue: it has {_listing(available)}. "
        f"Name them by number or name, as in {remedy}."
    )


def _listing(available: Sequence[Band]) -> str:
    count = f"{len(available)} band{'s' if len(available) != 1 else ''}"
    names = [band.names[0] if band.names else band.colour for band in available]
    if not any(names):
        return count
    return f"{count} ({', '.join(f'{i}: {name or chr(63)}' for i, name in enumerate(names, 1))})"
