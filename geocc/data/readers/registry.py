"""The data sets that geocc reads, by name, and the way from a data set's own files to checked records."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from geocc.data.readers.pixels import image_size, read_pixels
from geocc.data.records import Record
from geocc.errors import InputError, ReadError

if TYPE_CHECKING:
    from geocc.data.readers.layout import Draft

__all__ = ["SOURCES", "Preparation", "Source", "prepare"]

Reader = Callable[[Path], Iterator["Draft"]]


@dataclass(frozen=True, slots=True)
class Source:
    """A data set that geocc reads.

    Attributes:
        name: What it is called on the command line.
        reader: Module and function that read it.
        licence: What its authors state of the images, as far as it is known; None where it was not found.
        gsd_m: Side of a pixel on the ground in metres, where it is one for all.
        captioned: Whether it comes with captions.
    """

    name: str
    reader: str
    licence: str | None = None
    gsd_m: float | None = None
    captioned: bool = True

    def load(self) -> Reader:
        """Import the reader."""
        module, function = self.reader.split(":")
        loaded: Reader = getattr(import_module(f"geocc.data.readers.{module}"), function)
        return loaded

    @property
    def layout(self) -> str:
        """What the reader expects on disk, and where that is known from."""
        return (self.load().__doc__ or "").strip()


SOURCES: dict[str, Source] = {
    source.name: source
    for source in (
        Source("changesim", "natural:read_changesim", captioned=False),
        Source("clevr-change", "natural:read_clevr_change"),
        Source("dubai-cc", "regions:read_dubai_cc", gsd_m=30.0),
        Source("image-editing-request", "natural:read_image_editing_request"),
        Source("levir-cc", "karpathy:read_levir_cc", licence="academic use", gsd_m=0.5),
        Source(
            "levir-cd", "torchgeo_sets:read_levir_cd", licence="non-commercial research", gsd_m=0.5, captioned=False
        ),
        Source("levir-mci", "karpathy:read_levir_mci", licence="academic use", gsd_m=0.5),
        Source("oscd", "torchgeo_sets:read_oscd", gsd_m=10.0, captioned=False),
        Source("rscc", "regions:read_rscc"),
        Source("second", "regions:read_second", captioned=False),
        Source("second-cc", "karpathy:read_second_cc"),
        Source("spot-the-diff", "natural:read_spot_the_diff"),
        Source("stvchrono", "natural:read_stvchrono"),
        Source("sysu-cd", "regions:read_sysu_cd", gsd_m=0.5, captioned=False),
        Source("vismin", "vismin:read_vismin", licence="CC-BY-SA-4.0"),
        Source("whu-cdc", "karpathy:read_whu_cdc", gsd_m=0.075),
        Source("xview2", "torchgeo_sets:read_xview2", captioned=False),
    )
}
"""The data sets that geocc reads."""


@dataclass(slots=True)
class Preparation:
    """Records as they are read, and what was left out so far.

    Attributes:
        source: The data set.
        left_out: What was damaged and left out, in words; stays empty unless `damaged` is `skip`.
        written: Records that were handed out.
        captions: Captions of these.
    """

    source: Source
    drafts: Iterator[Draft]
    damaged: Literal["refuse", "skip"] = "refuse"
    check_images: bool = True
    left_out: list[str] = field(default_factory=list)
    written: int = 0
    captions: int = 0

    def __iter__(self) -> Iterator[Record]:
        """Yield the records.

        Raises:
            InputError: A pair is damaged, and `damaged` is `refuse`.
            ReadError: A file of the data set cannot be read.
        """
        for draft in self.drafts:
            record = self._record(draft)
            if record is not None:
                self.written += 1
                self.captions += len(record.change_caption)
                yield record

    def _record(self, draft: Draft) -> Record | None:
        try:
            if self.check_images:
                _check_images(draft)
            changed = draft.changed if draft.changed is not None else _changed(draft)
        except (InputError, ReadError) as error:
            self._damage(f"{draft.uid}: {error}")
            return None
        captions = self._captions(draft)
        if draft.captions is not None and not captions:
            self._damage(f"{draft.uid}: it has no caption")
            return None
        return Record.model_validate(self._fields(draft, captions=captions, changed=changed))

    def _fields(self, draft: Draft, *, captions: list[str], changed: bool) -> dict[str, Any]:
        labels = draft.labels or (None, None)
        fields = {
            "uid": draft.uid,
            "change_flag": int(changed),
            "img1_path": draft.img1,
            "img2_path": draft.img2,
            "change_caption": captions,
            "source": self.source.name,
            "split": draft.split,
            "licence": self.source.licence,
            "gsd_m": self.source.gsd_m,
            "mask_path": draft.mask,
            "label1_path": labels[0],
            "label2_path": labels[1],
        }
        return fields | draft.extra

    def _captions(self, draft: Draft) -> list[str]:
        """Return the captions with single spaces; null and empty ones are damage."""
        captions = []
        for number, text in enumerate(draft.captions or (), start=1):
            if isinstance(text, str) and text.strip():
                captions.append(" ".join(text.split()))
            else:
                self._damage(f"{draft.uid}: caption {number} of {len(draft.captions or ())} is {text!r}")
        return captions

    def _damage(self, what: str) -> None:
        if self.damaged == "refuse":
            raise InputError(
                f"{self.source.name}: {what}; mend the data set, or leave damaged pairs and captions out with "
                "prepare(..., damaged='skip') or --skip-damaged."
            )
        self.left_out.append(what)


def prepare(
    source: str,
    root: str | Path,
    *,
    split: str | None = None,
    damaged: Literal["refuse", "skip"] = "refuse",
    check_images: bool = True,
) -> Preparation:
    """Read a data set in its own layout, as records.

    Args:
        source: One of `SOURCES`.
        root: Folder that the data set was unpacked to.
        split: Which part; None for all.
        damaged: `refuse` raises at the first damaged pair or caption; `skip` leaves it out and says so in `left_out`.
        check_images: Whether to open both images of every pair and compare their sizes. A data set that tells change
            by masks alone needs those in any case.

    Returns:
        The records, read as they are asked for.

    Raises:
        InputError: geocc does not know the data set.
    """
    if source not in SOURCES:
        raise InputError(f"the source {source!r} is not known; expected one of {', '.join(SOURCES)}.")
    drafts = SOURCES[source].load()(Path(root).absolute())
    chosen = drafts if split is None else (draft for draft in drafts if draft.split == split)
    return Preparation(source=SOURCES[source], drafts=chosen, damaged=damaged, check_images=check_images)


def _check_images(draft: Draft) -> None:
    first, second = image_size(draft.img1), image_size(draft.img2)
    if first != second:
        raise InputError(
            f"{draft.img1} has {first[0]} x {first[1]} pixels, {draft.img2} has {second[0]} x {second[1]}; "
            "expected one size for both"
        )
    for path in (draft.mask, *(draft.labels or ())):
        if path is not None and image_size(path) != first:
            width, height = image_size(path)
            raise InputError(
                f"{path} has {width} x {height} pixels; expected {first[0]} x {first[1]} as its images have"
            )


def _changed(draft: Draft) -> bool:
    """Say whether the mask, or the labels, show any change."""
    if draft.mask is not None:
        return bool(read_pixels(draft.mask).any())
    if draft.labels is None:
        raise InputError("neither a flag, nor a mask, nor labels tell whether it changed")
    return any(bool((read_pixels(path) != 255).any()) for path in draft.labels)
