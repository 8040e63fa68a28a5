"""Secrets out of texts: addresses of rasters carry passwords and signed tokens, errors and results must not."""

from __future__ import annotations

import re

__all__ = ["mask_secrets"]

_USER = re.compile(r"(?<=://)[^/@\s]+@")
_QUERY = re.compile(r"((?:\b[a-z][a-z0-9+.-]*://|/vsi\w+/)[^\s?'\"]*)\?[^\s'\"]*", re.IGNORECASE)


def mask_secrets(text: str) -> str:
    """The text with `user:password@` and the query strings of every address in it replaced by ``***``.

    Example:
        >>> mask_secrets("https://me:pw@host/a.tif?sig=abc cannot be read")
        'https://***@host/a.tif?*** cannot be read'
    """
    return _QUERY.sub(r"\1?***", _USER.sub("***@", text))
