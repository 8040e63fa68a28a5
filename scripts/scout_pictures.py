"""A sheet of synthetic pairs for geocc-scout's card: both dates, where it sees change, and where change is.

python scripts/scout_pictures.py geocc/model/weights/geocc-scout
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from geocc.data.synthetic import training_pairs
from geocc.inference import ScoutCaptioner, TileBatch
from geocc.model import ChangeScout

SCENES = range(210_000_000, 210_000_024)
SHOWN, COLUMNS, SIDE_PX, TEXT_PX, GAP_PX = 12, 3, 150, 18, 6


def main() -> None:
    """Draw the sheet into the model's folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    draw_maps(parser.parse_args().model)


def draw_maps(model: Path) -> None:
    """Draw the sheet into the model's folder: changed and unchanged pairs by turns, of all domains."""
    pairs = [pair for at, pair in enumerate(training_pairs(SCENES, per_scene=2, domain="all")) if at % 4 in {0, 3}]
    pairs = pairs[:SHOWN]
    images = np.stack([np.stack([pair.t1, pair.t2]) for pair in pairs])
    told = ScoutCaptioner.from_pretrained(model).caption(TileBatch(images, tuple(map(str, range(len(pairs))))))
    scout = ChangeScout.from_pretrained(model, dtype=torch.float32).eval()
    with torch.inference_mode():
        maps = scout(scout.pixel_values(torch.from_numpy(images))).map_logits.sigmoid().numpy()
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


def _grey(shares: np.ndarray) -> np.ndarray:
    return np.repeat((255 * shares.astype(np.float32)).astype(np.uint8)[..., None], 3, axis=-1)


if __name__ == "__main__":
    main()
