"""Tiles with captions, half of them unchanged: what a captioner learns from and is measured by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from geocc.data.synthetic.cover import COVER_CATEGORY, LABELS, Cover
from geocc.data.synthetic.facts import describe_tile
from geocc.data.synthetic.frame import Window
from geocc.data.synthetic.kinds import kind_map, label_images
from geocc.data.synthetic.scene import make_scene
from geocc.data.synthetic.wording import write_caption

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from geocc.data.synthetic.facts import TileDescription
    from geocc.data.synthetic.scene import SyntheticScene

__all__ = ["TilePair", "training_pairs"]

_CANDIDATES = 24
_MOST_HIDDEN = 0.4
_COVER_LABELS = np.array([LABELS[COVER_CATEGORY[cover]] for cover in Cover], dtype=np.uint8)


@dataclass(frozen=True, eq=False)
class TilePair:
    """A tile of a scene, with all that is known of it.

    Attributes:
        t1: `(3, tile_px, tile_px)` uint8, the earlier date.
        t2: The later date.
        caption: One sentence on what changed.
        description: What is known; never ambiguous.
        scene: The scene it was cut from.
        window: Where.
    """

    t1: NDArray[np.uint8]
    t2: NDArray[np.uint8]
    caption: str
    description: TileDescription
    scene: SyntheticScene
    window: Window

    @property
    def changed(self) -> bool:
        """Whether a change is visible."""
        return self.description.changed

    def kind_map(self, tokens: int) -> NDArray[np.float32]:
        """Return what changed where, in cells: dense truth for a model that cuts the tile into tokens.

        Args:
            tokens: Cells on a side; the tile's side must be a multiple of it.

        Returns:
            `(len(KINDS), tokens, tokens)` share of every cell that changed in every way, in [0, 1].

        Raises:
            InputError: The tile cannot be cut so.
        """
        return kind_map(self.scene.changes, self.window, tokens=tokens)

    def labels(self) -> NDArray[np.uint8]:
        """Return `(T=2, tile_px, tile_px)` what stood on changed ground at either date, as `LABELS`; 0 elsewhere."""
        return label_images(self.scene.changes, self.window)

    def ground(self) -> NDArray[np.uint8]:
        """Return `(T=2, tile_px, tile_px)` what lies or stands on all ground at either date, as `LABELS`; 0 where there is no data.

        Where the ground changed, it is what `labels` says.
        """
        at = self.window.rows, self.window.cols
        ground = np.stack([_COVER_LABELS[cover[at]] for cover in self.scene.covers])
        if self.scene.valid is not None:
            ground *= self.scene.valid[at]
        labels = self.labels()
        return np.where(labels > 0, labels, ground)


def training_pairs(
    seeds: Iterable[int],
    *,
    tile_px: int = 256,
    gsd_m: float | None = None,
    per_scene: int = 6,
    change_density: float = 0.35,
    nuisance: float = 1.0,
    max_shift_px: float = 1.5,
    domain: str = "vhr",
) -> Iterator[TilePair]:
    """Yield tiles of scenes, each changed one followed by an unchanged one of the same scene.

    A scene of twice the tile's side is made from every seed. It gives at most `per_scene / 2` tiles of either sort,
    as many of one as of the other, and none where one sort is not found. Ambiguous tiles are left out.

    Args:
        seeds: One scene is made from each.
        tile_px: Side of a tile in pixels.
        gsd_m: Side of a pixel in metres. Default: 0.5 for `vhr`, otherwise drawn.
        per_scene: Most tiles to cut from a scene.
        change_density: See `make_scene`.
        nuisance: See `make_scene`.
        max_shift_px: See `make_scene`.
        domain: See `make_scene`.
    """
    for seed in seeds:
        scene = make_scene(
            seed,
            size_px=2 * tile_px,
            gsd_m=gsd_m,
            change_density=change_density,
            nuisance=nuisance,
            max_shift_px=max_shift_px,
            domain=domain,
        )
        rng = np.random.default_rng([seed, 77])
        for changed, unchanged in _pick(rng, scene, tile_px=tile_px, most=per_scene // 2):
            yield _cut(rng, scene, changed)
            yield _cut(rng, scene, unchanged)


def _pick(
    rng: np.random.Generator, scene: SyntheticScene, *, tile_px: int, most: int
) -> list[tuple[tuple[Window, TileDescription], tuple[Window, TileDescription]]]:
    """Return windows with and without change, as many of one as of the other."""
    sorts: dict[bool, list[tuple[Window, TileDescription]]] = {True: [], False: []}
    for _ in range(_CANDIDATES):
        window = _random_window(rng, scene, tile_px)
        if _hidden(scene, window) > _MOST_HIDDEN:
            continue
        description = describe_tile(scene, window)
        if not description.ambiguous and len(sorts[description.changed]) < most:
            sorts[description.changed].append((window, description))
    return list(zip(sorts[True], sorts[False], strict=False))


def _hidden(scene: SyntheticScene, window: Window) -> float:
    """Return the share of a window that a date has no data for."""
    return 0.0 if scene.valid is None else 1 - float(scene.valid[window.rows, window.cols].mean())


def _random_window(rng: np.random.Generator, scene: SyntheticScene, tile_px: int) -> Window:
    """Return a window anywhere, or, half of the time, one that holds the middle of some change."""
    height, width = scene.change_mask.shape
    top, left = (int(rng.integers(0, side - tile_px + 1)) for side in (height, width))
    if scene.changes and rng.random() < 0.5:
        around = scene.changes[int(rng.integers(len(scene.changes)))].window
        y, x = around.top + around.height // 2, around.left + around.width // 2
        offset_y, offset_x = rng.integers(16, tile_px - 16, size=2)
        top = int(np.clip(y - offset_y, 0, height - tile_px))
        left = int(np.clip(x - offset_x, 0, width - tile_px))
    return Window(top=top, left=left, height=tile_px, width=tile_px)


def _cut(rng: np.random.Generator, scene: SyntheticScene, found: tuple[Window, TileDescription]) -> TilePair:
    """Cut a window out of both dates and write its caption."""
    window, description = found
    return TilePair(
        t1=scene.t1[:, window.rows, window.cols].copy(),
        t2=scene.t2[:, window.rows, window.cols].copy(),
        caption=write_caption(description.facts, rng),
        description=description,
        scene=scene,
        window=window,
    )
