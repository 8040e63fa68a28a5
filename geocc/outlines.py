"""Where in its tile a change lies, and from what to what: outlines by a change scout for the changed tiles of a captioned layer."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from geocc.errors import InputError

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Sequence

    import geopandas as gpd
    import torch
    from numpy.typing import NDArray
    from odc.geo.geobox import GeoBox
    from shapely.geometry.base import BaseGeometry

    from geocc.data.regions import TileLabel
    from geocc.inference.scout import ScoutCaptioner
    from geocc.scene import ScenePair
    from geocc.scene.window import PixelWindow

__all__ = ["outline_changes"]

_AT_ONCE = 32
# Pixels: as far as a simplified outline may leave the stairs of the pixels' edges.
_STAIRS = 1.0


@dataclass(frozen=True, slots=True)
class _Patch:
    """Connected ground of a tile that changed.

    Attributes:
        outline: Its outline in pixels of the scene's grid, x to the right and y downwards.
        probability: Mean over its pixels.
        share: Of the tile.
        outlined: False for a whole tile in which nothing stood out.
        covers: What stood there at either date, likeliest of all pairs of two covers, and how likely the pair is; None where that
            is not known.
    """

    outline: BaseGeometry
    probability: float
    share: float
    outlined: bool
    covers: tuple[str, str, float] | None = None


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a scout says of a tile.

    Attributes:
        chances: `(H, W)` probability of change at each pixel, 0 where a date has no data.
        covers: `(T=2, covers, S, S)` probabilities of what stands in its cells; None from a scout without covers.
        names: Of the covers.
    """

    chances: NDArray[np.float32]
    covers: NDArray[np.float32] | None
    names: Sequence[str]


def outline_changes(
    changes: gpd.GeoDataFrame,
    ds_t1: Any,
    ds_t2: Any,
    *,
    scout: str | os.PathLike[str] | ScoutCaptioner = "geocc-scout",
    threshold: float = 0.5,
    min_share: float = 0.001,
    bands: Any = None,
    align: Literal["error", "t1", "t2"] | GeoBox = "error",
    resampling: str = "bilinear",
    scale: Any = "auto",
    nodata: float | None = None,
    device: str | torch.device | None = None,
    dtype: str | torch.dtype = "auto",
    output: str | os.PathLike[str] | None = None,
    progress: bool = True,
) -> gpd.GeoDataFrame:
    """Draw the outlines of what changed inside the changed tiles of a layer.

    A caption speaks of a tile; the outlines say where in it, and what stood there before and after. They are a change scout's,
    whichever model wrote the captions, and know nothing of the words: a tile whose caption tells of a house may have a mown
    meadow outlined as well. Only changed tiles are read.

    Args:
        changes: What `caption_changes` or `read_layer` returned, or a selection of its rows.
        ds_t1: The earlier date that it was made from; see `caption_changes`, as for all the arguments that it shares.
        ds_t2: The later date.
        scout: `geocc-scout`, a folder that `geocc.training.train_scout` wrote, or a `ScoutCaptioner`.
        threshold: Probability in (0, 1) from which a pixel counts as changed; a higher one draws tighter, and leaves more out.
        min_share: Patches that fill less than this share of their tile, in [0, 1), are left out.
        bands: Bands, as they were given to `caption_changes`.
        align: What to do about grids that differ, likewise.
        resampling: How warping interpolates, likewise.
        scale: How values become uint8, likewise.
        nodata: Value that marks missing pixels, likewise.
        device: Torch device; the fastest one present when left out.
        dtype: Torch dtype or its name; `"auto"` takes bfloat16 where the device computes faster in it.
        output: File to write the outlines to as well, in any format of `geocc.write_layer`.
        progress: Whether to show a bar.

    Returns:
        One row for every patch of changed ground, in the CRS of the common grid, with the columns `tile_id`, `caption`,
        `cover_t1` and `cover_t2` (what most likely stood there at either date; missing from a scout that tells no covers apart),
        `cover_probability` (of both at once, not calibrated), `change_probability` (mean over the patch), `share` (of the tile),
        `outlined` and `geometry`. A changed tile in which nothing reaches the threshold keeps one row with its footprint,
        `outlined` False and no covers.

    Raises:
        InputError: An argument cannot be used, `changes` is no layer of captions, or its tiles do not lie on the grid of
            the two rasters.
        ReadError: A raster cannot be opened or read.
        ModelNotFoundError: There is no such scout.
        CheckpointError: Its weights are no scout's, or damaged.
        WriteError: `output` cannot be written; said before the work starts where it can be known.

    Examples:
        >>> import geocc
        >>> dates = geocc.data.synthetic.make_scene(7, size_px=512).to_xarray()
        >>> changes = geocc.caption_changes(*dates, progress=False)
        >>> outlines = geocc.outline_changes(changes, *dates, progress=False)
        >>> bool(outlines.area.sum() < changes[changes["changed"]].area.sum())
        True
    """
    from geocc.data.regions import is_layer, label_layer
    from geocc.scene import open_pair
    from geocc.table import OUTLINES_LAYER_NAME, check_writable, write_outlines

    if not 0 < threshold < 1:
        raise InputError(f"threshold is {threshold}; expected a probability between 0 and 1, for example 0.5.")
    if not 0 <= min_share < 1:
        raise InputError(f"min_share is {min_share}; expected a share of a tile from 0 to below 1, for example 0.001.")
    if not is_layer(changes):
        raise InputError(
            f"changes has the columns {', '.join(map(str, changes.columns))}; expected a layer of change captions, as "
            "geocc.caption_changes returns it and geocc.read_layer reads it."
        )
    if output is not None:
        check_writable(output, layer=OUTLINES_LAYER_NAME)
    pair = open_pair(ds_t1, ds_t2, bands=bands, align=align, resampling=resampling, scale=scale, nodata=nodata)
    tiles = [tile for tile in label_layer(changes, pair.geobox, flag_from="changed").tiles if tile.changed]
    seer = _load(scout, device=device, dtype=dtype)
    settings = {"threshold": threshold, "min_share": min_share}
    found = [
        (tile, patch)
        for tile, seen in _look(tiles, pair, seer, progress=progress)
        for patch in _patches(seen, tile.window, threshold=threshold, min_share=min_share)
    ]
    layer = _frame(found, pair)
    layer.attrs["geocc"] = _metadata(changes, pair, seer, settings)
    if output is not None:
        write_outlines(layer, output)
    return layer


