"""Scenes of two dates, every change of which is known exactly."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from geocc.data.synthetic.change import Change, cover_changes
from geocc.data.synthetic.conditions import draw_conditions
from geocc.data.synthetic.domains import choose_domain
from geocc.data.synthetic.finish import Finish, blank, compress, draw_finish, resample
from geocc.data.synthetic.frame import Frame
from geocc.data.synthetic.sensor import MARGIN_PX, expose
from geocc.data.synthetic.village import building_changes, paint_village, plan_aerial, plan_vhr
from geocc.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from geopandas import GeoDataFrame
    from numpy.typing import NDArray
    from xarray import DataArray

    from geocc.data.synthetic.conditions import Conditions

    Mask = NDArray[np.bool_]

__all__ = ["Change", "SyntheticScene", "make_scene"]

# So many square metres at 0.5 m a pixel: elsewhere, as many pixels have as many changes.
_USUAL_PIXEL_M2 = 0.25
_SHARPER = 0.45


@dataclass(frozen=True, eq=False)
class SyntheticScene:
    """Two dates of a place that never was.

    Attributes:
        seed: What it was made from.
        gsd_m: Side of a pixel in metres.
        t1: `(3, height, width)` uint8 image of the earlier date, red, green, blue.
        t2: That of the later date.
        changes: Every change between them.
        change_mask: `(height, width)` where the ground changed. Shadows of what was built fall outside it.
        conditions: How either date is seen, the earlier first.
        covers: `(height, width)` uint8 `Cover` of either date.
        domain: Which imagery it is like: a key of `DOMAINS`.
        composite: What the three channels show: `rgb`; `nir` for near infrared, red, green; `swir` for shortwave infrared,
            near infrared, red.
        finish: How the image of either date was handled.
        valid: `(height, width)` where both dates have data; None where all of it is.
    """

    seed: int
    gsd_m: float
    t1: NDArray[np.uint8]
    t2: NDArray[np.uint8]
    changes: tuple[Change, ...]
    change_mask: Mask
    conditions: tuple[Conditions, Conditions]
    covers: tuple[NDArray[np.uint8], NDArray[np.uint8]]
    domain: str = "vhr"
    composite: str = "rgb"
    finish: tuple[Finish, Finish] = (Finish(), Finish())
    valid: Mask | None = None

    def to_xarray(self) -> tuple[DataArray, DataArray]:
        """Return both dates as rasters with a UTM CRS and a date, dimensions `(band, y, x)`."""
        from geocc.data.synthetic.georeference import to_xarray

        return to_xarray(self)

    def changes_frame(self) -> GeoDataFrame:
        """Return one row per change, with its categories, kind and outline in the CRS of the rasters."""
        from geocc.data.synthetic.georeference import changes_frame

        return changes_frame(self)

    def to_geotiffs(self, folder: str | Path) -> tuple[Path, Path]:
        """Write `t1.tif` and `t2.tif`, tiled and compressed, into a folder and return their paths."""
        from geocc.data.synthetic.georeference import to_geotiffs

        return to_geotiffs(self, folder)


def make_scene(
    seed: int,
    *,
    size_px: int | tuple[int, int] = 512,
    gsd_m: float | None = None,
    change_density: float = 0.35,
    nuisance: float = 1.0,
    max_shift_px: float = 1.5,
    domain: str = "vhr",
) -> SyntheticScene:
    """Make a scene of two dates.

    Equal arguments make equal scenes; no random state outside is read or touched.

    Args:
        seed: Any integer from 0.
        size_px: Side of a square scene in pixels, or `(height, width)`; each at least 32.
        gsd_m: Side of a pixel in metres. Things keep their size on the ground. Default: 0.5 for `vhr`, otherwise drawn.
        change_density: Mean number of change sites on a hectare of `vhr`, and on as many pixels elsewhere; 0 for a scene in
            which nothing changes.
        nuisance: How far season, sun, air and sensor differ between the dates, from 0 (not at all) to 1.
        max_shift_px: Largest misregistration between the dates in pixels, at most 2; 0 where `nuisance` is.
        domain: Which imagery the scene is like: a key of `DOMAINS`, or `all` to draw one.

    Raises:
        InputError: If an argument is outside its range.
    """
    height, width = (size_px, size_px) if isinstance(size_px, int) else size_px
    domain, gsd_m = choose_domain(np.random.default_rng([seed, 20252]), domain, gsd_m)
    _check(height=height, width=width, gsd_m=gsd_m, change_density=change_density, max_shift_px=max_shift_px)
    rng = np.random.default_rng([seed, 20251])
    frame = Frame(height=height, width=width, gsd_m=gsd_m).grown(MARGIN_PX)
    sites = change_density * (frame.hectares if domain == "vhr" else frame.height * frame.width * _USUAL_PIXEL_M2 / 1e4)
    wish = _Wish(seed=seed, domain=domain, frame=frame, sites=sites, nuisance=nuisance, max_shift_px=max_shift_px)
    if domain == "vhr":
        return _vhr(rng, wish)
    return _aerial(rng, wish) if domain == "aerial" else _landscape(rng, wish)


@dataclass(frozen=True, slots=True)
class _Wish:
    """What was asked for; `sites` is the mean number of change sites, and the frame has its margin."""

    seed: int
    domain: str
    frame: Frame
    sites: float
    nuisance: float
    max_shift_px: float


def _check(*, height: int, width: int, gsd_m: float, change_density: float, max_shift_px: float) -> None:
    """Refuse what no scene can be made of."""
    if min(height, width) < 32:
        raise InputError(f"size_px is {height} x {width}; a scene needs at least 32 pixels a side")
    if gsd_m <= 0 or change_density < 0:
        raise InputError(f"gsd_m is {gsd_m} and change_density {change_density}; expected > 0 and >= 0")
    if not 0 <= max_shift_px <= MARGIN_PX / 2:
        raise InputError(f"max_shift_px is {max_shift_px}; expected 0 to {MARGIN_PX / 2}")


def _vhr(rng: np.random.Generator, wish: _Wish) -> SyntheticScene:
    """Make a scene of the first domain, draw for draw as it has always been made."""
    draft = plan_vhr(rng, wish.frame, sites=wish.sites)
    look = paint_village(rng, draft)
    conditions = draw_conditions(rng, nuisance=wish.nuisance, max_shift_px=wish.max_shift_px)
    first, second = (expose(look(date, seen), seen, rng) for date, seen in enumerate(conditions))
    everywhere = np.ones_like(draft.touched)
    changes = [
        *cover_changes(draft.change_masks, draft.covers, valid=everywhere, margin=MARGIN_PX, judge=False),
        *building_changes(draft, valid=everywhere),
    ]
    return _scene(wish, images=(first, second), changes=changes, conditions=conditions, covers=draft.full_covers())


def _aerial(rng: np.random.Generator, wish: _Wish) -> SyntheticScene:
    """Make a scene of villages with all kinds of change."""
    draft = plan_aerial(rng, wish.frame, sites=wish.sites)
    look = paint_village(rng, draft)
    conditions, finish = _handling(rng, wish)
    images = [
        resample(look(date, seen), handled) for date, (seen, handled) in enumerate(zip(conditions, finish, strict=True))
    ]
    exposed = [expose(image, seen, rng) for image, seen in zip(images, conditions, strict=True)]
    valid = ~(blank(wish.frame, finish[0]) | blank(wish.frame, finish[1]))
    changes = [
        *cover_changes(draft.change_masks, draft.covers, valid=valid, margin=MARGIN_PX),
        *building_changes(draft, valid=valid),
    ]
    return _finished(
        wish, exposed=exposed, finish=finish, changes=changes, conditions=conditions, covers=draft.full_covers()
    )


def _landscape(rng: np.random.Generator, wish: _Wish) -> SyntheticScene:
    """Make a scene of fields, forests, waters and towns."""
    from geocc.data.synthetic.landscape import paint_landscape, plan_landscape

    land = plan_landscape(rng, wish.frame, sites=wish.sites)
    conditions, finish = _handling(rng, wish)
    composite, images = paint_landscape(rng, land, conditions, domain=wish.domain)
    softened = [resample(image, handled) for image, handled in zip(images, finish, strict=True)]
    exposed = [expose(image, seen, rng) for image, seen in zip(softened, conditions, strict=True)]
    valid = ~(blank(wish.frame, finish[0]) | blank(wish.frame, finish[1]))
    changes = cover_changes(land.change_masks, land.covers, valid=valid, margin=MARGIN_PX)
    return _finished(
        wish,
        exposed=exposed,
        finish=finish,
        changes=changes,
        conditions=conditions,
        covers=land.covers,
        composite=composite,
    )


def _handling(rng: np.random.Generator, wish: _Wish) -> tuple[tuple[Conditions, Conditions], tuple[Finish, Finish]]:
    """Draw how both dates are seen and handled. Optics blur less than in `vhr`: what blurs here is the resampling."""
    first, second = draw_conditions(rng, nuisance=wish.nuisance, max_shift_px=wish.max_shift_px)
    conditions = replace(first, blur=_SHARPER * first.blur), replace(second, blur=_SHARPER * second.blur)
    return conditions, draw_finish(rng, nuisance=wish.nuisance)


def _finished(
    wish: _Wish,
    *,
    exposed: list[NDArray[np.uint8]],
    finish: tuple[Finish, Finish],
    changes: list[Change],
    conditions: tuple[Conditions, Conditions],
    covers: tuple[NDArray[np.uint8], NDArray[np.uint8]],
    composite: str = "rgb",
) -> SyntheticScene:
    """Compress the images, take away what the collars hide, and describe the rest."""
    inner = (slice(MARGIN_PX, -MARGIN_PX),) * 2
    blanks = [blank(wish.frame, handled)[inner] for handled in finish]
    for image, handled, out in zip(exposed, finish, blanks, strict=True):
        image[...] = compress(image, handled)
        image[:, out] = 0
    hidden = blanks[0] | blanks[1]
    return _scene(
        wish,
        images=(exposed[0], exposed[1]),
        changes=changes,
        conditions=conditions,
        composite=composite,
        finish=finish,
        covers=covers,
        valid=~hidden if hidden.any() else None,
    )


def _scene(
    wish: _Wish,
    *,
    images: tuple[NDArray[np.uint8], NDArray[np.uint8]],
    changes: list[Change],
    conditions: tuple[Conditions, Conditions],
    covers: tuple[NDArray[np.uint8], NDArray[np.uint8]],
    **more: Any,
) -> SyntheticScene:
    """Put a scene together, the margin taken off the covers."""
    inner = (slice(MARGIN_PX, -MARGIN_PX),) * 2
    mask = np.zeros(images[0].shape[1:], dtype=bool)
    for change in changes:
        mask[change.window.rows, change.window.cols] |= change.mask
    return SyntheticScene(
        seed=wish.seed,
        gsd_m=wish.frame.gsd_m,
        t1=images[0],
        t2=images[1],
        changes=tuple(changes),
        change_mask=mask,
        conditions=conditions,
        covers=(covers[0][inner], covers[1][inner]),
        domain=wish.domain,
        **more,
    )
