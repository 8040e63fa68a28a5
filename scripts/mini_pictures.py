"""Two sheets of synthetic pairs for geocc-mini's card: six that it got right and six that it got wrong.

python scripts/mini_pictures.py geocc/model/weights/geocc-mini
"""

from __future__ import annotations

import argparse
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from geocc.data.synthetic import read_caption, training_pairs
from geocc.inference import CCExpertCaptioner, TileBatch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geocc.data.synthetic import TilePair

SCENES = range(210_000_000, 210_000_120)
SHOWN, COLUMNS, SIDE_PX, TEXT_PX, GAP_PX = 6, 3, 170, 62, 8
SHEETS = {True: "successes.jpg", False: "failures.jpg"}


def main() -> None:
    """Draw both sheets into the model's folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    draw_sheets(parser.parse_args().model)


def draw_sheets(model: Path) -> None:
    """Draw both sheets into the model's folder."""
    # One of each scene, changed and unchanged by turns, and all domains.
    pairs = [pair for at, pair in enumerate(training_pairs(SCENES, per_scene=2, domain="all")) if at % 4 in {0, 3}]
    images = np.stack([np.stack([pair.t1, pair.t2]) for pair in pairs])
    answers = CCExpertCaptioner.from_pretrained(model).caption(TileBatch(images, tuple(map(str, range(len(pairs))))))
    told = [(pair, answer.text) for pair, answer in zip(pairs, answers, strict=True)]
    for right, name in SHEETS.items():
        chosen = _varied([one for one in told if _right(*one) == right])
        _sheet(chosen).save(model / name, quality=50)
        print(f"{model / name}: {len(chosen)} pairs")


def _right(pair: TilePair, caption: str) -> bool:
    """Tell whether a caption names the largest change, its direction and its place and nothing untrue, or rightly none."""
    stated = read_caption(caption)
    if not pair.changed:
        return not stated
    facts = [(fact.category, fact.direction, fact.place) for fact in pair.description.facts]
    named = [(one.category, one.direction, one.place) for one in stated]
    return facts[0] in named and set(named) <= set(facts)


def _varied(told: Sequence[tuple[TilePair, str]]) -> list[tuple[TilePair, str]]:
    """Return pairs of as many domains as there are, changed ones first."""
    ordered = sorted(told, key=lambda one: not one[0].changed)
    by_domain: dict[str, list[tuple[TilePair, str]]] = {}
    for one in ordered:
        by_domain.setdefault(one[0].scene.domain, []).append(one)
    turns = [group[turn] for turn in range(SHOWN) for group in by_domain.values() if turn < len(group)]
    return turns[:SHOWN]


def _sheet(told: Sequence[tuple[TilePair, str]]) -> Image.Image:
    width, height = 2 * SIDE_PX + 2 * GAP_PX, SIDE_PX + TEXT_PX + GAP_PX
    sheet = Image.new("RGB", (COLUMNS * width, -(-len(told) // COLUMNS) * height), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    for at, (pair, said) in enumerate(told):
        x, y = at % COLUMNS * width, at // COLUMNS * height
        for date, image in enumerate((pair.t1, pair.t2)):
            picture = Image.fromarray(np.ascontiguousarray(image.transpose(1, 2, 0))).resize((SIDE_PX, SIDE_PX))
            sheet.paste(picture, (x + date * (SIDE_PX + 2), y))
        lines = [f"{pair.scene.gsd_m:.1f} m", *_wrapped("said", said), *_wrapped("true", pair.caption)]
        draw.multiline_text((x, y + SIDE_PX + 2), "\n".join([f"{lines[0]}  {lines[1]}", *lines[2:5]]), "black", font)
    return sheet


def _wrapped(label: str, text: str) -> list[str]:
    return textwrap.wrap(f"{label}: {text}", 54)[:2]


if __name__ == "__main__":
    main()
