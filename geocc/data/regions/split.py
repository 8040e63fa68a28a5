"""A split in space: every part is made of contiguous blocks, with ground between the parts that belongs to none.

Neighbouring tiles look alike, and overlapping ones share pixels: a part amid the other would measure memory. So the scene
is cut into blocks, each block along its longer side into one strip per part, and tiles that come too near to a strip of
another part (/) are left out:

    +-----------+-+---+
    |   train   |/|val|
    +-----------+-+---+
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import shapely

from geocc.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from geocc.scene.window import PixelWindow

    Centres = NDArray[np.float64]
    Parts = NDArray[np.int64]

__all__ = ["SPLITS", "split_windows"]

SPLITS = ("train", "val", "test")
"""What the parts are called, in order."""

_TRIES = 8
_TILES_PER_BLOCK = 250
_MOST_BLOCKS = 16


def split_windows(
    windows: Sequence[PixelWindow],
    fractions: Sequence[float],
    *,
    changed: Sequence[bool] | None = None,
    buffer: float = 0.0,
    blocks: int | None = None,
    seed: int = 0,
) -> Parts:
    """Deal tiles to the parts of a split.

    Of eight arrangements that the seed gives, the one is taken in which most parts hold changed tiles, and of these the
    one that loses fewest tiles between the parts. The smaller part keeps its tiles, the larger one loses them.

    Args:
        windows: The tiles, which may overlap.
        fractions: Share of each part, in the order of `SPLITS`; they add up to 1.
        changed: Whether each tile changed.
        buffer: Pixels between tiles of different parts; at 0 they may not touch either.
        blocks: Blocks of the scene that are each cut into all parts. Default: one for every 250 tiles, 16 at the most.
        seed: Another seed, another split.

    Returns:
        `(N,)` number of each tile's part, -1 for those left out between parts.

    Raises:
        InputError: The fractions, the buffer or the blocks cannot be used, or the scene is too small: a part would be
            empty.
    """
    _check(fractions, buffer=buffer, blocks=blocks, seed=seed)
    if len(fractions) == 1:
        return np.zeros(len(windows), dtype=np.int64)
    boxes = np.array([shapely.box(w.col, w.row, w.col + w.width, w.row + w.height) for w in windows], dtype=object)
    flags = np.ones(len(windows), dtype=bool) if changed is None else np.asarray(changed, dtype=bool)
    number = blocks or min(max(len(windows) // _TILES_PER_BLOCK, 1), _MOST_BLOCKS)
    if len(windows) < number * len(fractions):
        raise _too_small(len(windows), fractions, None)
    centres = np.array([(w.col + w.width / 2, w.row + w.height / 2) for w in windows])
    tries = []
    for attempt in range(_TRIES):
        parts = _deal(centres, fractions, blocks=number, rng=np.random.default_rng([seed, attempt]))
        parts = _guard(parts, boxes, fractions, buffer=buffer)
        empty = sum(not (parts == part).any() for part in range(len(fractions)))
        still = sum(not flags[parts == part].any() for part in range(len(fractions)))
        tries.append(((empty, still, int((parts < 0).sum()), attempt), parts))
    (empty, *_), best = min(tries, key=lambda one: one[0])
    if empty:
        raise _too_small(len(windows), fractions, best)
    return best


def _deal(centres: Centres, fractions: Sequence[float], *, blocks: int, rng: np.random.Generator) -> Parts:
    """Give every tile to a part, without looking at what lies beside it."""
    parts = np.empty(len(centres), dtype=np.int64)
    for block in _blocks(centres, np.arange(len(centres)), blocks):
        order = rng.permutation(len(fractions))
        counts = _counts(len(block), [fractions[part] for part in order])
        parts[_along(centres, block, rng)] = np.repeat(order, counts)
    return parts


def _blocks(centres: Centres, members: NDArray[np.int64], number: int) -> list[NDArray[np.int64]]:
    """Halve the tiles across their longer side, and the halves again, until there are so many blocks."""
    if number == 1:
        return [members]
    first = number // 2
    ordered = _along(centres, members, None)
    cut = round(len(members) * first / number)
    return _blocks(centres, ordered[:cut], first) + _blocks(centres, ordered[cut:], number - first)


def _along(centres: Centres, members: NDArray[np.int64], rng: np.random.Generator | None) -> NDArray[np.int64]:
    """Order tiles along the longer side of the ground that they cover; a square is cut either way, if there is a choice."""
    x, y = np.ptp(centres[members], axis=0)
    across = y > x if rng is None or not math.isclose(x, y) else bool(rng.integers(2))
    main, other = (1, 0) if across else (0, 1)
    ordered: NDArray[np.int64] = members[np.lexsort((centres[members, other], centres[members, main]))]
    return ordered


def _counts(total: int, fractions: Sequence[float]) -> NDArray[np.int64]:
    """Share tiles out, at least one to each part."""
    edges = np.rint(np.cumsum(fractions) * total).astype(np.int64)
    counts: NDArray[np.int64] = np.diff(edges, prepend=0)
    counts[-1] += total - counts.sum()
    while (counts < 1).any():
        counts[counts.argmin()] += 1
        counts[counts.argmax()] -= 1
    return counts


def _guard(parts: Parts, boxes: NDArray[np.object_], fractions: Sequence[float], *, buffer: float) -> Parts:
    """Take out of the larger parts what comes too near to a smaller one."""
    guarded = parts.copy()
    kept: list[NDArray[np.int64]] = []
    for part in sorted(range(len(fractions)), key=lambda part: fractions[part]):
        members = np.flatnonzero(parts == part)
        if kept and members.size:
            others = shapely.STRtree(boxes[np.concatenate(kept)])
            near = np.unique(others.query(boxes[members], predicate="dwithin", distance=buffer)[0])
            guarded[members[near]] = -1
            members = np.delete(members, near)
        kept.append(members)
    return guarded


def _check(fractions: Sequence[float], *, buffer: float, blocks: int | None, seed: int) -> None:
    if not 1 <= len(fractions) <= len(SPLITS) or not all(0 < one <= 1 for one in fractions):
        raise InputError(
            f"split={tuple(fractions)!r}; expected one to three shares above 0, for {', '.join(SPLITS)}, such as (0.8, 0.2)."
        )
    if not math.isclose(sum(fractions), 1, abs_tol=1e-6):
        raise InputError(f"the shares of split={tuple(fractions)!r} add up to {sum(fractions):g}; expected 1.")
    if not (buffer >= 0 and math.isfinite(buffer)):
        raise InputError(f"buffer={buffer!r}; expected pixels, from 0.")
    if blocks is not None and blocks < 1:
        raise InputError(f"blocks={blocks!r}; expected a whole number from 1, or None.")
    if seed < 0:
        raise InputError(f"seed={seed!r}; expected a whole number from 0.")


def _too_small(tiles: int, fractions: Sequence[float], parts: Parts | None) -> InputError:
    shares = ", ".join(f"{share:.0%} {name}" for name, share in zip(SPLITS, fractions, strict=False))
    left = ""
    if parts is not None:
        counts = [f"{name} {int((parts == part).sum())}" for part, name in enumerate(SPLITS[: len(fractions)])]
        left = f": {', '.join(counts)} and {int((parts < 0).sum())} between them"
    return InputError(
        f"the scene is too small for a split into {shares}: of {tiles} tiles with captions a part would be left without "
        f"one{left}. Take a smaller tile_size=, buffer= or blocks=, or fewer parts: split=(1.0,) makes training data only."
    )
