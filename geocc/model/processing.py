"""Images and text in, tensors for CCExpert out."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from PIL import Image
from tokenizers import AddedToken
from transformers import AutoTokenizer, BatchFeature, ProcessorMixin
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

from geocc.errors import InputError
from geocc.model.chat import IGNORE_INDEX, IMAGE_TOKEN, PROMPT, Chat
from geocc.model.resize import resize_as_pillow

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor
    from transformers import PreTrainedTokenizerBase

    from geocc.model.configuration import CCExpertConfig

__all__ = ["CCExpertProcessor"]

_HUB_ARGUMENTS = frozenset({"cache_dir", "force_download", "local_files_only", "revision", "subfolder", "token"})
# More than eight bits a channel: Pillow would clip them to white.
_DEEP_MODES = frozenset({"I", "F", "I;16", "I;16B", "I;16L", "I;16N"})


class CCExpertProcessor(ProcessorMixin):
    """Prepares pairs of images, a question and captions for CCExpert.

    Images are squashed to the model's square with Pillow's antialiased bicubic filter, divided by 255 and brought to
    [-1, 1], exactly as in the reference.

    Args:
        image_processor: Resizes and normalises; Transformers' SigLIP processor on Pillow, so that a pixel is the same
            on every machine.
        tokenizer: Any tokenizer that knows `<|im_start|>` and `<|im_end|>`; `<image>` is added to it if it lacks one.
        tokens_per_image: Length of one image slot, the model's `config.tokens_per_image`.
        prompt: The question asked when none is given, with one `<image>` for each date.

    Raises:
        InputError: If the tokenizer lacks a turn marker, or the prompt does not hold two `<image>` markers.
    """

    def __init__(
        self,
        image_processor: SiglipImageProcessorPil,
        tokenizer: PreTrainedTokenizerBase,
        *,
        tokens_per_image: int = 729,
        prompt: str = PROMPT,
    ) -> None:
        if IMAGE_TOKEN not in tokenizer.get_vocab():
            tokenizer.add_tokens([AddedToken(IMAGE_TOKEN, special=True, normalized=False)], special_tokens=True)
        super().__init__(image_processor, tokenizer)
        self.tokens_per_image = tokens_per_image
        self.prompt = prompt
        self._chat = Chat(tokenizer, tokens_per_image=tokens_per_image)
        self._chat.question(prompt)

    @classmethod
    def from_config(cls, config: CCExpertConfig, *, tokenizer: PreTrainedTokenizerBase, prompt: str = PROMPT) -> Self:
        """Make the processor that fits a model.

        Args:
            config: The model's configuration.
            tokenizer: The tokenizer of its language model; `<image>` is added to it if it lacks one.
            prompt: The question asked when none is given.
        """
        side = config.input_size
        image_processor = SiglipImageProcessorPil(
            size={"height": side, "width": side}, image_mean=[0.5] * 3, image_std=[0.5] * 3
        )
        return cls(image_processor, tokenizer, tokens_per_image=config.tokens_per_image, prompt=prompt)

    @classmethod
    def from_pretrained(  # type: ignore[override]  # the hub's arguments, by keyword
        cls, pretrained_model_name_or_path: str | os.PathLike[str], **kwargs: Any
    ) -> Self:
        """Load a processor that `save_pretrained` wrote; no code that lies beside it is ever run.

        Args:
            pretrained_model_name_or_path: Folder or hub id.
            **kwargs: Where and how to look on the hub, as everywhere in Transformers; others are ignored.
        """
        hub = {name: value for name, value in kwargs.items() if name in _HUB_ARGUMENTS}
        settings, _ = cls.get_processor_dict(pretrained_model_name_or_path, **hub)
        own = {name: settings[name] for name in ("tokens_per_image", "prompt") if name in settings}
        # By class, not by AutoImageProcessor, which would put another resize in Pillow's place where it finds one.
        image_processor = SiglipImageProcessorPil.from_pretrained(pretrained_model_name_or_path, **hub)
        tokenizer = AutoTokenizer.from_pretrained(pretrained_model_name_or_path, trust_remote_code=False, **hub)
        return cls(image_processor, tokenizer, **own)

    @property
    def image_token_id(self) -> int:
        """Id of `<image>`, which the model's configuration must share."""
        return int(self.tokenizer.convert_tokens_to_ids(IMAGE_TOKEN))

    @property
    def pad_token_id(self) -> int:
        """Id that fills short rows; masked, so that any would do."""
        pad = self.tokenizer.pad_token_id
        return int(self.tokenizer.eos_token_id or 0) if pad is None else int(pad)

    def __call__(
        self,
        images: Sequence[Sequence[Image.Image]] | NDArray[np.uint8] | Tensor | None = None,
        *,
        prompt: str | Sequence[str] | None = None,
        captions: Sequence[str] | None = None,
        padding_side: str | None = None,
        pad_to_multiple_of: int = 1,
        return_tensors: str | None = "pt",
    ) -> BatchFeature:
        """Prepare a batch.

        Args:
            images: Pairs of Pillow images, the earlier date first, or `(B, T=2, C=3, H, W)` uint8.
            prompt: One question for all, or one each; the processor's own when left out.
            captions: The answers, for training.
            padding_side: `"left"` or `"right"`; left out, right for training and left otherwise, where the answer
                must follow the question at once.
            pad_to_multiple_of: What the length S of the batch shall be a multiple of, so that batches come in few lengths.
            return_tensors: `"pt"` for torch tensors, None for lists.

        Returns:
            `input_ids` and `attention_mask` `(B, S)`; with images `pixel_values` `(B, T=2, C, H, W)` float32 in
            [-1, 1]; with captions `labels` `(B, S)`, -100 where no loss is taken.

        Raises:
            InputError: If images, prompts and captions differ in number or form.
        """
        pixels = None if images is None else self.pixel_values(images)
        lengths = [len(x) for x in (pixels, captions, None if isinstance(prompt, str) else prompt) if x is not None]
        if len(set(lengths)) > 1:
            raise InputError(f"images, captions and prompts must be equally many, but are {lengths}")
        batch = lengths[0] if lengths else 1
        prompts = [prompt or self.prompt] * batch if prompt is None or isinstance(prompt, str) else list(prompt)
        side = padding_side or ("left" if captions is None else "right")
        if side not in {"left", "right"}:
            raise InputError(f"padding_side must be 'left' or 'right', not {padding_side!r}")
        if pad_to_multiple_of < 1:
            raise InputError(f"pad_to_multiple_of is {pad_to_multiple_of}; expected a number of tokens, 1 or more")

        if captions is None:
            rows = {"input_ids": [self._chat.question(text) for text in prompts]}
        else:
            examples = [self._chat.example(text, caption) for text, caption in zip(prompts, captions, strict=True)]
            rows = {"input_ids": [ids for ids, _ in examples], "labels": [labels for _, labels in examples]}
        rows["attention_mask"] = [[1] * len(ids) for ids in rows["input_ids"]]
        fill = {"input_ids": self.pad_token_id, "labels": IGNORE_INDEX, "attention_mask": 0}
        data: dict[str, Any] = {
            name: _pad(values, fill=fill[name], side=side, multiple_of=pad_to_multiple_of)
            for name, values in rows.items()
        }
        if pixels is not None:
            data["pixel_values"] = pixels
        return BatchFeature(data, tensor_type=return_tensors)

    def pixel_values(
        self,
        images: Sequence[Sequence[Image.Image]] | NDArray[np.uint8] | Tensor,
        *,
        device: torch.device | None = None,
    ) -> Tensor:
        """Bring pairs of images to the model's size and range.

        Args:
            images: Pairs of Pillow images, the earlier date first, or `(B, T=2, C=3, H, W)` uint8.
            device: Where the pixels are wanted. A CUDA device resizes square arrays itself, the whole batch at once and
                to the same bits as Pillow, for one core with Pillow feeds it some 200 pairs a second at most.

        Returns:
            `(B, T=2, C, H, W)` float32 in [-1, 1].

        Raises:
            InputError: If the images are of another form, or deeper than eight bits.
        """
        if device is not None and device.type == "cuda" and isinstance(images, np.ndarray) and self._is_plain(images):
            return self._pixels_at(torch.from_numpy(images).to(device))
        pixels = self._pixels_by_pillow(images)
        return pixels if device is None else pixels.to(device)

    def _is_plain(self, images: NDArray[Any]) -> bool:
        """Tell whether an array may be resized on a device: squares, and nothing asked of the image processor but that."""
        asked = self.image_processor
        return (
            images.shape[-2] == images.shape[-1] > 0
            and asked.resample == Image.Resampling.BICUBIC
            and bool(asked.do_resize and asked.do_rescale and asked.do_normalize)
            and asked.rescale_factor == 1 / 255
        )

    def _pixels_at(self, images: Tensor) -> Tensor:
        """Do on the images' own device what the image processor does."""
        _check_pairs(images.shape, str(images.dtype).removeprefix("torch."))
        asked = self.image_processor
        resized = resize_as_pillow(images, asked.size["height"]).float() / 255
        mean, std = (resized.new_tensor(values)[:, None, None] for values in (asked.image_mean, asked.image_std))
        return (resized - mean) / std

    def _pixels_by_pillow(self, images: Sequence[Sequence[Image.Image]] | NDArray[np.uint8] | Tensor) -> Tensor:
        flat = _from_array(np.asarray(images)) if isinstance(images, np.ndarray | torch.Tensor) else _from_pairs(images)
        done = self.image_processor(flat, input_data_format="channels_first", return_tensors="pt")
        pairs: Tensor = done["pixel_values"].unflatten(0, (-1, 2))
        return pairs

    def prompt_ids(self, prompt: str | None = None) -> list[int]:
        """Return the ids of a question, image slots filled with placeholders, up to where the answer begins."""
        return self._chat.question(self.prompt if prompt is None else prompt)

    def answer_ids(self, captions: Sequence[str]) -> list[list[int]]:
        """Return the ids of answers, each with the token that ends its turn."""
        return [self._chat.answer(caption) for caption in captions]


