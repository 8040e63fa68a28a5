"""Domains: at which scales, and by whose sensor, a scene is seen."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from geocc.errors import InputError

if TYPE_CHECKING:
    import numpy as np

__all__ = ["ALL", "DOMAINS", "Domain", "choose_domain"]

ALL = "all"


@dataclass(frozen=True, slots=True)
class Domain:
    """A kind of imagery.

    Attributes:
        finest_m: Smallest side of a pixel in metres.
        coarsest_m: Largest.
        usual_m: What it is where none is asked for; None to draw one.
        share: Share of it among scenes of all domains.
    """

    finest_m: float
    coarsest_m: float
    usual_m: float | None
    share: float

    def draw_gsd(self, rng: np.random.Generator) -> float:
        """Draw the side of a pixel in metres, evenly on a logarithmic scale."""
        return float(math.exp(rng.uniform(math.log(self.finest_m), math.log(self.coarsest_m))))


DOMAINS = {
    "vhr": Domain(0.4, 0.6, 0.5, 0.15),
    "aerial": Domain(0.5, 2.0, None, 0.25),
    "medium": Domain(3.0, 10.0, None, 0.35),
    "landsat": Domain(15.0, 30.0, None, 0.25),
}
"""`vhr`: the scenes that geocc-mini first learned from, of five kinds of change. `aerial`: all kinds of change that single
houses go with. `medium` and `landsat`: fields, rivers, lakes, forests and towns, in natural or false colours."""


def choose_domain(rng: np.random.Generator, name: str, gsd_m: float | None) -> tuple[str, float]:
    """Return a domain's name and the side of a pixel in metres.

    Args:
        rng: Chooses what is left open.
        name: A domain, or `all` for any of them.
        gsd_m: The side of a pixel, or None for one that the domain has.

    Raises:
        InputError: There is no such domain, or none of its sensors has such pixels.
    """
    if name != ALL and name not in DOMAINS:
        raise InputError(f"domain is {name!r}; expected {', '.join(map(repr, DOMAINS))} or {ALL!r}")
    if name == ALL:
        names = [one for one, domain in DOMAINS.items() if gsd_m is None or _sees(domain, gsd_m)]
        if not names:
            raise InputError(f"gsd_m is {gsd_m}; no domain has such pixels: leave it out, or name one domain")
        shares = [DOMAINS[one].share for one in names]
        name = names[int(rng.choice(len(names), p=[share / sum(shares) for share in shares]))]
        return name, DOMAINS[name].draw_gsd(rng) if gsd_m is None else gsd_m
    domain = DOMAINS[name]
    if gsd_m is None:
        gsd_m = domain.draw_gsd(rng) if domain.usual_m is None else domain.usual_m
    elif name != "vhr" and not _sees(domain, gsd_m):
        raise InputError(
            f"gsd_m is {gsd_m}; {name!r} has pixels of {domain.finest_m} to {domain.coarsest_m} m: leave it out, or name "
            f"another domain"
        )
    return name, gsd_m


def _sees(domain: Domain, gsd_m: float) -> bool:
    return domain.finest_m <= gsd_m <= domain.coarsest_m
