"""A tile plan told to a reader: counts, what is left out and why, and what it will cost."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from geocc.scene.plan import TilePlan

__all__ = ["duration", "estimate", "plan_html"]

_RATES = (1.0, 10.0, 100.0)  # tiles per second: a laptop without a GPU, a workstation, a large GPU
_WORKING_BYTES = 700e6  # of a run beside the model: interpreter, packages, blocks and tiles on their way
_ROW_BYTES = 1000.0  # of a tile's row, from the journal to the written layer


def estimate(plan: TilePlan, *, tiles_per_second: float) -> dict[str, float]:
    """Seconds, and bytes of pixels and memory that a plan will take; see `TilePlan.estimate`."""
    pixels = int((plan.height * plan.width).sum())
    return {
        "seconds": len(plan) / tiles_per_second,
        "pixel_bytes": 6.0 * pixels,
        "memory_bytes": _WORKING_BYTES + _ROW_BYTES * len(plan),
    }


def duration(seconds: float) -> str:
    """Seconds as a person would say them."""
    for size, unit in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}" if seconds >= 20 * size else f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"


def plan_html(plan: TilePlan) -> str:
    """The plan as an HTML table."""
    facts: dict[str, Any] = plan.summary()
    (ground_x, ground_y), unit = facts["tile_ground"], facts["unit"]
    height, width = facts["scene_shape"]
    cost = estimate(plan, tiles_per_second=1.0)
    rows = {
        "tiles": f"{facts['tiles']:,}",
        **{f"left out, {why}": f"{count:,}" for why, count in facts["left_out"].items()},
        "tile size": f"{facts['tile_size']} px" + (f", stride {plan.stride} px" if plan.stride else ", by sampler"),
        "ground of a tile": f"{ground_x:.6g} x {ground_y:.6g} {unit}",
        "area of a tile": f"{facts['tile_area']:.6g} square {unit}",
        "scene": f"{width} x {height} px",
        "CRS": facts["crs"][:80],
        "time": ", ".join(f"{duration(len(plan) / rate)} at {rate:g} tiles/s" for rate in _RATES),
        "pixels to the model": f"{cost['pixel_bytes'] / 1e9:.3g} GB",
        "memory beside the model": f"about {cost['memory_bytes'] / 1e9:.1f} GB",
    }
    cells = "".join(f"<tr><th>{escape(key)}</th><td>{escape(value)}</td></tr>" for key, value in rows.items())
    return f"<table><caption>TilePlan</caption>{cells}</table>"
