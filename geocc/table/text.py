"""What text from a model must lose before it enters the table."""

from __future__ import annotations

import re

__all__ = ["MAX_CAPTION_LENGTH", "clean_caption"]

MAX_CAPTION_LENGTH = 10_000
"""Characters a caption may have: far more than any model here writes, far less than would make a file unwieldy."""

_LINE_BREAKS_AND_TABS = re.compile("\r\n|[\t\n\v\f\r\x1c-\x1e\x85\u2028\u2029]")

# Control characters end strings early in C libraries; bidi controls make a text read differently from what it says;
# lone surrogates and U+FFFE/U+FFFF cannot be encoded in the files. Joiners stay: scripts and emoji need them.
_UNFIT = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")


def clean_caption(text: str, *, max_length: int = MAX_CAPTION_LENGTH) -> str:
    """Make model text fit for a table cell, changing nothing that a reader would see.

    Tabs and line breaks become spaces; control characters, bidirectional overrides and what no UTF-8 file can hold are
    taken out; what is longer than `max_length` is cut and ends in an ellipsis. Nothing is escaped: that belongs to the
    view that shows the text. Cleaning twice changes nothing.

    Args:
        text: The sentence as the model wrote it.
        max_length: The most characters to keep, at least 1.

    Returns:
        The cleaned text, of at most `max_length` characters.
    """
    cleaned = _UNFIT.sub("", _LINE_BREAKS_AND_TABS.sub(" ", text))
    if len(cleaned) <= max_length:
        return cleaned
    return cleaned[: max_length - 1] + "\N{HORIZONTAL ELLIPSIS}"
