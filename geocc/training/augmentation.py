"""Augmentation that keeps a pair a pair and its caption true. All of it is off by default, as in the published recipe.

Both dates are flipped and cropped alike, and only where the caption stays true; the colours of each date change on their
own, as seasons and sensors make them. Ours: the reference's data set class augments nothing.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Literal

from PIL import Image, ImageEnhance
from pydantic import Field

from geocc.inference.no_change import says_no_change
from geocc.training.strict import Settings

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

__all__ = ["Augmentation", "augment", "augment_captions"]

Chance = Annotated[float, Field(ge=0, le=1)]
Pair = tuple[Image.Image, Image.Image]
Pictures = tuple[Image.Image, ...]


class Augmentation(Settings):
    """What may be done to a pair.

    Attributes:
        horizontal_flip: Chance that left and right change places.
        vertical_flip: Chance that top and bottom do.
        location_words: What happens to a caption that says where, such as "in the upper left corner": `keep_still`
            leaves the pair unflipped, `swap` flips it and exchanges the words. A caption with an ambiguous word
            ("right next to", "on top of") is never flipped along that word's axis.
        crop: Smallest share of either side that is kept; 1 for no crop. Only pairs without change are cropped: of the
            others, what changed might be cut off.
        colour: Greatest relative change of brightness, contrast and saturation, drawn for each date on its own; 0 for
            none. A caption that speaks of colours or brightness is left alone.
        temporal_swap: Chance that the dates change places, for pairs whose flag and caption both say that nothing
            changed: of them alone the caption is true both ways.
    """

    horizontal_flip: Chance = 0.0
    vertical_flip: Chance = 0.0
    location_words: Literal["keep_still", "swap"] = "keep_still"
    crop: Annotated[float, Field(gt=0, le=1)] = 1.0
    colour: Annotated[float, Field(ge=0, lt=1)] = 0.0
    temporal_swap: Chance = 0.0

    @property
    def off(self) -> bool:
        """Whether nothing is ever done."""
        return not (self.horizontal_flip or self.vertical_flip or self.colour or self.temporal_swap) and self.crop == 1


def augment(
    images: Pair, caption: str, *, changed: bool, settings: Augmentation, rng: random.Random
) -> tuple[Pair, str]:
    """Augment one pair with one caption; see `augment_captions`."""
    (earlier, later), (said,) = augment_captions(images, (caption,), changed=changed, settings=settings, rng=rng)
    return (earlier, later), said


def augment_captions(
    images: Pictures, captions: Sequence[str], *, changed: bool, settings: Augmentation, rng: random.Random
) -> tuple[Pictures, tuple[str, ...]]:
    """Augment one pair; nothing is done that would make one of its captions untrue.

    Args:
        images: Two RGB images, the earlier date first, and any maps of the pair behind them, such as its change mask,
            which are flipped and cropped alike; left as they are.
        captions: What is said of them.
        changed: Whether anything changed.
        settings: What may be done.
        rng: Source of randomness; the same state gives the same result.

    Returns:
        As many images, and the captions that are true of them.
    """
    unchanged = not changed and all(map(says_no_change, captions))
    swap = settings.location_words == "swap"
    for axis, chance in ((_HORIZONTAL, settings.horizontal_flip), (_VERTICAL, settings.vertical_flip)):
        if rng.random() < chance and all(axis.allows_flip(caption, swap=swap) for caption in captions):
            images = tuple(image.transpose(axis.flip) for image in images)
            captions = tuple(axis.exchange(caption) for caption in captions)
    if settings.crop < 1 and unchanged and not any(map(_PLACE.search, captions)):
        images = _crop(images, smallest=settings.crop, rng=rng)
    if settings.colour and not any(map(_COLOUR.search, captions)):
        images = (*(_jitter(image, settings.colour, rng) for image in images[:2]), *images[2:])
    if rng.random() < settings.temporal_swap and unchanged:
        images = (images[1], images[0], *images[2:])
    return images, tuple(captions)


class _Axis:
    """One way to flip, and the words that it makes untrue."""

    def __init__(self, flip: Image.Transpose, opposites: dict[str, str], *, ambiguous: str) -> None:
        self.flip = flip
        self._opposites = opposites | {value: key for key, value in opposites.items()}
        around = "(?:north|south|upper|lower|top|bottom|left|right|east|west|-)*"
        ends = "(?:ern|erly|most|wards?|hand|sides?)?"
        core = "|".join(self._opposites)
        self._words = re.compile(rf"\b{around}(?:{core}){around}{ends}\b", re.IGNORECASE)
        self._core = re.compile(core, re.IGNORECASE)
        self._ambiguous = re.compile(ambiguous, re.IGNORECASE)

    def allows_flip(self, caption: str, *, swap: bool) -> bool:
        if self._ambiguous.search(caption):
            return False
        return swap or not self._words.search(caption)

    def exchange(self, caption: str) -> str:
        return self._words.sub(lambda word: self._core.sub(self._opposite, word[0]), caption)

    def _opposite(self, word: re.Match[str]) -> str:
        other = self._opposites[word[0].lower()]
        if word[0].isupper():
            return other.upper()
        return other.capitalize() if word[0][0].isupper() else other


_HORIZONTAL = _Axis(
    Image.Transpose.FLIP_LEFT_RIGHT,
    {"left": "right", "east": "west"},
    # What is left over, what lies right there, and turns, which a flip reverses.
    ambiguous=r"\bright[ -](?:next|beside|behind|there|here|in front|above|below|after|angle\w*|of way)\b"
    r"|\bleft (?:behind|over|out|un\w+|empty|vacant|bare|with|only)\b|\b(?:is|are|was|were|been|be) left\b|clockwise",
)
_VERTICAL = _Axis(
    Image.Transpose.FLIP_TOP_BOTTOM,
    {"top": "bottom", "upper": "lower", "north": "south", "above": "below"},
    ambiguous=r"\bon top of\b|\btops\b|\blower(?:ed|ing|s)\b|\blower (?!left|right|part|half|side|edge|corner|end|cent)"
    r"|\b(?:over|under|beneath|underneath|up|down)\b|clockwise",
)
_PLACE = re.compile(
    r"\b(?:left|right|top|bottom|upper|lower|north|south|east|west|above|below|corner|edge|border|side|middle|cent(?:er|re))",
    re.IGNORECASE,
)
_COLOUR = re.compile(
    r"\b(?:colou?r|bright|dark|pale|shad|green|brown|red\b|reddish|blue|white|black|gr[ae]y|yellow|orange)",
    re.IGNORECASE,
)


def _crop(images: Pictures, *, smallest: float, rng: random.Random) -> Pictures:
    kept, left, top = rng.uniform(smallest, 1), rng.random(), rng.random()

    def cut(image: Image.Image) -> Image.Image:
        # In shares, not pixels: the two dates may differ in size.
        width, height = max(1, round(image.width * kept)), max(1, round(image.height * kept))
        x, y = round((image.width - width) * left), round((image.height - height) * top)
        return image.crop((x, y, x + width, y + height))

    return tuple(cut(image) for image in images)


def _jitter(image: Image.Image, strength: float, rng: random.Random) -> Image.Image:
    for enhance in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        image = enhance(image).enhance(rng.uniform(1 - strength, 1 + strength))
    return image
