"""Text in figures: only glyphs the font has, no markup, broken into lines that fit."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from matplotlib.font_manager import FontProperties, findfont
from matplotlib.ft2font import FT2Font

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["FONT", "drawable", "plain_text", "text_width", "wrapped"]

FONT = "DejaVu Sans"
"""Comes with matplotlib, so that a figure looks the same everywhere."""

_UNKNOWN = "\N{WHITE SQUARE}"
_SIZE = 100.0


def plain_text(**kwargs: Any) -> dict[str, Any]:
    """Return arguments for matplotlib texts that keep it from reading ``$`` as mathematics, or all of it as TeX."""
    return {"parse_math": False, "usetex": False, "family": FONT} | kwargs


def drawable(text: str) -> str:
    """Replace what the font cannot draw by a white square, as matplotlib would, but without its warnings."""
    glyphs = _glyphs()
    return "".join(character if ord(character) in glyphs else _UNKNOWN for character in text)


def wrapped(text: str, *, size: float, width: float, max_lines: int) -> list[str]:
    """Break a text into lines.

    Args:
        text: The text, as `drawable` returns it.
        size: Font size in points.
        width: Width of a line in points.
        max_lines: The most lines to return, at least 1; what is left over ends in an ellipsis.

    Returns:
        The lines, none wider than `width`.
    """
    lines: list[str] = []
    for line in _lines(text, size=size, width=width):
        if len(lines) == max_lines:
            lines[-1] = _shortened(lines[-1], size=size, width=width)
            break
        lines.append(line)
    return lines


def _lines(text: str, *, size: float, width: float) -> Iterator[str]:
    line = ""
    for word in text.split():
        longer = f"{line} {word}" if line else word
        if text_width(longer, size) <= width:
            line = longer
            continue
        if line:
            yield line
        line = word
        while text_width(line, size) > width:
            fitting = max(1, int(len(line) * width / text_width(line, size)))
            while fitting > 1 and text_width(line[:fitting], size) > width:
                fitting -= 1
            yield line[:fitting]
            line = line[fitting:]
    if line:
        yield line


def _shortened(line: str, *, size: float, width: float) -> str:
    while line and text_width(f"{line}\N{HORIZONTAL ELLIPSIS}", size) > width:
        line = line[:-1]
    return f"{line.rstrip()}\N{HORIZONTAL ELLIPSIS}"


def text_width(text: str, size: float) -> float:
    """Return the width in points of a text, as `drawable` returns it, at a font size in points."""
    return sum(map(_advance, text)) * size


@cache
def _font() -> FT2Font:
    font = FT2Font(findfont(FontProperties(family=FONT)))
    font.set_size(_SIZE, 72)
    return font


@cache
def _glyphs() -> frozenset[int]:
    return frozenset(_font().get_charmap())


@cache
def _advance(character: str) -> float:
    """Return how far a character moves the pen, as a multiple of the font size."""
    return float(_font().load_char(ord(character)).linearHoriAdvance) / 65536 / _SIZE