def _load(
    scout: str | os.PathLike[str] | ScoutCaptioner, *, device: str | torch.device | None, dtype: str | torch.dtype
) -> ScoutCaptioner:
    from geocc.inference.scout import ScoutCaptioner

    if isinstance(scout, ScoutCaptioner):
        return scout
    return ScoutCaptioner.from_pretrained(scout, device=device, dtype=dtype)


def _look(
    tiles: Sequence[TileLabel], pair: ScenePair, scout: ScoutCaptioner, *, progress: bool
) -> Iterator[tuple[TileLabel, _Seen]]:
    """Yield every tile with what the scout says of it."""
    from tqdm.auto import tqdm

    from geocc.inference.captioner import TileBatch

    with tqdm(total=len(tiles), unit="tile", desc="outlining", disable=not progress) as bar:
        for shape, alike in itertools.groupby(tiles, key=lambda tile: (tile.window.height, tile.window.width)):
            for part in _parts(alike, _AT_ONCE):
                read = [pair.read(tile.window) for tile in part]
                images = np.stack([one.image for one in read])
                maps = scout.maps(TileBatch(images, tuple(tile.tile_id for tile in part)))
                for number, (tile, one) in enumerate(zip(part, read, strict=True)):
                    chances = np.where(one.valid, _to_pixels(maps.change[number], shape), 0)
                    yield tile, _Seen(chances, None if maps.covers is None else maps.covers[number], scout.covers)
                bar.update(len(part))


def _parts(tiles: Iterator[TileLabel], size: int) -> Iterator[list[TileLabel]]:
    while part := list(itertools.islice(tiles, size)):
        yield part


