"""HTML and SVG in which every text is text."""

from __future__ import annotations

import base64
import hashlib
from html import escape
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["asset", "content_policy", "element", "path_data"]


def asset(name: str) -> str:
    """Read a style, script or template that comes with geocc."""
    return (resources.files("geocc.views") / "assets" / name).read_text(encoding="utf-8")


def content_policy(*, script: str, style: str) -> str:
    """Return a Content-Security-Policy under which a page runs this script and style, and fetches nothing."""
    return (
        f"default-src 'none'; script-src {_source(script)}; style-src {_source(style)}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def element(tag: str, content: str = "", *, text: str | None = None, **attributes: Any) -> str:
    """Make an element.

    Args:
        tag: Its name.
        content: Markup inside, as `element` made it.
        text: Text inside, in place of markup: escaped.
        attributes: Escaped; `class_` is written as ``class``, other underscores as hyphens, and None leaves it out.
    """
    listed = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{escape(str(value))}"'
        for name, value in attributes.items()
        if value is not None
    )
    return f"<{tag}{listed}>{content if text is None else escape(text)}</{tag}>"


def path_data(shape: Any, *, aspect: float) -> str:
    """Return the outline of a polygon in pixels as SVG path data, rows stretched by `aspect`."""
    return "".join(_rings(shape, aspect))


def _rings(shape: Any, aspect: float) -> Iterator[str]:
    for part in shapely.get_parts(shape):
        for ring in shapely.get_rings(part):
            corners = np.round(shapely.get_coordinates(ring)[:-1] * (1.0, aspect), 2)
            yield "M" + "L".join(f"{x:g} {y:g}" for x, y in corners) + "Z"


def _source(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
