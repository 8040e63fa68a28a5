"""A training run as one file: what to train, on what, from what, and where to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import yaml
from pydantic import Field, model_validator

from geocc.errors import InputError, ReadError
from geocc.training.augmentation import Augmentation
from geocc.training.parts import Part  # noqa: TC001  # pydantic reads the annotations
from geocc.training.recipes import Stage1, Stage2, Stage3  # noqa: TC001  # likewise
from geocc.training.strict import Settings

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

__all__ = ["Data", "Evaluation", "Lora", "TrainingConfig", "load_config"]

Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
Metric = Literal["bleu", "meteor", "rouge", "cider"]


class Data(Settings):
    """What to learn from.

    Attributes:
        train: A mixture (`.yaml`), a file of records (`.json`, `.jsonl`), or the name of a shipped mixture.
        root: Folder that relative paths of a mixture start from; the file's own when left out.
        check_images: What to do with all images before the first step: `decode` reads every one whole, `header` only
            looks at their beginning, `none` meets a damaged one in the middle of the run.
        workers: Processes that read ahead; 0 reads in the training process. The order of samples never depends on it.
        feature_cache: Folder to keep the features of a frozen vision tower in, so that each image is encoded once.
    """

    train: str
    root: Path | None = None
    check_images: Literal["decode", "header", "none"] = "decode"
    workers: Count = 0
    feature_cache: Path | None = None


class Evaluation(Settings):
    """How the best checkpoint is found: by captions that the model writes, with their score.

    The reference picked its checkpoints on the *test* split of LEVIR-CC (reference.md 1.5), so that its published score
    is of the data it was chosen by. geocc takes another split unless it is told otherwise by name.

    Attributes:
        records: File of records with captions.
        split: Split to evaluate on. Records of other splits in the file are passed over; records that name no split
            count. `test` must be written out.
        metrics: Caption metrics to compute. METEOR needs Java, S*m needs all four.
        best: Figure that tells the best checkpoint, as `geocc.evaluation` prints it: `S*m`, `BLEU-4`, `METEOR`,
            `ROUGE-L`, `CIDEr`, or `accuracy` of the change that captions speak of.
        max_new_tokens: Longest caption in tokens; 512 in the reference's evaluation.
        batch_size: Pairs that one device captions at once.
        limit: Evaluate the first so many records only.
    """

    records: Path
    split: str = "val"
    metrics: tuple[Metric, ...] = ("bleu", "meteor", "rouge", "cider")
    best: str = "S*m"
    max_new_tokens: Positive = 512
    batch_size: Positive = 8
    limit: Positive | None = None


class Lora(Settings):
    """Low-rank adapters in the place of full training (Hu et al., arXiv 2106.09685), through PEFT. Not the paper's way.

    Every part in the recipe's `train` gets adapters on its linear layers, but for those named in `full`.

    Attributes:
        rank: Rank of the adapters.
        alpha: Their scale, over `rank`.
        dropout: Dropout before them.
        full: Parts of `train` that are trained whole and saved whole inside the adapter.
        quantize: `4bit` keeps the frozen language model in NF4 (QLoRA, arXiv 2305.14314); needs bitsandbytes and CUDA.
    """

    rank: Positive = 16
    alpha: Annotated[float, Field(gt=0)] = 32
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    full: tuple[Part, ...] = ()
    quantize: Literal["none", "4bit"] = "none"


class TrainingConfig(Settings):
    """A training run. Relative paths start from the folder that the command is run in.

    Attributes:
        model: Checkpoint to start from: a name of `geocc models`, a folder in any layout that geocc reads, or a hub id.
        output: Folder for checkpoints, and for the result in `model/` or, with LoRA, `adapter/`.
        recipe: The stage: its number, and whatever is to differ from the published recipe.
        data: What to learn from.
        evaluation: How the best checkpoint is found; left out, the last one is the result.
        augmentation: What may be done to the pairs; nothing by default, as published.
        lora: Adapters in the place of full training.
        graft: Checkpoint, or file of `save_part`, whose difference module takes the place of the start's own.
        start_from: `previous_stage` refuses a start that is not the end of the stage before; `any` takes all.
        tokenizer: Folder of the tokenizer, where the start carries none.
        vision_config: The tower's config.json, where the start names a tower that geocc does not know.
        keep: Number of checkpoints to keep, besides the best; None for all.
        log_every: Optimizer steps between two lines of the log.
        log_to: Where else to log; the losses stand in each checkpoint's trainer_state.json anyway.
        device: `auto` takes what Accelerate finds, `cpu` stays on the CPU.
    """

    model: str
    output: Path
    recipe: Annotated[Stage1 | Stage2 | Stage3, Field(discriminator="stage")]
    data: Data
    evaluation: Evaluation | None = None
    augmentation: Augmentation = Field(default_factory=Augmentation)
    lora: Lora | None = None
    graft: str | None = None
    start_from: Literal["previous_stage", "any"] = "previous_stage"
    tokenizer: Path | None = None
    vision_config: Path | None = None
    keep: Positive | None = 2
    log_every: Positive = 10
    log_to: tuple[Literal["tensorboard", "wandb"], ...] = ()
    device: Literal["auto", "cpu"] = "auto"

    @model_validator(mode="after")
    def _check(self) -> TrainingConfig:
        if self.data.feature_cache is not None:
            if "vision_tower" in self.recipe.train:
                raise InputError(
                    "data.feature_cache keeps what a frozen vision tower says, and recipe.train lists vision_tower: leave "
                    "one of them out"
                )
            if not self.augmentation.off:
                raise InputError(
                    "data.feature_cache keeps images that come again, and augmentation changes them each time: leave one "
                    "of them out"
                )
        if self.lora is None:
            return self
        if self.recipe.change_map_weight:
            raise InputError(
                "recipe.change_map_weight trains heads that an adapter cannot carry: leave it out, or leave lora out"
            )
        if self.recipe.bf16_weights:
            raise InputError(
                "recipe.bf16_weights is for full training, and lora trains adapters: leave one of them out"
            )
        if stray := [part for part in self.lora.full if part not in self.recipe.train]:
            raise InputError(f"lora.full names {', '.join(stray)}, which recipe.train does not")
        if set(self.lora.full) == set(self.recipe.train):
            raise InputError("lora.full names every part that trains, so no adapter is left: leave lora out")
        return self

    def to_yaml(self) -> str:
        """Return all settings, defaults included, as YAML that `load_config` reads."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def load_config(path: str | os.PathLike[str], overrides: Sequence[str] = ()) -> TrainingConfig:
    """Read a training run.

    Args:
        path: A YAML file; see `TrainingConfig` for its keys.
        overrides: Settings to put over it, such as `recipe.learning_rate=2e-5`.

    Raises:
        ReadError: The file cannot be read.
        InputError: It is not YAML, or a key is unknown, or a value cannot be used.
    """
    content = _read(Path(path))
    for override in overrides:
        _put(content, override)
    try:
        return TrainingConfig(**content)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _read(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise ReadError(f"the training file {path} cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise InputError(f"{path} is not valid YAML: {error}") from error
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise InputError(f"{path} holds no settings; expected keys such as model, output, recipe and data")
    return content


def _put(content: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    *path, last = key.split(".")
    if not equals or not all([*path, last]):
        raise InputError(f"{override!r} is no setting; expected KEY=VALUE, such as recipe.learning_rate=2e-5")
    group = content
    for step in path:
        inner = group.get(step)
        if inner is None:
            inner = group[step] = {}
        if not isinstance(inner, dict):
            raise InputError(f"{override!r}: {step!r} is a value, not a group of settings")
        group = inner
    try:
        group[last] = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError(f"{override!r}: the value is not valid YAML: {error}") from error
