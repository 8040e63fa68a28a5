"""Any image-text-to-text model of Transformers as a captioner, for comparison with CCExpert."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from PIL import Image

from geocc.errors import CheckpointError, ModelNotFoundError
from geocc.inference.captioner import Caption, TileBatch, require_numbers
from geocc.inference.device import choose_device, choose_dtype, free_memory
from geocc.inference.endpoint import ENDPOINT_PROMPT
from geocc.inference.greedy import answer_greedily
from geocc.inference.no_change import says_no_change

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    import torch

__all__ = ["TransformersCaptioner"]


class TransformersCaptioner:
    """Shows both dates to a general vision-language model as two images of one conversation.

    `changed` follows the text; there is no `change_probability`.

    Args:
        model: A Transformers image-text-to-text model on its device.
        processor: Its processor; needs a chat template.
        name: What to call it in the result.
        prompt: The question.
        max_new_tokens: Longest caption in tokens.

    Raises:
        CheckpointError: The processor has no chat template.
    """

    def __init__(
        self,
        model: Any,
        processor: Any,
        *,
        name: str = "image-text-to-text",
        prompt: str = ENDPOINT_PROMPT,
        max_new_tokens: int = 64,
    ) -> None:
        if not getattr(processor, "chat_template", None):
            raise CheckpointError(
                f"the processor of {name!r} has no chat template, so two images and a question cannot be put to it; "
                "give it one: processor.chat_template = ..."
            )
        self._model = model.eval()
        self._processor = processor
        self._name = name
        self._prompt = prompt
        self._max_new_tokens = max_new_tokens

    @classmethod
    def from_pretrained(
        cls,
        model: str | os.PathLike[str],
        *,
        revision: str | None = None,
        local_files_only: bool = False,
        device: str | torch.device | None = None,
        dtype: str | torch.dtype = "auto",
        **settings: Any,
    ) -> TransformersCaptioner:
        """Load a model from a folder or a hub id: safetensors only, and never code that comes with it.

        Args:
            model: Folder or hub id.
            revision: Commit, tag or branch of a hub id.
            local_files_only: Do not ask the hub.
            device: Torch device; the fastest one present when left out.
            dtype: Torch dtype or its name; `"auto"` takes bfloat16 where the device computes faster in it.
            **settings: `prompt` and `max_new_tokens` of the class.

        Raises:
            ModelNotFoundError: The folder or hub id holds no such model, or cannot be reached.
            InputError: Device or dtype cannot be used.
        """
        from transformers import AutoModelForImageTextToText, AutoProcessor

        target = choose_device(device)
        where: dict[str, Any] = {"revision": revision, "local_files_only": local_files_only}
        try:
            loaded: Any = AutoModelForImageTextToText.from_pretrained(
                model, dtype=choose_dtype(dtype, target), use_safetensors=True, **where
            )
            processor = AutoProcessor.from_pretrained(model, **where)
        except (OSError, ValueError) as error:
            raise ModelNotFoundError(
                f"{str(model)!r} cannot be loaded as an image-text-to-text model: {error}. Expected a folder or hub id "
                "with config.json, safetensors and a processor."
            ) from error
        return cls(loaded.to(target), processor, name=str(model), **settings)

    @property
    def name(self) -> str:
        """What the model was asked for by."""
        return self._name

    @property
    def details(self) -> dict[str, Any]:
        """What the captions depend on, for the layer's metadata; JSON-safe."""
        return {
            "revision": getattr(self._model.config, "_commit_hash", None),
            "prompt": self._prompt,
            "max_new_tokens": self._max_new_tokens,
            "decoding": "greedy",
            "dtype": str(self._model.dtype).removeprefix("torch."),
            "device": self._model.device.type,
        }

    @property
    def fingerprint(self) -> str:
        """Sixteen hex digits that change with the name, the revision, the prompt, the decoding and the dtype."""
        return hashlib.sha256(json.dumps([self._name, self.details], sort_keys=True).encode()).hexdigest()[:16]

    @property
    def input_size(self) -> int:
        """Side in pixels that the vision tower looks at, as far as the configuration says."""
        vision = getattr(self._model.config, "vision_config", None)
        return int(getattr(vision, "image_size", 0) or 384)

    @property
    def bytes_per_pair(self) -> int:
        """A quarter of the weights: general models cut images into many crops, and none says how many in advance."""
        return max(1, int(self._model.get_memory_footprint()) // 4)

    def bytes_free(self) -> int:
        """Return the memory free on the model's device."""
        return free_memory(self._model.device)

    def caption(self, batch: TileBatch) -> Sequence[Caption]:
        """Caption every tile of the batch, in its order.

        Raises:
            CaptionError: The model's probabilities are not numbers.
        """
        conversations = [
            [
                {
                    "role": "user",
                    "content": [
                        *({"type": "image", "image": Image.fromarray(image.transpose(1, 2, 0))} for image in pair),
                        {"type": "text", "text": self._prompt},
                    ],
                }
            ]
            for pair in batch.images
        ]
        inputs = self._processor.apply_chat_template(
            conversations,
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            processor_kwargs={"padding": True, "padding_side": "left", "return_tensors": "pt"},
        )
        answers = answer_greedily(
            self._model,
            self._processor,
            max_new_tokens=self._max_new_tokens,
            **inputs.to(self._model.device, self._model.dtype),
        )
        require_numbers([(confidence,) for _, confidence in answers], dtype=str(self._model.dtype))
        return [Caption(text, changed=not says_no_change(text), confidence=confidence) for text, confidence in answers]