def _to_pixels(cells: NDArray[np.float32], shape: tuple[int, int]) -> NDArray[np.float32]:
    """Bring a map of cells to the pixels of the tile, evenly between the middles of the cells."""
    from PIL import Image

    height, width = shape
    return np.asarray(Image.fromarray(cells).resize((width, height), Image.Resampling.BILINEAR))


def _patches(seen: _Seen, window: PixelWindow, *, threshold: float, min_share: float) -> Iterator[_Patch]:
    """Yield the connected ground that reaches the threshold, or else the whole tile."""
    import rasterio.features
    import scipy.ndimage
    import shapely
    from affine import Affine

    chances = seen.chances
    labels, count = scipy.ndimage.label(chances >= threshold)
    pixels = np.bincount(labels.ravel(), minlength=count + 1)
    kept = np.flatnonzero(pixels >= max(min_share * chances.size, 1))
    kept = kept[kept > 0]  # 0 is the ground around
    means = scipy.ndimage.mean(chances, labels, kept)
    place = Affine.translation(window.col, window.row)
    for geometry, label in rasterio.features.shapes(
        labels.astype(np.int32), mask=np.isin(labels, kept), transform=place
    ):
        number = int(label)
        yield _Patch(
            shapely.simplify(shapely.geometry.shape(geometry), _STAIRS),
            probability=float(means[np.searchsorted(kept, number)]),
            share=float(pixels[number] / chances.size),
            outlined=True,
            covers=_covers(seen, labels == number),
        )
    if not len(kept):
        whole = shapely.box(window.col, window.row, window.col + window.width, window.row + window.height)
        yield _Patch(whole, probability=float(chances.max()), share=1.0, outlined=False)


def _covers(seen: _Seen, patch: NDArray[np.bool_]) -> tuple[str, str, float] | None:
    """Return the likeliest pair of two covers of a patch, before and after, and how likely it is."""
    if seen.covers is None:
        return None
    side = seen.covers.shape[-1]
    rows, cols = np.nonzero(patch)
    cells = rows * side // patch.shape[0] * side + cols * side // patch.shape[1]
    pixels = np.bincount(cells, minlength=side * side)
    before, after = seen.covers.reshape(*seen.covers.shape[:2], -1) @ (pixels / pixels.sum())
    both = np.outer(before, after)
    np.fill_diagonal(both, 0)  # what stayed the same did not change
    first, second = map(int, np.unravel_index(both.argmax(), both.shape))
    return seen.names[first], seen.names[second], float(both[first, second])


def _frame(found: Sequence[tuple[TileLabel, _Patch]], pair: ScenePair) -> gpd.GeoDataFrame:
    import geopandas as gpd
    from shapely.affinity import affine_transform

    from geocc.scene.grid import grid_crs

    to_ground = pair.geobox.affine.to_shapely()
    ground = [affine_transform(patch.outline, to_ground) for _, patch in found]
    columns = {
        "tile_id": [tile.tile_id for tile, _ in found],
        "caption": [tile.captions[0] for tile, _ in found],
        "cover_t1": [patch.covers and patch.covers[0] for _, patch in found],
        "cover_t2": [patch.covers and patch.covers[1] for _, patch in found],
        "cover_probability": np.array(
            [patch.covers[2] if patch.covers else np.nan for _, patch in found], dtype=np.float64
        ),
        "change_probability": np.array([patch.probability for _, patch in found], dtype=np.float64),
        "share": np.array([patch.share for _, patch in found], dtype=np.float64),
        "outlined": np.array([patch.outlined for _, patch in found], dtype=bool),
    }
    frame = gpd.GeoDataFrame(columns, geometry=ground, crs=grid_crs(pair.geobox).proj)
    return frame.astype(dict.fromkeys(("tile_id", "caption", "cover_t1", "cover_t2"), "string"))


def _metadata(
    changes: gpd.GeoDataFrame, pair: ScenePair, scout: ScoutCaptioner, settings: dict[str, float]
) -> dict[str, Any]:
    from geocc._versions import versions
    from geocc.table.metadata import layer_metadata

    return {
        "scout": scout.details,
        "pair": pair.describe(),
        "parameters": settings,
        "layer": layer_metadata(changes),
        "versions": versions(),
    }
