"""Data sets whose captions stand in one JSON of the Karpathy kind: LEVIR-CC, LEVIR-MCI, SECOND-CC, WHU-CDC.

`{images: [{filepath: split, filename, split, changeflag, sentences: [{raw, tokens}]}]}`.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from geocc.data.readers.layout import Draft, Layout
from geocc.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["karpathy_items", "read_levir_cc", "read_levir_mci", "read_second_cc", "read_whu_cdc", "sentences"]


def karpathy_items(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield where each item of a caption file stands, and the item.

    Raises:
        ReadError: The file cannot be read.
        InputError: It is of another layout.
    """
    content = Layout.json(path)
    if not isinstance(content, dict) or not isinstance(content.get("images"), list):
        raise InputError(f"{path} has no list 'images'; expected a caption file as the data set ships it.")
    for number, item in enumerate(content["images"], start=1):
        where = f"{path}, image {number}"
        if not isinstance(item, dict) or not isinstance(item.get("filename"), str):
            raise InputError(f"{where}: 'filename' is missing; expected a caption file as the data set ships it.")
        yield where, item


def sentences(item: dict[str, Any]) -> list[Any]:
    """Return the captions of an item as they stand there: null and empty ones too."""
    found = item.get("sentences")
    if not isinstance(found, list):
        return []
    return [one.get("raw") if isinstance(one, dict) else one for one in found]


def read_levir_cc(root: Path) -> Iterator[Draft]:
    """Read LEVIR-CC: `LevirCCcaptions.json` and `images/{train,val,test}/{A,B}/*.png`, 256 x 256 at 0.5 m.

    `root` may also be the caption file itself, beside which the images are looked for. The layout of the images is
    that of the authors' README (github.com/Chen-Yang-Liu/LEVIR-CC-Dataset); the caption file was seen.
    """
    yield from _levir(root, mask=False)


def read_levir_mci(root: Path) -> Iterator[Draft]:
    """Read LEVIR-MCI: LEVIR-CC with masks of changed buildings and roads in `images/{split}/label/*.png`.

    The layout is that of the authors' README (github.com/Chen-Yang-Liu/Change-Agent); no file of it was seen.
    """
    yield from _levir(root, mask=True)


def read_whu_cdc(root: Path) -> Iterator[Draft]:
    """Read WHU-CDC: a caption file beside `images/{train,val,test}/{A,B}/*.png`, 256 x 256 at 0.075 m.

    That it is laid out as LEVIR-CC is known from others' code (README and loaders of DGAT and CoDeRNet on GitHub); the
    name of the caption file differs between them, so the only JSON file in the folder is taken. No file was seen.
    """
    yield from _levir(root, mask=False)


def _levir(root: Path, *, mask: bool) -> Iterator[Draft]:
    layout = Layout(root)
    if root.is_file():
        file, layout = root, Layout(root.parent)
    else:
        file = layout.find("LevirCCcaptions*.json", "*captions*.json", "*.json")
    for where, item in karpathy_items(file):
        split, name = _split(item, where), item["filename"]
        folder = str(item.get("filepath") or split)
        yield Draft(
            uid=PurePosixPath(name).stem,
            img1=layout.path("images", folder, "A", name),
            img2=layout.path("images", folder, "B", name),
            split=split,
            captions=sentences(item),
            changed=_flag(item, where),
            mask=layout.path("images", folder, "label", name) if mask else None,
        )


def read_second_cc(root: Path) -> Iterator[Draft]:
    """Read SECOND-CC: `SECOND-CC-AUG.json`, `{split}/rgb/{A,B}/*.png` and classes in `{split}/sem/{A,B}/*.png`.

    The layout is that of the authors' README (github.com/ChangeCapsInRS/SecondCC) and of others' loaders for `rgb` and
    `sem`; no file of it was seen.
    """
    layout = Layout(root)
    for where, item in karpathy_items(layout.find("SECOND-CC-AUG.json", "SECOND-CC*.json", "*.json")):
        split, name = _split(item, where), item["filename"]
        folder = str(item.get("filepath") or split)
        yield Draft(
            uid=f"{split}/{PurePosixPath(name).stem}",
            img1=layout.path(folder, "rgb", "A", name),
            img2=layout.path(folder, "rgb", "B", name),
            split=split,
            captions=sentences(item),
            changed=_flag(item, where),
            labels=(layout.path(folder, "sem", "A", name), layout.path(folder, "sem", "B", name)),
        )


def _split(item: dict[str, Any], where: str) -> str:
    split = item.get("split") or item.get("filepath")
    if not isinstance(split, str):
        raise InputError(f"{where}: neither 'split' nor 'filepath' names its part; expected train, val or test.")
    return split


def _flag(item: dict[str, Any], where: str) -> bool:
    flag = item.get("changeflag")
    if flag not in {0, 1, "0", "1"}:
        raise InputError(f"{where}: 'changeflag' is {flag!r}; expected 0 or 1.")
    return bool(int(flag))
