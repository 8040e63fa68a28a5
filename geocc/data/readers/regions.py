"""Remote-sensing sets of other layouts: SYSU-CD and SECOND with masks alone, DUBAI-CC and RSCC with captions alone."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from geocc.data.readers.karpathy import karpathy_items, sentences
from geocc.data.readers.layout import Draft, Layout
from geocc.data.synthetic.wording import NO_CHANGE
from geocc.errors import InputError, ReadError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["read_dubai_cc", "read_rscc", "read_second", "read_sysu_cd"]

_SPLITS = ("train", "val", "test")


def read_sysu_cd(root: Path) -> Iterator[Draft]:
    """Read SYSU-CD: `{train,val,test}/{time1,time2,label}/*.png`, 256 x 256 at 0.5 m. It has no captions.

    The layout is known from others' loaders of the archive of github.com/liumency/SYSU-CD, some of which rename the
    folders to `A`, `B`; both are read. No file of it was seen.
    """
    layout = Layout(root)
    for split in _present(layout):
        part = Layout(root / split)
        earlier, later = part.require("time1", "A"), part.require("time2", "B")
        masks = part.require("label", "OUT")
        for name in Layout.names(earlier, later):
            yield Draft(
                uid=f"{split}/{PurePosixPath(name).stem}",
                img1=earlier / name,
                img2=later / name,
                split=split,
                mask=masks / name,
            )


def read_second(root: Path) -> Iterator[Draft]:
    """Read SECOND: `{train,test}/{im1,im2,label1,label2}/*.png`, 512 x 512; the labels are white where nothing changed.

    Classes by colour: (128,128,128) ground, (0,128,0) low vegetation, (0,255,0) trees, (0,0,255) water, (128,0,0)
    buildings, (255,0,0) playgrounds. Layout and colours are known from others' loaders (CDFNet, UFCD, SECONDataset on
    GitHub); no file of it was seen. It has no captions.
    """
    layout = Layout(root)
    splits = _present(layout) if layout.first(*_SPLITS) else ("",)
    for split in splits:
        part = Layout(root / split)
        for name in Layout.names(part.require("im1"), part.require("im2")):
            stem = PurePosixPath(name).stem
            yield Draft(
                uid=f"{split}/{stem}" if split else stem,
                img1=part.root / "im1" / name,
                img2=part.root / "im2" / name,
                split=split or "train",  # only the training part was ever given out with labels in one folder
                labels=(part.root / "label1" / name, part.root / "label2" / name),
            )


def read_dubai_cc(root: Path) -> Iterator[Draft]:
    """Read DUBAI-CC: `imgs_tiles/RGB/{500_2000,500_2010}/*.tif`, 50 x 50 at 30 m, and a caption file for each split.

    The set has no change flag: a pair is unchanged if one of its captions is one of the sentences for no change, as
    the authors' followers take it. Layout and file names are known from others' loaders (Chg2Cap, DCPNet) and notes
    on the archive `datasetDubaiCCPublic`; no file of it was seen.
    """
    layout = Layout(root)
    for split, word in zip(_SPLITS, ("Train", "Validation", "Test"), strict=True):
        for where, item in karpathy_items(
            layout.find(f"captions/*{word}*.json", f"description*/*{word}*.json", f"*/*{word.lower()}*.json")
        ):
            captions = sentences(item)
            yield Draft(
                uid=f"{split}/{PurePosixPath(item['filename']).stem}",
                img1=layout.path("imgs_tiles", "RGB", "500_2000", item["filename"]),
                img2=layout.path("imgs_tiles", "RGB", "500_2010", item["filename"]),
                split=split,
                captions=captions,
                changed=not any(_says_nothing_changed(caption) for caption in captions),
                extra={"caption_file": where},
            )


#: How DUBAI-CC's annotators say it, beside LEVIR-CC's five sentences.
_UNCHANGED = (
    "no change",
    "nothing has changed",
    "nothing changed",
    "remain the same",
    "remained the same",
    "no difference",
)


def _says_nothing_changed(caption: object) -> bool:
    text = str(caption or "").lower()
    return any(phrase in text for phrase in (*_UNCHANGED, *NO_CHANGE))


def read_rscc(root: Path) -> Iterator[Draft]:
    """Read RSCC: `RSCC_qvq.jsonl` of `{pre_image, post_image, change_caption}`, its paths from the folder.

    The captions were written by a model (QvQ-Max) over xBD and EBD, and every pair shows a disaster, so all are taken
    as changed. Known from others' loaders of huggingface.co/datasets/BiliSakura/RSCC; no file of it was seen. The set
    gives no split in this file: the list of its test pairs, `test_set.txt` or `val_set.txt`, is heeded where it is there.
    """
    layout = Layout(root)
    held_out = _held_out(layout)
    path = layout.find("RSCC_qvq.jsonl", "*.jsonl")
    for number, item in Layout.json_lines(path):
        pre, post = (item.get(key) if isinstance(item, dict) else None for key in ("pre_image", "post_image"))
        if not (isinstance(pre, str) and isinstance(post, str)):
            raise InputError(
                f"{path}, line {number}: 'pre_image' or 'post_image' is missing; expected RSCC's own file."
            )
        yield Draft(
            uid=str(PurePosixPath(post).with_suffix("")),
            img1=layout.path(pre),
            img2=layout.path(post),
            split=held_out.get(pre, held_out.get(post, "train")),
            captions=[item.get("change_caption")],
            changed=True,
            extra={"caption_by": "QvQ-Max"},
        )


def _held_out(layout: Layout) -> dict[str, str]:
    """Return the split of every path that a list of held-out pairs names."""
    return {
        name.strip(): split
        for split in ("val", "test")
        if (file := layout.first(f"{split}_set.txt")) is not None
        for name in Layout.text(file).splitlines()
        if name.strip()
    }


def _present(layout: Layout) -> tuple[str, ...]:
    found = tuple(split for split in _SPLITS if (layout.root / split).is_dir())
    if not found:
        raise ReadError(
            f"{layout.root} holds none of {', '.join(_SPLITS)}; give the folder that the set was unpacked to."
        )
    return found
