"""What an evaluation found: tables, files and views."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geocc.errors import InputError, WriteError
from geocc.table.atomic import replacing

if TYPE_CHECKING:
    import os

    import pandas as pd

__all__ = ["Evaluation"]

FORMAT = "geocc-evaluation-1"

_REFERENCE_NAMES = {
    "BLEU-1": "Bleu_1",
    "BLEU-2": "Bleu_2",
    "BLEU-3": "Bleu_3",
    "BLEU-4": "Bleu_4",
    "ROUGE-L": "ROUGE_L",
    "CIDEr": "CIDEr",
    "METEOR": "METEOR",
    "S*m": "Sm",
}


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Evaluation:
    """The figures of one set of predictions.

    Attributes:
        table: One row per figure: `subset` ("all", "changed", "unchanged"), `group` ("caption", "change", "probability",
            "content", "language"), `metric`, `value`, the 95 % bootstrap interval `ci_low`, `ci_high`, the number `n` of
            pairs it rests on, and `unit` ("points": times 100, "%", "0-1", "words", "count").
        samples: One row per pair: what was said, the truth, each metric of that caption alone (times 100), categories
            that no reference names (`unsupported`) and that it should have named (`missed`).
        baselines: The figures of answers that look at no image, on the same pairs.
        duplicates: Uids that came more than once, with how often.
        notes: What a reader of the figures must know, in sentences.
        settings: How it was computed.
        versions: What it was computed with.
    """

    table: pd.DataFrame
    samples: pd.DataFrame
    baselines: pd.DataFrame
    duplicates: dict[str, int]
    notes: tuple[str, ...]
    settings: dict[str, Any]
    versions: dict[str, str]

    @property
    def scores(self) -> dict[str, float]:
        """The caption metrics of all pairs as fractions, under the names of the reference's `score_metrics.txt`."""
        rows = self.table[(self.table["subset"] == "all") & (self.table["group"] == "caption")]
        return {_REFERENCE_NAMES[name]: value / 100 for name, value in zip(rows["metric"], rows["value"], strict=True)}

    def value(self, metric: str, *, subset: str = "all") -> float:
        """Return one figure of `table`.

        Args:
            metric: Its printed name, such as "S*m", "BLEU-4" or "recall".
            subset: "all", "changed" or "unchanged".

        Raises:
            InputError: There is no such figure.
        """
        rows = self.table[(self.table["subset"] == subset) & (self.table["metric"] == metric)]
        if rows.empty:
            known = ", ".join(self.table.loc[self.table["subset"] == subset, "metric"])
            raise InputError(f"there is no {metric!r} of subset {subset!r}; there are: {known or 'none'}.")
        return float(rows["value"].iloc[0])

    def to_dict(self, *, samples: bool = False) -> dict[str, Any]:
        """Return everything as JSON-safe values: NaN becomes None.

        Args:
            samples: Also the rows of single pairs.
        """
        content = {
            "format": FORMAT,
            "pairs": len(self.samples),
            "changed": int(self.samples["changed"].sum()),
            "settings": self.settings,
            "versions": self.versions,
            "duplicates": self.duplicates,
            "notes": list(self.notes),
            "table": _records(self.table),
            "baselines": _records(self.baselines),
        }
        return content | ({"samples": _records(self.samples)} if samples else {})

    def to_json(self, path: str | os.PathLike[str] | None = None, *, samples: bool = False) -> str:
        """Return everything as JSON, and write it to a file, whole or not at all.

        Args:
            path: The file to write; none when left out.
            samples: Also the rows of single pairs, with their captions.

        Returns:
            The text.

        Raises:
            WriteError: The file cannot be written.
        """
        text = json.dumps(self.to_dict(samples=samples), indent=1, ensure_ascii=False, allow_nan=False)
        if path is not None:
            write_text(text + "\n", Path(path))
        return text

    def __str__(self) -> str:
        from geocc.evaluation.report import as_text

        return as_text(self)

    def __repr__(self) -> str:
        return f"<Evaluation of {len(self.samples)} pairs>"

    def _repr_html_(self) -> str:
        from geocc.evaluation.report import as_html

        return as_html(self)


def write_text(text: str, path: Path) -> None:
    """Write a text file, whole or not at all.

    Raises:
        WriteError: It cannot be written.
    """
    try:
        with replacing(path) as draft:
            # A lone surrogate of a broken caption is no UTF-8: it is written as a question mark.
            draft.write_text(text, encoding="utf-8", errors="replace")
    except OSError as error:
        raise WriteError(f"{path} cannot be written: {error.strerror or error}") from error


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = table.to_dict("records")  # type: ignore[assignment]  # keys are texts
    return [{name: _plain(value) for name, value in row.items()} for row in rows]


def _plain(value: Any) -> Any:
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and not math.isfinite(value) else value
