"""When a raster was taken, as its tags tell it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["parse_label"]


def parse_label(text: object) -> pd.Timestamp | None:
    """The time that a raster's tag tells, in UTC without zone; None for none, or one that cannot be understood.

    Args:
        text: ISO 8601, or TIFF's own ``2009:08:18 17:02:11``.
    """
    if not isinstance(text, str):
        return None
    import pandas as pd

    iso = re.sub(r"^(\d{4}):(\d{2}):(\d{2})", r"\1-\2-\3", text.strip())
    stamp = pd.to_datetime(iso, errors="coerce", utc=True)
    return None if pd.isna(stamp) else stamp.tz_localize(None)
