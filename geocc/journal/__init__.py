"""The journal: results on disk as they come, so that a run that ends too early costs one batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from geocc.journal.fingerprint import differences, run_fingerprint
    from geocc.journal.journal import Journal, check_journal, journal_path, open_journal
    from geocc.journal.memory import MemoryJournal

__all__ = [
    "Journal",
    "MemoryJournal",
    "check_journal",
    "differences",
    "journal_path",
    "open_journal",
    "run_fingerprint",
]

__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "fingerprint": ["differences", "run_fingerprint"],
        "journal": ["Journal", "check_journal", "journal_path", "open_journal"],
        "memory": ["MemoryJournal"],
    },
)
