"""Pictures of what geocc-scout sees: a sheet of pairs for its card, and a scene with outlines for the documentation.

python scripts/scout_pictures.py geocc/model/weights/geocc-scout docs/assets/outlines.jpg
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image, ImageDraw, ImageFont

import geocc
from geocc.data.synthetic import make_scene, training_pairs
from geocc.inference import ScoutCaptioner, TileBatch

if TYPE_CHECKING:
    import geopandas as gpd

OUTLINED_SCENE = 210_001_000
SCENES = range(210_000_000, 210_000_024)
SHOWN, COLUMNS, SIDE_PX, TEXT_PX, GAP_PX = 12, 3, 150, 18, 6


def main() -> None:
    """Draw the sheet into the model's folder, and the scene into a file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("scene", type=Path, nargs="?")
    arguments = parser.parse_args()
    draw_maps(arguments.model)
    if arguments.scene is not None:
        draw_outlines(arguments.model, arguments.scene)


def draw_maps(model: Path) -> None:
    """Draw the sheet into the model's folder: changed and unchanged pairs by turns, of all domains."""
    pairs = [pair for at, pair in enumerate(training_pairs(SCENES, per_scene=2, domain="all")) if at % 4 in {0, 3}]
    pairs = pairs[:SHOWN]
    images = np.stack([np.stack([pair.t1, pair.t2]) for pair in pairs])
    scout, batch = ScoutCaptioner.from_pretrained(model), TileBatch(images, tuple(map(str, range(len(pairs)))))
    told, maps = scout.caption(batch), scout.maps(batch).change
    width, height = 4 * SIDE_PX + GAP_PX, SIDE_PX + TEXT_PX + GAP_PX
    sheet = Image.new("RGB", (COLUMNS * width, -(-len(pairs) // COLUMNS) * height), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for at, (pair, answer, found) in enumerate(zip(pairs, told, maps, strict=True)):
        x, y = at % COLUMNS * width, at // COLUMNS * height
        truth = (pair.labels() > 0).any(axis=0)
        shown = [pair.t1.transpose(1, 2, 0), pair.t2.transpose(1, 2, 0), _grey(found), _grey(truth)]
        for number, picture in enumerate(shown):
            small = Image.fromarray(np.ascontiguousarray(picture)).resize((SIDE_PX, SIDE_PX), Image.Resampling.BILINEAR)
            sheet.paste(small, (x + number * SIDE_PX, y))
        words = f"{pair.scene.domain}, {pair.scene.gsd_m:.1f} m: {answer.change_probability:.0%} changed; in truth "
        pen.text((x, y + SIDE_PX), words + ("changed" if pair.changed else "unchanged"), fill="black", font=font)
    sheet.save(model / "maps.jpg", quality=85)


def draw_outlines(model: Path, target: Path) -> None:
    """Draw both dates of a scene with the outlines in its changed tiles, and the truth."""
    scene = make_scene(OUTLINED_SCENE, size_px=(512, 768), change_density=0.4)
    dates = scene.to_xarray()
    changes = geocc.caption_changes(*dates, progress=False)
    outlines = geocc.outline_changes(changes, *dates, scout=model, progress=False)
    left, bottom, right, top = dates[0].rio.bounds()
    figure, axes = plt.subplots(1, 2, figsize=(12, 4.1), layout="constrained")
    for axis, date in zip(axes, dates, strict=True):
        axis.imshow(date.values.transpose(1, 2, 0), extent=(left, right, bottom, top))
        _lines(changes, axis, "white", 0.5)
        _lines(scene.changes_frame(), axis, "red", 0.9)
        _lines(outlines, axis, "yellow", 1.5)
        axis.set_axis_off()
    figure.savefig(target, dpi=110, pil_kwargs={"quality": 85})


def _lines(frame: gpd.GeoDataFrame, axis: plt.Axes, colour: str, width: float) -> None:
    frame.boundary.plot(ax=axis, color=colour, linewidth=width)


def _grey(shares: np.ndarray) -> np.ndarray:
    return np.repeat((255 * shares.astype(np.float32)).astype(np.uint8)[..., None], 3, axis=-1)


if __name__ == "__main__":
    main()
