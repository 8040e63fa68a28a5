"""geocc: what changed between two dates, in words and on a map.

    import geocc

    changes = geocc.caption_changes("2009.tif", "2020.tif", align="t1")
    changes[changes["changed"]].explore  # a GeoDataFrame; geocc.explore(changes) shows it safely

Nothing heavy is imported before it is used.
"""

from __future__ import annotations

from importlib import metadata as _metadata
from typing import TYPE_CHECKING

import lazy_loader as _lazy

if TYPE_CHECKING:
    from geocc import data, errors, evaluation, inference, model, scene, table, training, views  # type: ignore[attr-defined]

__version__ = _metadata.version("geocc")

