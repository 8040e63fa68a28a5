"""Change data sets that TorchGeo reads: LEVIR-CD, OSCD, xView2. TorchGeo finds the files; nothing is downloaded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from geocc.data.readers.layout import Draft, Layout
from geocc.errors import InputError, ReadError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["read_levir_cd", "read_oscd", "read_xview2"]


def read_levir_cd(root: Path) -> Iterator[Draft]:
    """Read LEVIR-CD through `torchgeo.datasets.LEVIRCD`: `{A,B,label}/{train,val,test}*.png`. It has no captions.

    TorchGeo pairs the sorted lists of the three folders, so one missing file would shift all after it; that is refused
    here. The layout is that of TorchGeo's code; six pairs of the set were seen.
    """
    for split in ("train", "val", "test"):
        files = _files("LEVIRCD", root, split)
        folders = [{path.name for path in (root / name).glob(f"{split}*.png")} for name in ("A", "B", "label")]
        incomplete = sorted((folders[0] | folders[1] | folders[2]) - (folders[0] & folders[1] & folders[2]))
        if incomplete:
            raise InputError(
                f"{root}: {incomplete[0]} is missing from A, B or label, and {len(incomplete) - 1} more; unpack the "
                "archive again, or remove what is left of those pairs."
            )
        for one in files:
            image = Path(one["image1"])
            yield Draft(uid=image.stem, img1=image, img2=Path(one["image2"]), split=split, mask=Path(one["mask"]))


def read_oscd(root: Path) -> Iterator[Draft]:
    """Read OSCD through `torchgeo.datasets.OSCD`; the colour images are the set's own `pair/img{1,2}.png`.

    It has no captions. The bands are those of Sentinel-2, the mask is of the 10 m grid, as the pictures are. The
    layout is that of TorchGeo's code, `pair` known from the set's description; no file of it was seen.
    """
    for split in ("train", "test"):
        for files in _files("OSCD", root, split):
            mask = Path(files["mask"])
            region = Path(files["images1"][0]).parent.parent if files["images1"] else mask.parent.parent
            first, second = files["dates"]
            yield Draft(
                uid=str(files["region"]),
                img1=region / "pair" / "img1.png",
                img2=region / "pair" / "img2.png",
                split=split,
                mask=mask,
                extra={"dates": [_iso(first), _iso(second)]},
            )


def read_xview2(root: Path) -> Iterator[Draft]:
    """Read xView2 through `torchgeo.datasets.XView2`: damage to buildings after disasters, 1024 x 1024. No captions.

    A pair counts as changed where a building of the later target is damaged. The layout is that of TorchGeo's code; no
    file of it was seen.
    """
    for split in ("train", "test"):
        for files in _files("XView2", root, split):
            image = Path(files["image1"])
            target = Path(files["mask2"])
            yield Draft(
                uid=image.name.removesuffix("_pre_disaster.png"),
                img1=image,
                img2=Path(files["image2"]),
                split=split,
                changed=_damaged(target),
                extra={"damage_path": str(target)},
            )


def _damaged(target: Path) -> bool:
    from geocc.data.readers.pixels import read_pixels

    return bool((read_pixels(target) > 1).any()) if target.exists() else False


def _files(name: str, root: Path, split: str) -> list[dict[str, Any]]:
    import torchgeo.datasets
    from torchgeo.datasets import DatasetNotFoundError

    Layout(root)
    try:
        dataset = getattr(torchgeo.datasets, name)(str(root), split=split)
    except DatasetNotFoundError as error:
        raise ReadError(f"{root} is not laid out as torchgeo.datasets.{name} expects: {error}") from error
    except (OSError, IndexError) as error:
        raise ReadError(f"{root}, {split}: torchgeo.datasets.{name} cannot list its files: {error}") from error
    files: list[dict[str, Any]] = dataset.files
    return sorted(files, key=str)


def _iso(day: str) -> str:
    return f"{day[:4]}-{day[4:6]}-{day[6:8]}" if len(day) == 8 and day.isdecimal() else day
