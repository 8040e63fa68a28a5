"""The record: one pair of images and what is said about it, in CCExpert's universal format.

The five keys of the reference (`llava/dataset/cc_dataset.py`) come first and mean the same; what geocc adds stands in
further keys that the reference's reader passes over.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, ValidationInfo, field_validator

from geocc.data.spans import iter_spans
from geocc.errors import InputError, WriteError
from geocc.table.atomic import replacing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = ["Record", "parse_record", "read_records", "write_records"]

Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]

_PATHS = ("img1_path", "img2_path", "mask_path", "label1_path", "label2_path")


class Record(BaseModel):
    """One pair of images with its captions. Keys that geocc does not know are kept.

    Attributes:
        uid: Name of the pair, unique within its source.
        change_flag: 1 where something changed, 0 where nothing did.
        img1_path: Image of the earlier date.
        img2_path: Image of the later date.
        change_caption: What is said about the pair, one sentence or more each; empty where nothing is said yet.
        source: Name of the data set it comes from.
        split: Part of the data set: `train`, `val` or `test`, or another name that the source uses.
        licence: Licence of the images, as stated at the source.
        gsd_m: Side of a pixel on the ground in metres.
        dates: Day of either image in ISO 8601, the earlier first; None where it is not known.
        crs: The coordinate reference system of `footprint`, such as `EPSG:4326`.
        footprint: Outline on the ground as a GeoJSON geometry.
        mask_path: Binary mask of the change, 0 where nothing changed.
        label1_path: Classes of the earlier date as an image.
        label2_path: Classes of the later date.
        label_classes: Classes that the labels tell apart; of others nothing is known.
        change_kinds: What kinds of change its mask shows, such as `vegetation to water`; empty where it shows none.
        change_polygons: What changed, as a GeoJSON FeatureCollection in pixel coordinates.
    """

    model_config = ConfigDict(extra="allow", frozen=True, coerce_numbers_to_str=True)

    uid: Text
    change_flag: Literal[0, 1]
    img1_path: Path
    img2_path: Path
    change_caption: list[Text]
    source: str | None = None
    split: str | None = None
    licence: str | None = None
    gsd_m: Annotated[float, Field(gt=0)] | None = None
    dates: tuple[str | None, str | None] | None = None
    crs: str | None = None
    footprint: dict[str, Any] | None = None
    mask_path: Path | None = None
    label1_path: Path | None = None
    label2_path: Path | None = None
    label_classes: list[int] | None = None
    change_kinds: list[str] | None = None
    change_polygons: dict[str, Any] | None = None

    @field_validator(*_PATHS, mode="before")
    @classmethod
    def _under_root(cls, path: object, info: ValidationInfo) -> object:
        # As text: joining Path objects would take a third of the time of reading a record.
        root = info.context and info.context["root"]
        return os.path.join(root, path) if root is not None and isinstance(path, str) else path  # noqa: PTH118


def parse_record(data: bytes, *, root: Path | None, where: str) -> Record:
    """Read one record from its JSON.

    Args:
        data: The JSON object, in UTF-8.
        root: Folder that relative paths start from; None leaves them as they are.
        where: File and line, for the error.

    Raises:
        InputError: It is not a record.
    """
    try:
        return Record.model_validate_json(data, context={"root": None if root is None else str(root)})
    except ValidationError as error:
        raise InputError(f"{where}: {_explain(error)}") from None


def _explain(error: ValidationError) -> str:
    """Tell the first fault in one sentence, with the key it is at."""
    first, more = error.errors(include_url=False)[0], error.error_count() - 1
    key = ".".join(str(part) for part in first["loc"])
    given = "" if first["type"] == "missing" else f", given {str(first['input'])[:80]!r}"
    rest = f" ({more} more faults in this record)" if more else ""
    return f"{f'key {key!r}: ' if key else ''}{first['msg']}{given}{rest}; {_remedy(first['input'])}"


def _remedy(given: object) -> str:
    if isinstance(given, dict) and "images" in given:
        return "this looks like a data set's own caption file: convert it with `geocc data prepare`."
    return (
        "expected {uid, change_flag: 0 or 1, img1_path, img2_path, change_caption: [sentence, ...]}; "
        "mend the file, or make it anew with `geocc data prepare`."
    )


def read_records(path: str | Path, *, root: str | Path | None = None) -> Iterator[Record]:
    """Yield the records of a JSON array or JSON lines file one by one.

    Args:
        path: The file, in UTF-8. It is read as it is asked for; memory does not grow with it.
        root: Folder that the records' relative paths start from. Default: the folder of the file.

    Yields:
        Records whose paths are absolute. Whether the images are there is not checked:
        `geocc data describe` does that.

    Raises:
        ReadError: The file cannot be read.
        InputError: A record is broken; the text names file, line, record and key.
    """
    path = Path(path)
    root = (path.parent if root is None else Path(root)).absolute()
    for span in iter_spans(path):
        yield parse_record(span.data, root=root, where=f"{path}, line {span.line} (record {span.number})")


def write_records(path: str | Path, records: Iterable[Record], *, root: str | Path | None = None) -> int:
    """Write records: a JSON array, one record a line, or JSON lines where the name ends in `.jsonl`.

    The file is there whole or not at all; the records may be an iterator and are not held in memory.

    Args:
        path: The file to make or replace.
        records: What to write.
        root: Folder that absolute paths are written relative to, where they lie inside it; other paths are written
            as they are. Default: the folder of the file, which is where `read_records` starts from.

    Returns:
        The number of records written.

    Raises:
        WriteError: The file cannot be written.
    """
    path = Path(path)
    root = (path.parent if root is None else Path(root)).absolute()
    opening, between, closing = ("", "\n", "\n") if path.suffix.lower() == ".jsonl" else ("[\n", ",\n", "\n]\n")
    count = 0
    try:
        with replacing(path) as draft, draft.open("w", encoding="utf-8", newline="\n") as file:
            file.write(opening)
            for record in records:
                file.write((between if count else "") + _to_json(record, root))
                count += 1
            file.write(closing)
    except OSError as error:
        raise WriteError(f"{path} cannot be written: {error}; check that its folder exists and has room.") from error
    return count


def _to_json(record: Record, root: Path) -> str:
    paths: Mapping[str, Path | None] = {key: getattr(record, key) for key in _PATHS}
    update = {key: at.relative_to(root) for key, at in paths.items() if at is not None and at.is_relative_to(root)}
    return record.model_copy(update=update).model_dump_json(exclude_none=True)
