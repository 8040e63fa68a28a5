"""The natural-image sources of CC-Foundation: ChangeSim, CLEVR-Change, Image-Editing-Request, Spot-the-Diff, STVchrono."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from geocc.data.readers.layout import Draft, Layout
from geocc.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["read_changesim", "read_clevr_change", "read_image_editing_request", "read_spot_the_diff", "read_stvchrono"]


def read_changesim(root: Path) -> Iterator[Draft]:
    """Read ChangeSim: `Query_Seq_{Train,Test}/Warehouse_*/Seq_*/{rgb,t0/rgb,change_segmentation}/*.png`, 640 x 480.

    `t0/rgb` is the same view at the earlier time, `rgb` at the later. It has no captions. The layout is that of the
    authors' loader (github.com/SAMMiCA/ChangeSim, script/dataloader.py), which takes `Seq_0` and `Seq_1` alone, the
    ones in ordinary light; so does this. No file of it was seen.
    """
    layout = Layout(root)
    for split, part in (("train", "Query_Seq_Train"), ("test", "Query_Seq_Test")):
        folder = layout.first(part, f"Localization/{part}")
        for rgb in sorted(folder.glob("*/Seq_[01]/rgb")) if folder else ():
            sequence = rgb.parent
            for name in Layout.names(sequence / "t0" / "rgb", rgb):
                yield Draft(
                    uid=f"{split}/{sequence.parent.name}/{sequence.name}/{PurePosixPath(name).stem}",
                    img1=sequence / "t0" / "rgb" / name,
                    img2=rgb / name,
                    split=split,
                    mask=sequence / "change_segmentation" / name,
                )
    layout.require("Query_Seq_Train", "Query_Seq_Test", "Localization")


def read_clevr_change(root: Path) -> Iterator[Draft]:
    """Read CLEVR-Change: `{images,sc_images,nsc_images}/CLEVR_{default,semantic,nonsemantic}_000000.png`.

    `change_captions.json` and `no_change_captions.json` give the captions of each default image, `splits.json` the
    numbers of each split. Every scene makes two pairs: one with a change, one with another view and light alone. The
    layout is known from the authors' repository (github.com/Seth-Park/RobustChangeCaptioning) and others' loaders of
    it; no file of it was seen.
    """
    layout = Layout(root if (root / "splits.json").exists() else root / "data")
    captions = {
        changed: Layout.json(layout.require(name))
        for changed, name in ((True, "change_captions.json"), (False, "no_change_captions.json"))
    }
    for split, numbers in Layout.json(layout.require("splits.json")).items():
        for number in numbers:
            name = f"{int(number):06d}.png"
            for changed, folder, kind in ((True, "sc_images", "semantic"), (False, "nsc_images", "nonsemantic")):
                yield Draft(
                    uid=f"{kind}_{int(number):06d}",
                    img1=layout.path("images", f"CLEVR_default_{name}"),
                    img2=layout.path(folder, f"CLEVR_{kind}_{name}"),
                    split=str(split),
                    captions=captions[changed].get(f"CLEVR_default_{name}") or [],
                    changed=changed,
                )


def read_image_editing_request(root: Path) -> Iterator[Draft]:
    """Read Image-Editing-Request: `{train,valid,test}.json` of `{uid, img0, img1, sents}` and the images in `images`.

    The captions are requests to edit ("make the sky bluer"), as the set has them. The fields are those of the authors'
    README (github.com/airsplay/VisualRelationships); where the images lie is known from others' loaders. No file seen.
    """
    layout = Layout(root)
    folder = layout.first("images") or root
    for split in ("train", "valid", "test"):
        file = layout.first(f"{split}.json", f"data/{split}.json")
        if file is None:
            continue
        for number, item in enumerate(_items(file), start=1):
            where = f"{file}, item {number}"
            yield Draft(
                uid=str(item.get("uid") or f"{split}_{number}"),
                img1=Layout(folder).path(_name(item, "img0", where)),
                img2=Layout(folder).path(_name(item, "img1", where)),
                split="val" if split == "valid" else split,
                captions=_list(item.get("sents")),
                changed=True,
            )
    layout.require("train.json", "valid.json", "test.json", "data")


def read_spot_the_diff(root: Path) -> Iterator[Draft]:
    """Read Spot-the-Diff: `annotations/{train,val,test}.json` of `{img_id, sentences}`, images `ID.png` and `ID_2.png`.

    Each sentence tells one difference and is one caption; what several annotators wrote of a pair goes into one
    record. The annotations lie in `data/annotations` of github.com/harsh19/spot-the-diff, the images in
    `resized_images`, both known from the repository's listing and others' loaders of it; no file of it was seen.
    """
    layout = Layout(root)
    annotations = layout.require("annotations", "data/annotations")
    folder = Layout(layout.first("resized_images", "images", "data/resized_images") or root)
    for split in ("train", "val", "test"):
        file = annotations / f"{split}.json"
        if not file.exists():
            continue
        by_pair: dict[str, list[Any]] = {}
        for number, item in enumerate(_items(file), start=1):
            name = _name(item, "img_id", f"{file}, item {number}")
            by_pair.setdefault(name, []).extend(_list(item.get("sentences")))
        for name, sentences in by_pair.items():
            yield Draft(
                uid=name,
                img1=folder.path(f"{name}.png"),
                img2=folder.path(f"{name}_2.png"),
                split=split,
                captions=sentences,
                changed=True,
            )


def read_stvchrono(root: Path) -> Iterator[Draft]:
    """Read STVchrono: `stvchrono_v1_continual-change-captioning_image-pair.json`, images `panoramas/ID.jpg`.

    The file is `{train: [{city, images_IDs: [A, B], change_caption}], test: [...]}`; its beginning was read at
    github.com/AuderySun/STVchrono. A pair stands there once for each annotator, sometimes with the same words, which
    are kept once; some captions are empty. The images are named by the authors' download script.
    """
    layout = Layout(root)
    content = Layout.json(layout.find("*image-pair*.json", "*/*image-pair*.json", "*.json"))
    folder = Layout(layout.first("panoramas", "images") or root)
    for split in ("train", "test"):
        by_pair: dict[tuple[str, str], tuple[str, list[Any]]] = {}
        for number, item in enumerate(content.get(split) or (), start=1):
            ids: list[Any] = item.get("images_IDs") or item.get("image_IDs") or []
            if len(ids) != 2:
                raise InputError(f"{root}, {split} item {number}: 'images_IDs' is {ids!r}; expected two names.")
            captions = by_pair.setdefault((str(ids[0]), str(ids[1])), (str(item.get("city") or ""), []))[1]
            if item.get("change_caption") not in captions:
                captions.append(item.get("change_caption"))
        for (first, second), (city, captions) in by_pair.items():
            yield Draft(
                uid=f"{first}_{second}",
                img1=folder.path(f"{first}.jpg"),
                img2=folder.path(f"{second}.jpg"),
                split=split,
                captions=captions,
                changed=True,
                extra={"city": city} if city else {},
            )


def _items(path: Path) -> list[dict[str, Any]]:
    content = Layout.json(path)
    if not isinstance(content, list) or not all(isinstance(item, dict) for item in content):
        raise InputError(f"{path} is no list of objects; expected the data set's own file.")
    return content


def _name(item: dict[str, Any], key: str, where: str) -> str:
    if not isinstance(item.get(key), str | int):
        raise InputError(f"{where}: {key!r} is {item.get(key)!r}; expected a name.")
    return str(item[key])


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value]
