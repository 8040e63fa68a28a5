"""The mixture: which files of records a training run reads, and how much of each.

The YAML is the reference's (`scripts/CCExpert_data_scripts/*.yaml` of CCExpert, read by `llava/dataset/cc_dataset.py`),
and the reference reads ours: what geocc adds stands in keys that it passes over.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from geocc.data.index import RecordIndex
from geocc.data.samples import CaptionMode, Part, Samples
from geocc.data.sampling import SamplingStrategy
from geocc.errors import InputError, ReadError

__all__ = ["Entry", "Mixture", "shipped_mixtures"]

_SHIPPED = Path(__file__).parent / "mixtures"


def _strategy(given: object) -> object:
    return SamplingStrategy.parse(given) if isinstance(given, str) else given


class Entry(BaseModel):
    """One line of a mixture. The same file in several entries weighs as often.

    Attributes:
        json_path: File of records, from the root of the mixture.
        sampling_strategy: Which of its records.
        source: Name of the data set, for people.
        captions_per_pair: Number of captions, drawn at random, that are kept of each record; None keeps all.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    json_path: Path
    sampling_strategy: Annotated[SamplingStrategy, BeforeValidator(_strategy)] = SamplingStrategy("all")
    source: str | None = None
    captions_per_pair: Annotated[int, Field(ge=1)] | None = None


class _File(BaseModel):
    """A mixture as it stands in its YAML."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    datasets: Annotated[list[Entry], Field(min_length=1)]
    allow_test_splits: bool = False


class Mixture:
    """Files of records, and how much is taken of each.

    Attributes:
        entries: What is taken, in order, with `json_path` absolute.
        allow_test_splits: Whether records of test splits may be sampled.
        name: Where it was read from, for errors.
    """

    def __init__(self, entries: list[Entry], *, allow_test_splits: bool = False, name: str = "the mixture") -> None:
        """Make a mixture of entries whose paths are as the process sees them.

        Args:
            entries: What is taken.
            allow_test_splits: Whether records that say `split: test` may be sampled. Scores on such a split are worth
                nothing afterwards.
            name: For errors.
        """
        self.entries = tuple(entry.model_copy(update={"json_path": entry.json_path.absolute()}) for entry in entries)
        self.allow_test_splits = allow_test_splits
        self.name = name
        self._indices: dict[Path, RecordIndex] = {}

    @classmethod
    def from_yaml(cls, path: str | Path, *, root: str | Path | None = None) -> Mixture:
        """Read a mixture; the files that it names are opened only when samples are asked for.

        Args:
            path: The YAML file, or the name of a mixture that geocc ships (see `shipped_mixtures`), which needs `root`.
            root: Folder that relative `json_path`s start from. Default: the folder of the YAML file.

        Raises:
            ReadError: The file cannot be read.
            InputError: It is no mixture, or a shipped one is asked for without `root`.
        """
        shipped = shipped_mixtures().get(str(path))
        if shipped is not None and root is None:
            raise InputError(
                f"the mixture {str(path)!r} names files below a folder of yours, and no root was given; "
                f"give the folder that you prepared them in: Mixture.from_yaml({str(path)!r}, root=...)."
            )
        path = shipped or Path(path)
        content = _load(path)
        folder = path.parent if root is None else Path(root)
        entries = [entry.model_copy(update={"json_path": folder / entry.json_path}) for entry in content.datasets]
        return cls(entries, allow_test_splits=content.allow_test_splits, name=str(path))

    def index(self, entry: Entry) -> RecordIndex:
        """Return the index of an entry's file; each file is read through once.

        Raises:
            ReadError: The file cannot be read.
            InputError: A record is broken.
        """
        if entry.json_path not in self._indices:
            self._indices[entry.json_path] = RecordIndex(entry.json_path)
        return self._indices[entry.json_path]

    def parts(self, *, seed: int = 0) -> list[Part]:
        """Return what each entry takes.

        Args:
            seed: Chooses the records of `random` entries; each entry draws for itself.

        Raises:
            ReadError: A file cannot be read.
            InputError: A record is broken, or the seed is negative.
        """
        if seed < 0:
            raise InputError(f"seed is {seed}; expected a whole number from 0.")
        parts = []
        for number, entry in enumerate(self.entries):
            index = self.index(entry)
            rows = entry.sampling_strategy.rows(len(index), rng=np.random.default_rng([seed, number]))
            parts.append(Part(index=index, rows=rows, captions_per_pair=entry.captions_per_pair))
        return parts

    def samples(
        self, *, captions: CaptionMode = "flatten_list", seed: int = 0, epoch: int = 0, shuffle: bool = True
    ) -> Samples:
        """Return the samples of an epoch, read from the files as they are asked for.

        Args:
            captions: `flatten_list` makes one sample of every caption; `random_choice` one of every record, with a
                caption drawn anew in each epoch.
            seed: Chooses which records `random` entries take, the order, and the captions drawn.
            epoch: Another epoch, another order.
            shuffle: Whether to shuffle; otherwise entry after entry, in the order of the files.

        Returns:
            A sequence of `Sample(record, caption)`; `at_epoch` gives the next epoch's.

        Raises:
            ReadError: A file cannot be read.
            InputError: A record is broken or has no captions, or comes from a test split and `allow_test_splits` is
                not set.
        """
        parts = self.parts(seed=seed)
        for part in parts:
            part.index.require_captions()
            if not self.allow_test_splits:
                self._refuse_tests(part)
        return Samples(parts, captions=captions, seed=seed, epoch=epoch, shuffle=shuffle)

    def _refuse_tests(self, part: Part) -> None:
        found = part.rows[part.index.test[part.rows]]
        if len(found):
            raise InputError(
                f"{self.name} takes {len(found)} records of a test split, the first at {part.index.where(int(found[0]))}; "
                "leave that file out, or write `allow_test_splits: true` into the mixture if that is meant."
            )


def shipped_mixtures() -> dict[str, Path]:
    """Return the mixtures that come with geocc, by name.

    `cc-foundation-published` is the pretraining mixture that CCExpert's authors published, weight for weight, with the
    test splits of ChangeSim and STVchrono; `cc-foundation` is geocc's own, without any test split.
    """
    return {path.stem: path for path in sorted(_SHIPPED.glob("*.yaml"))}


def _load(path: Path) -> _File:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        names = ", ".join(shipped_mixtures())
        raise ReadError(
            f"{path} cannot be read: {error.strerror or error}; expected a YAML file, or one of {names}."
        ) from error
    except UnicodeDecodeError as error:
        raise ReadError(f"{path} is not UTF-8: {error}; save it again as UTF-8.") from error
    except yaml.YAMLError as error:
        raise InputError(f"{path} is not valid YAML: {error}") from error
    try:
        return _File.model_validate(content)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in fault["loc"])
        raise InputError(
            f"{path}, key {key!r}: {fault['msg']}; expected datasets: [{{json_path, sampling_strategy: all | first:N | "
            "end:N | random:N | random:P%, and optionally source, captions_per_pair}], and optionally allow_test_splits."
        ) from None