def _check_pairs(shape: tuple[int, ...], dtype: str) -> None:
    if len(shape) != 5 or tuple(shape[1:3]) != (2, 3) or dtype != "uint8":
        raise InputError(
            f"images of shape {tuple(shape)} and dtype {dtype} were given; an array of pairs is "
            "(B, T=2, C=3, H, W) uint8, the earlier date first"
        )


def _from_array(images: NDArray[Any]) -> list[NDArray[np.uint8]]:
    _check_pairs(images.shape, str(images.dtype))
    return list(images.reshape(-1, *images.shape[2:]))


def _from_pairs(pairs: Sequence[Sequence[Image.Image]]) -> list[NDArray[np.uint8]]:
    flat = []
    for number, pair in enumerate(pairs):
        if isinstance(pair, Image.Image) or len(pair) != 2:
            raise InputError(
                f"item {number} of images is no pair of Pillow images: [(earlier, later), ...] is expected"
            )
        for image in pair:
            if image.mode in _DEEP_MODES:
                raise InputError(
                    f"pair {number} holds an image of mode {image.mode!r}, deeper than eight bits; scale both dates of "
                    "it to uint8 by one stretch first"
                )
            flat.append(np.moveaxis(np.asarray(image.convert("RGB")), -1, 0))
    return flat


def _pad(rows: list[list[int]], *, fill: int, side: str, multiple_of: int) -> list[list[int]]:
    longest = math.ceil(max(map(len, rows), default=0) / multiple_of) * multiple_of
    if side == "left":
        return [[fill] * (longest - len(row)) + row for row in rows]
    return [row + [fill] * (longest - len(row)) for row in rows]
