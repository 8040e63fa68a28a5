"""An evaluation as text and as HTML."""

from __future__ import annotations

import html
import math
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from geocc.evaluation.result import Evaluation

__all__ = ["as_html", "as_text"]

_TITLES = {
    "caption": "Captions, points",
    "change": "Change or none, from the captions, %",
    "probability": "Change or none, from change_probability",
    "content": "What, where, how many, on changed pairs, %",
    "language": "Language",
}


def as_text(evaluation: Evaluation) -> str:
    """Set the figures out for a terminal."""
    parts = [_headline(evaluation)]
    parts += [f"{title}\n{table.to_string()}" for title, table in _tables(evaluation)]
    if evaluation.notes:
        parts.append("\n".join(f"Note: {note}" for note in evaluation.notes))
    return "\n\n".join(parts)


def as_html(evaluation: Evaluation) -> str:
    """Set the figures out for a notebook. Everything that came from files is escaped."""
    parts = [f"<p><b>{html.escape(_headline(evaluation))}</b></p>"]
    for title, table in _tables(evaluation):
        parts.append(f"<h4>{html.escape(title)}</h4>{table.to_html(escape=True, border=0)}")
    parts += [f"<p>Note: {html.escape(note)}</p>" for note in evaluation.notes]
    return f'<div class="geocc-evaluation">{"".join(parts)}</div>'


def _headline(evaluation: Evaluation) -> str:
    changed = int(evaluation.samples["changed"].sum())
    total = len(evaluation.samples)
    return f"{total:,} pairs, {changed:,} changed and {total - changed:,} unchanged"


def _tables(evaluation: Evaluation) -> list[tuple[str, pd.DataFrame]]:
    groups = [
        (title, _spread(evaluation.table[evaluation.table["group"] == group], "metric", "subset"))
        for group, title in _TITLES.items()
        if (evaluation.table["group"] == group).any()
    ]
    if evaluation.baselines.empty:
        return groups
    floor = evaluation.baselines[evaluation.baselines["group"] == "caption"]
    for subset in ("all", "changed"):
        own = floor[floor["subset"] == subset]
        if not own.empty:
            groups.append(
                (f"Baselines that look at no image, {subset} pairs, points", _spread(own, "baseline", "metric"))
            )
    return groups


def _spread(rows: pd.DataFrame, index: str, columns: str) -> pd.DataFrame:
    cells: dict[str, dict[str, str]] = {}
    for row in rows.to_dict("records"):
        cells.setdefault(str(row[index]), {})[str(row[columns])] = _cell(row)
    names = list(dict.fromkeys(rows[columns]))
    return pd.DataFrame.from_dict(cells, orient="index", columns=names).fillna("")


def _cell(row: Any) -> str:
    value, unit = row["value"], row["unit"]
    if math.isnan(value):
        return "-"
    digits = {"count": 0, "0-1": 4, "words": 1}.get(unit, 2)
    low, high = row.get("ci_low", math.nan), row.get("ci_high", math.nan)
    shown = f"{value:,.{digits}f}"
    return shown if math.isnan(low) else f"{shown} [{low:.{digits}f}, {high:.{digits}f}]"
