"""Landscapes: fields, forests, rivers, lakes and towns as sensors of 3 to 30 m see them."""

from __future__ import annotations

from geocc.data.synthetic.landscape.paint import paint_landscape
from geocc.data.synthetic.landscape.plan import plan_landscape

__all__ = ["paint_landscape", "plan_landscape"]
