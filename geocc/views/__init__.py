"""Views of the result that a person looks at: an interactive map, a report, a figure.

What a model wrote is shown as the text it is, in all of them, and never run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from .explore import explore
    from .figure import figure
    from .quicklook import PairLike, Quicklook, quicklook
    from .report import report

__all__ = ["PairLike", "Quicklook", "explore", "figure", "quicklook", "report"]

# folium and matplotlib are heavy: each name is imported when it is first used.
__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "explore": ["explore"],
        "figure": ["figure"],
        "quicklook": ["PairLike", "Quicklook", "quicklook"],
        "report": ["report"],
    },
)
