"""Any region as training data: tiles of two georeferenced rasters, captioned by what classes or spectral indices show.

The classes come from a pair of land-cover maps, or from water and vegetation indices of the pair itself. A pixel whose
index does not tell for sure is left out of both classes, so a caption may tell less than there is, and not more.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from scipy import ndimage

from geocc.data.masks.facts import change_kinds
from geocc.data.masks.mask import ChangeMask
from geocc.data.masks.vocabulary import INDICES, WORLDCOVER
from geocc.data.masks.writer import write_captions
from geocc.data.records import Record
from geocc.errors import InputError, WriteError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from geocc.data.masks.vocabulary import Vocabulary
    from geocc.data.masks.writer import Mode, Style
    from geocc.scene.pair import Raster, ScenePair
    from geocc.scene.window import PixelWindow

    Labels = NDArray[np.int64]
    # Classes of either date, and where they do not tell but something may have changed.
    _Labelled = tuple[Labels, Labels, NDArray[np.bool_]]

__all__ = ["WATER", "Indices", "caption_cover", "caption_indices"]

_EIGHT = np.ones((3, 3), dtype=bool)
WATER = 1
"""Class of water among those that indices tell."""
_VEGETATION, _GROUND = 2, 3
_FOLDERS = {
    "img1_path": "A", "img2_path": "B", "mask_path": "mask", "label1_path": "label1", "label2_path": "label2"
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Indices:
    """How water and vegetation are told from the bands of a raster.

    Water: NDWI = (green - NIR) / (green + NIR), or, with `swir`, MNDWI = (green - SWIR) / (green + SWIR), which also tells
    muddy rivers from sand. Vegetation: NDVI = (NIR - red) / (NIR + red). All are means over 3 x 3 pixels. Between the two bounds of an index nothing is told: give bounds as wide apart as the radiometry of the two
    dates is uncertain.

    Attributes:
        green: Green band, by name or number from 1.
        nir: Near-infrared band.
        red: Red band.
        swir: Short-wave infrared band around 1.6 um, for water by MNDWI (Xu 2006); None for NDWI.
        water: NDWI, or MNDWI, below which there is surely no water, and above which there surely is.
        vegetation: NDVI below which there is surely no vegetation, and above which there surely is.
        doubt: Difference of either index between the dates from which a pixel may have changed, whatever its classes.
    """

    green: int | str
    nir: int | str
    red: int | str
    swir: int | str | None = None
    water: tuple[float, float] = (0.0, 0.2)
    vegetation: tuple[float, float] = (0.2, 0.4)
    doubt: float = 0.15

    def classify(self, pixels: NDArray[np.uint8]) -> Labels:
        """Return the classes of one date.

        Args:
            pixels: `(bands, height, width)`, green, NIR and red, and SWIR where water is told by it.

        Returns:
            `(height, width)`: 1 water, 2 vegetation, 3 neither, 0 not sure.
        """
        ndwi, ndvi = self.measure(pixels)
        dry = ndwi < self.water[0]
        labels = np.zeros(ndwi.shape, dtype=np.int64)
        labels[ndwi > self.water[1]] = WATER
        labels[dry & (ndvi > self.vegetation[1])] = _VEGETATION
        labels[dry & (ndvi < self.vegetation[0])] = _GROUND
        return labels

    def may_have_changed(self, before: NDArray[np.uint8], after: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Return where the indices of two dates differ by more than `doubt`: there, nobody may say that nothing did."""
        pairs = zip(self.measure(before), self.measure(after), strict=True)
        differ = [np.abs(one - two) > self.doubt for one, two in pairs]
        return differ[0] | differ[1]

    @staticmethod
    def measure(pixels: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the index of water and that of vegetation, `(height, width)` each, in [-1, 1].

        Args:
            pixels: As in `classify`.
        """
        green, nir, red, *swir = (ndimage.uniform_filter(plane.astype(np.float64), size=3) for plane in pixels)
        return _ratio(green, swir[0] if swir else nir), _ratio(nir, red)


def caption_indices(
    t1: Raster,
    t2: Raster,
    folder: str | Path,
    *,
    name: str,
    indices: Indices,
    bands: tuple[Any, Any, Any] | None = None,
    align: str = "error",
    **options: Any,
) -> Iterator[Record]:
    """Cut a pair into tiles and caption what its water and vegetation indices show to have changed.

    Args:
        t1: Raster of the earlier date.
        t2: Raster of the later date.
        folder: Folder for the tiles' pictures; made if it is not there.
        name: Name of the pair, with which the uids begin; letters, digits, `-` and `_`.
        indices: How to tell water and vegetation.
        bands: Red, green and blue of the pictures; see `geocc.scene.open_pair`.
        align: See `geocc.scene.open_pair`.
        **options: `tile_size` and `stride` in pixels, `min_pixels` of a patch that counts, `count`, `style`, `mode` and
            `seed` of the captions (see `write_captions`), and further keys of the records in `fields`.

    Yields:
        A record for each tile of which at least 90 percent are valid in both dates, and of which it is clear that
        something changed, or that nothing did; others are fair examples of neither. Beside the pictures lie the mask
        (8 bits, 255 where it changed) and, where something did, the classes of either date (8 bits, the ids of
        `geocc.data.masks.INDICES`; 0 where nothing changed or the class is not known).

    Raises:
        GeoccError: A raster cannot be used; see `geocc.scene.open_pair`.
        InputError: The name cannot be used.
        WriteError: A picture cannot be written.
    """
    from geocc.scene import open_pair

    pictures = open_pair(t1, t2, bands=bands, align=align)
    spectral = [open_pair(t1, t2, bands=(indices.green, indices.nir, indices.red), align=align)]
    if indices.swir is not None:
        # With two bands beside it, for water may have no SWIR at all, which alone would count as no data.
        spectral.append(open_pair(t1, t2, bands=(indices.swir, indices.nir, indices.green), align=align))

    def labels(window: PixelWindow) -> _Labelled:
        tiles = [one.read(window) for one in spectral]
        valid = np.logical_and.reduce([tile.valid for tile in tiles])
        # (dates, green NIR red [SWIR], height, width)
        images = np.concatenate([tiles[0].image, *(tile.image[:, :1] for tile in tiles[1:])], axis=1)
        before, after = (np.where(valid, indices.classify(image), 0) for image in images)
        return before, after, valid & indices.may_have_changed(*images)

    yield from _tiles(pictures, Path(folder), name=name, labels=labels, vocabulary=INDICES, **options)


def caption_cover(
    t1: Raster,
    t2: Raster,
    covers: tuple[Raster, Raster],
    folder: str | Path,
    *,
    name: str,
    vocabulary: Vocabulary | None = None,
    bands: tuple[Any, Any, Any] | None = None,
    align: str = "error",
    **options: Any,
) -> Iterator[Record]:
    """Cut a pair into tiles and caption what land-cover maps of both dates show to have changed.

    Args:
        t1: Raster of the earlier date.
        t2: Raster of the later date.
        covers: Land-cover map of either date on the grid of the pair, classes in band 1 as uint8, 0 where unknown.
        folder: See `caption_indices`.
        name: See `caption_indices`.
        vocabulary: What the classes are called. Default: those of ESA WorldCover.
        bands: See `caption_indices`.
        align: For the rasters; the maps must lie on their common grid.
        **options: See `caption_indices`.

    Yields:
        A record for each tile of which at least 90 percent are valid in both dates, and of which it is clear that
        something changed, or that nothing did; others are fair examples of neither. Mask and classes lie beside the
        pictures as with `caption_indices`, the classes by the ids of the vocabulary.

    Raises:
        GeoccError: A raster cannot be used; see `geocc.scene.open_pair`.
        InputError: The maps lie on another grid, or hold a class without a name.
        WriteError: A picture cannot be written.
    """
    from geocc.scene import open_pair

    pictures = open_pair(t1, t2, bands=bands, align=align)
    maps = open_pair(*covers, bands=(1, 1, 1), align="error", resampling="nearest", scale=None)
    if maps.geobox != pictures.geobox:
        raise InputError(
            f"the land-cover maps lie on the grid {maps.geobox}, the rasters on {pictures.geobox}; warp the maps onto "
            "that grid with nearest-neighbour resampling first."
        )

    def labels(window: PixelWindow) -> _Labelled:
        tile = maps.read(window)
        before, after = (np.where(tile.valid, image[0], 0).astype(np.int64) for image in tile.image)
        return before, after, (before == 0) != (after == 0)

    words = WORLDCOVER if vocabulary is None else vocabulary
    yield from _tiles(pictures, Path(folder), name=name, labels=labels, vocabulary=words, **options)


def _tiles(
    pair: ScenePair,
    folder: Path,
    *,
    name: str,
    labels: Callable[[PixelWindow], _Labelled],
    vocabulary: Vocabulary,
    tile_size: int = 256,
    stride: int | None = None,
    min_pixels: int = 12,
    count: int = 5,
    style: Style = "plain",
    mode: Mode = "views",
    seed: int = 0,
    fields: dict[str, Any] | None = None,
) -> Iterator[Record]:
    from geocc.scene import plan_tiles

    if not name.replace("-", "").replace("_", "").isalnum():
        raise InputError(f"the name is {name!r}; expected letters, digits, '-' and '_'.")
    for window in plan_tiles(pair, tile_size=tile_size, stride=stride):
        tile = pair.read(window)
        if tile.valid.mean() < 0.9:
            continue
        before, after, doubtful = labels(window)
        mask = _without_specks(ChangeMask.from_to(before, after, vocabulary=vocabulary), min_pixels)
        uid = f"{name}_{window.row}_{window.col}"
        captions = write_captions(
            mask,
            count=count,
            style=style,
            mode=mode,
            seed=zlib.crc32(f"{seed} {uid}".encode()),
            complete=not mask.changed.any() and not _large_patches(doubtful, min_pixels).any(),
        )
        if not captions:  # neither a fair example of change nor of its absence
            continue
        pictures = {f"img{date}_path": np.moveaxis(image, 0, -1) for date, image in enumerate(tile.image, start=1)}
        yield Record.model_validate(
            {key: _save(folder / _FOLDERS[key] / f"{uid}.png", of) for key, of in (pictures | _layers(mask)).items()}
            | {
                "uid": uid,
                "change_flag": int(mask.changed.any()),
                "label_classes": sorted(vocabulary),
                "change_caption": captions,
                "change_kinds": change_kinds(mask),
                "caption_by": f"geocc masks {style} {mode}",
            }
            | (fields or {})
        )


def _layers(mask: ChangeMask) -> dict[str, NDArray[np.uint8]]:
    """Return the mask and, where something changed, the classes of either date, under the keys of their paths."""
    layers = {"mask_path": np.where(mask.changed, 255, 0).astype(np.uint8)}
    if mask.changed.any():
        layers["label1_path"] = np.where(mask.changed, mask.before, 0).astype(np.uint8)
        layers["label2_path"] = np.where(mask.changed, mask.after, 0).astype(np.uint8)
    return layers


def _without_specks(mask: ChangeMask, min_pixels: int) -> ChangeMask:
    """Take patches of change out that are smaller than the indices or maps can be trusted for."""
    return ChangeMask(_large_patches(mask.changed, min_pixels), mask.before, mask.after, mask.vocabulary)


def _large_patches(where: NDArray[np.bool_], min_pixels: int) -> NDArray[np.bool_]:
    patches, _ = ndimage.label(where, structure=_EIGHT)
    large = np.bincount(patches.ravel()) >= min_pixels
    large[0] = False
    kept: NDArray[np.bool_] = large[patches]
    return kept


def _save(path: Path, image: NDArray[np.uint8]) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    except OSError as error:
        raise WriteError(f"{path} cannot be written: {error}.") from error
    return path.absolute()


def _ratio(one: NDArray[np.float64], two: NDArray[np.float64]) -> NDArray[np.float64]:
    total = one + two
    return np.divide(one - two, total, out=np.zeros_like(total), where=total > 0)
