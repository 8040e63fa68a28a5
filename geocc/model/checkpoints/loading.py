"""Loads a model from any layout that geocc reads."""

from __future__ import annotations

import contextlib
from collections import Counter
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from transformers import AutoTokenizer, GenerationConfig, PreTrainedTokenizerBase
from transformers.utils import logging

from geocc.errors import CheckpointError
from geocc.model.chat import END_OF_TURN
from geocc.model.checkpoints.files import WeightFiles, read_json
from geocc.model.checkpoints.layouts import OWN, layout_of, own_config
from geocc.model.checkpoints.matching import match, read_state
from geocc.model.checkpoints.meta import NoMetaArithmetic
from geocc.model.modeling import CCExpertForConditionalGeneration
from geocc.model.processing import CCExpertProcessor

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping

    import torch

    from geocc.model.checkpoints.report import ConversionReport
    from geocc.model.configuration import CCExpertConfig

__all__ = ["LoadedCheckpoint", "load_checkpoint"]

_TOKENIZER_FILES = ("tokenizer.json", "vocab.json", "tokenizer_config.json")


class LoadedCheckpoint(NamedTuple):
    """A model, ready to caption if it has a processor.

    Attributes:
        model: The model, in evaluation mode.
        processor: Its processor, or None where the checkpoint carries no tokenizer.
        report: What became of every tensor.
    """

    model: CCExpertForConditionalGeneration
    processor: CCExpertProcessor | None
    report: ConversionReport


def load_checkpoint(
    source: str | os.PathLike[str],
    *,
    vision_config: Mapping[str, Any] | str | os.PathLike[str] | None = None,
    tokenizer: PreTrainedTokenizerBase | str | os.PathLike[str] | None = None,
    dtype: str | torch.dtype | None = None,
    device: str | torch.device | None = None,
) -> LoadedCheckpoint:
    """Load a model from geocc's own layout, CCExpert's, or either of LLaVA-OneVision's.

    Args:
        source: Folder of the checkpoint, or one weight file beside its config.json.
        vision_config: The tower's configuration, as a mapping, a config.json or its folder, where the checkpoint names
            a tower that geocc does not know.
        tokenizer: A tokenizer or the folder of one, where the checkpoint carries none.
        dtype: Dtype of the model; as stored when left out.
        device: Where to put the model; the CPU when left out.

    Raises:
        CheckpointError: If the weights do not fit, with the names, shapes and remedy.
        UnsafeCheckpointError: If loading them would run code that came with them.
    """
    path = Path(source)
    if not path.exists():
        raise CheckpointError(f"there is no checkpoint at {path}")
    files = WeightFiles(path)
    settings = read_json(files.folder / "config.json")
    layout = layout_of(settings)
    config = own_config(settings, files=files, vision_config=vision_config)
    report = match(files, config=config, layout=layout)
    processor = _processor(files.folder, config=config, layout=layout, tokenizer=tokenizer)
    if processor is not None:
        if layout != OWN:
            config.image_token_id = processor.image_token_id
        _fit(processor, config=config)
    model = _build(config, files=files, report=report, dtype=dtype).to(device or "cpu")
    model.generation_config = _generation_config(files.folder, config=config, layout=layout, processor=processor)
    if config.text_config.vocab_size != settings.get("vocab_size", config.text_config.vocab_size):
        report.notes.append(
            f"config.json says vocab_size {settings['vocab_size']}, the weights have {config.text_config.vocab_size} rows"
        )
    return LoadedCheckpoint(model, processor, report)


def _build(
    config: CCExpertConfig, *, files: WeightFiles, report: ConversionReport, dtype: str | torch.dtype | None
) -> Any:
    with quiet_bars(), NoMetaArithmetic():
        model = CCExpertForConditionalGeneration.from_pretrained(
            None,
            config=config,
            state_dict=read_state(files, report=report),
            dtype=_stored_dtype(files, report=report) if dtype is None else dtype,
        )
    return model.eval()


def _stored_dtype(files: WeightFiles, *, report: ConversionReport) -> torch.dtype | str:
    """Return the dtype of most of the weights, so that one stray float32 does not double a model."""
    sizes: Counter[torch.dtype] = Counter()
    for source in report.used.values():
        if (dtype := files.dtypes[source]) is not None:
            sizes[dtype] += prod(files.shapes[source])
    return sizes.most_common(1)[0][0] if sizes else "float32"


@contextlib.contextmanager
def quiet_bars() -> Iterator[None]:
    """Keep Transformers' bars, which know no pipe from a terminal, off the screen, and put them back as they were."""
    shown = logging.is_progress_bar_enabled()
    try:
        if shown:
            logging.disable_progress_bar()
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _processor(
    folder: Path,
    *,
    config: CCExpertConfig,
    layout: str,
    tokenizer: PreTrainedTokenizerBase | str | os.PathLike[str] | None,
) -> CCExpertProcessor | None:
    own = tokenizer is None and layout == OWN and (folder / "processor_config.json").is_file()
    if tokenizer is None and not own and not any((folder / name).is_file() for name in _TOKENIZER_FILES):
        return None
    where = folder if tokenizer is None or isinstance(tokenizer, PreTrainedTokenizerBase) else Path(tokenizer)
    try:
        if own:
            return CCExpertProcessor.from_pretrained(where, local_files_only=True)
        if not isinstance(tokenizer, PreTrainedTokenizerBase):
            tokenizer = AutoTokenizer.from_pretrained(where, trust_remote_code=False, local_files_only=True)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"the tokenizer in {where} cannot be loaded: {error}") from error
    return CCExpertProcessor.from_config(config, tokenizer=tokenizer)


def _fit(processor: CCExpertProcessor, *, config: CCExpertConfig) -> None:
    """Refuse a processor whose ids or slots the model does not share."""
    rows, image = config.text_config.vocab_size, processor.image_token_id
    highest = max(number for number in processor.tokenizer.get_vocab().values() if number != image)
    if highest >= rows:
        raise CheckpointError(f"the tokenizer counts to {highest}, but the model has {rows} words: it is another's")
    if (image, processor.tokens_per_image) != (config.image_token_id, config.tokens_per_image):
        raise CheckpointError(
            f"the processor writes {processor.tokens_per_image} tokens of id {image} per image, the model reads "
            f"{config.tokens_per_image} of id {config.image_token_id}: they belong to different models"
        )


def _generation_config(
    folder: Path, *, config: CCExpertConfig, layout: str, processor: CCExpertProcessor | None
) -> GenerationConfig:
    if layout == OWN and (folder / "generation_config.json").is_file():
        return GenerationConfig.from_pretrained(folder)
    text, tokenizer = config.text_config, None if processor is None else processor.tokenizer
    end = text.eos_token_id if tokenizer is None else tokenizer.convert_tokens_to_ids(END_OF_TURN)
    pad = text.pad_token_id if processor is None else processor.pad_token_id
    settings: dict[str, Any] = {"do_sample": False, "eos_token_id": end, "pad_token_id": end if pad is None else pad}
    if config.image_token_id < text.vocab_size:
        settings["suppress_tokens"] = [config.image_token_id]  # an answer holds no image
    return GenerationConfig(**settings)
