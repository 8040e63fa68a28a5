"""The model cards of geocc-mini and geocc-scout, written from what was measured."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import safe_open

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

TEMPLATE = Path(__file__).parent / "mini/card.md"
SCOUT_TEMPLATE = Path(__file__).parent / "scout/card.md"
WEIGHTS = "model.safetensors"
BREAKDOWNS = {
    "domain": "By domain",
    "gsd": "By size of a pixel",
    "misregistration": "By misregistration",
    "kind": "By kind of change, the largest of the tile",
}
GROUPS = ("held out", "held out, naip", "held out, landsat")
COLUMNS = {
    "pairs": "pairs",
    "accuracy": "flag right",
    "auroc": "AUROC",
    "ece": "calibration error",
    "category_f1": "F1 of kinds",
    "kind": "largest named",
    "place": "its place right",
}
SCOUT_COLUMNS = ("pairs", "accuracy", "auroc", "ece")
"""A scout names nothing."""


def write_card(folder: Path, measures: Path, *, minutes: float) -> None:
    """Write `README.md` into the model's folder and the digest of its weights beside it.

    Args:
        folder: The model's folder.
        measures: Folder with `synthetic/results.json` of `geocc benchmark` and `real.json` of `benchmarks/mini_real.py`.
        minutes: How long training took, all legs together.
    """
    _write(folder, measures, TEMPLATE, minutes=minutes, columns=tuple(COLUMNS))


def write_scout_card(folder: Path, measures: Path, *, minutes: float) -> None:
    """Write the scout's card; arguments as for `write_card`."""
    _write(folder, measures, SCOUT_TEMPLATE, minutes=minutes, columns=SCOUT_COLUMNS)


def _write(folder: Path, measures: Path, template: Path, *, minutes: float, columns: Sequence[str]) -> None:
    weights = folder / WEIGHTS
    with safe_open(weights, "pt") as file:
        parameters = sum(file.get_tensor(name).numel() for name in file.keys())  # noqa: SIM118  # no mapping
    synthetic = json.loads((measures / "synthetic/results.json").read_text())["breakdown"]
    real = json.loads((measures / "real.json").read_text())
    speaks = "kind" in columns
    questions = [row for row in real["pairs"] if speaks or row["question"].endswith("called changed")]
    text = template.read_text()
    filled = {
        "PARAMETERS": f"{parameters / 1e6:.1f}",
        "MEGABYTES": f"{weights.stat().st_size / 1e6:.1f}",
        "MINUTES": f"{minutes:.0f}",
        "SYNTHETIC": _synthetic(synthetic, columns),
        "REAL": _real(questions),
        "COPIES": _copies(real["copies"]),
    }
    for name, value in filled.items():
        text = text.replace(f"<{name}>", value)
    (folder / "README.md").write_text(text, encoding="utf-8")
    _write_digest(weights)


def _write_digest(weights: Path) -> None:
    """Put the digest of a model's weights among those of the others."""
    name, sums = f"{weights.parent.name}/{weights.name}", weights.parent.parent / "SHA256SUMS"
    lines = sums.read_text(encoding="utf-8").splitlines() if sums.exists() else []
    others = [line for line in lines if not line.endswith(f"  {name}")]
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    sums.write_text("\n".join(sorted([*others, f"{digest}  {name}"], key=_name)) + "\n", encoding="utf-8")


def _name(line: str) -> str:
    return line.rsplit(maxsplit=1)[-1]


def _synthetic(rows: list[dict[str, Any]], columns: Sequence[str]) -> str:
    """Return a table for each way to group the synthetic pairs, the whole first."""
    titles = [COLUMNS[column] for column in columns]
    parts = [_table(["", *titles], (_figures(row, "all pairs", columns) for row in rows if row["by"] == "all"))]
    for by, title in BREAKDOWNS.items():
        lines = (_figures(row, row["group"], columns) for row in rows if row["by"] == by)
        parts.append(_table([title, *titles], lines))
    return "\n\n".join(parts)


def _figures(row: dict[str, Any], name: str, columns: Sequence[str]) -> list[str]:
    return [name, *(_number(row[column]) for column in columns)]


def _real(rows: list[dict[str, Any]]) -> str:
    """Return what was said of held-out tiles of two dates."""
    chosen = [row for row in rows if row["of"] and row["group"] in GROUPS]
    lines = (
        [row["question"], row["group"], str(row["of"]), f"{100 * row['share']:.1f}", _interval(row)] for row in chosen
    )
    return _table(["tiles of two dates", "group", "tiles", "percent", "95 % interval"], lines)


def _copies(rows: list[dict[str, Any]]) -> str:
    """Return how often a date beside a copy of itself was called unchanged."""
    lines = ([row["copy"], row["group"], str(row["of"]), f"{100 * row['share']:.1f}", _interval(row)] for row in rows)
    return _table(["one date beside", "series", "tiles", "said unchanged, percent", "95 % interval"], lines)


def _interval(row: dict[str, Any]) -> str:
    return f"{100 * row['low']:.1f}-{100 * row['high']:.1f}"


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return str(value) if isinstance(value, int) else f"{value:.3f}"


def _table(head: list[str], lines: Iterable[list[str]]) -> str:
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
