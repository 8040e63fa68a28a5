"""CCExpert as a captioner: tiles in, captions with probabilities out."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from geocc.errors import InputError
from geocc.inference.agreement import likeliest_of, likeliest_other
from geocc.inference.beams import likeliest_by_beams
from geocc.inference.captioner import Caption, TileBatch, require_numbers
from geocc.inference.clauses import repeats_itself
from geocc.inference.compiling import compile_encoder
from geocc.inference.decoding import (
    OpenAnswers,
    answer_probability,
    can_be_cut_back,
    continue_greedily,
    is_plain_greedy,
    read_prompts,
)
from geocc.inference.device import choose_device, choose_dtype, free_memory
from geocc.inference.drafts import AnswerTree
from geocc.inference.greedy import Answer, answer_greedily
from geocc.inference.no_change import NO_CHANGE_SENTENCES, says_no_change
from geocc.inference.streams import Streams

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from geocc.inference.decoding import ReadPrompts, SpokenTokens
    from geocc.inference.static_steps import StaticSteps
    from geocc.model import CCExpertForConditionalGeneration, CCExpertProcessor
    from geocc.model.outputs import CCExpertImageFeatures

__all__ = ["CCExpertCaptioner", "EncodedDate"]

# Log probability of a no-change sentence that a model does not know: one that speaks another language, or was fine-tuned to say
# so in words of its own, which nobody here can tell from a change. It is left alone.
_UNHEARD_OF = math.log(1e-6)


class EncodedDate(NamedTuple):
    """What a model keeps of one date of a tile, for all pairs that it is part of.

    Attributes:
        levels: `(L, N, D)` feature levels of the vision tower.
        pixels: `(C, H, W)` the pixels that they were made from, for a model with a scout; None for others.
    """

    levels: Tensor
    pixels: Tensor | None


class CCExpertCaptioner:
    """Captions tiles with a CCExpert model, each batch encoded once.

    `change_probability` comes from the model's change head. A model without one, such as the reference's, is asked how
    likely it is to answer with one of `NO_CHANGE_SENTENCES`; the rest is the probability of change, and `changed`
    follows the text.

    Args:
        model: The model, on its device and in its dtype.
        processor: Its processor.
        name: What to call it in the result.
        revision: What tells these weights from others of that name, for example a sha256.
        prompt: The question, with two `<image>` slots; the processor's own when left out.
        max_new_tokens: Longest caption in tokens.
        skip_unchanged: Pairs whose change probability is below this are not decoded; needs a change head.
        draft: The answer that most tiles get, checked in the prompt's own pass so that such a tile needs no decoding
            step; changes the speed and no caption. Left out, the first of `NO_CHANGE_SENTENCES`. A model without a change
            head checks all of those anyway.
        agreeing: Let the words follow the change head: where it sees no change, the likeliest of `NO_CHANGE_SENTENCES`, if the
            model knows them; where it sees one, the likeliest beginning of another sentence, continued greedily. False leaves
            the words as they are, and `changed` may contradict them. Of no effect without a change head, or where the
            checkpoint's generation settings bend greedy decoding.
        num_beams: Beginnings of a caption that are kept until it is known how they go on (beam search), for tiles on which something
            changed, the likeliest answer being given that does not say one thing twice, where there is such a one; 1 takes the
            likeliest word each time, which is faster and says less well what changed. Left out, what the
            checkpoint's generation settings ask for; geocc-mini has 3, CCExpert 1.
        compiled: Have torch compile the vision tower and the difference module, in place, and on CUDA run decoding steps as
            graphs. The first batches then take a minute or more longer, and the model is for inference only from then on. Needs a
            C++ compiler on a CPU.
        streams: Parts of a batch that a processor works on at the same time (`geocc.inference.streams`), for small models that are
            not compiled. Left out, as many as torch has threads, of 8 tiles or more; 1 keeps batches whole.

    Raises:
        InputError: `skip_unchanged` without a change head, a prompt without two slots, `streams` or `num_beams` below 1, or
            beams for a language model whose cache cannot be cut back.
    """

    def __init__(
        self,
        model: CCExpertForConditionalGeneration,
        processor: CCExpertProcessor,
        *,
        name: str = "ccexpert",
        revision: str = "",
        prompt: str | None = None,
        max_new_tokens: int = 64,
        skip_unchanged: float | None = None,
        draft: str | None = None,
        agreeing: bool = True,
        num_beams: int | None = None,
        compiled: bool = False,
        streams: int | None = None,
    ) -> None:
        if skip_unchanged is not None and not model.config.change_head:
            raise InputError(
                f"skip_unchanged={skip_unchanged} needs a model with a change head, and {name!r} has none; "
                "leave skip_unchanged out, or use model='geocc-mini'."
            )
        if max_new_tokens < 1:
            raise InputError(f"max_new_tokens is {max_new_tokens}; expected 1 or more.")
        self._model = model.eval()
        self._processor = processor
        self._name = name
        self._revision = revision
        self._prompt = prompt
        self._max_new_tokens = max_new_tokens
        self._skip_unchanged = skip_unchanged
        self._prompt_ids = processor.prompt_ids(prompt)
        self._compiled = compiled
        self._steps: StaticSteps | None = None
        if compiled:
            compile_encoder(model)
            if model.device.type == "cuda":
                from geocc.inference.static_steps import StaticSteps

                self._steps = StaticSteps(model, max_new_tokens=max_new_tokens)
        self._streams = Streams(model, most=1 if compiled else streams)
        self._is_plain = is_plain_greedy(model)
        self._num_beams = _beams(model, num_beams)
        self._agreeing = agreeing and model.config.change_head and self._is_plain
        written = [sentence for plain in NO_CHANGE_SENTENCES for sentence in (plain, f"{plain.capitalize()}.")]
        self._no_change_ids = processor.answer_ids(written)
        self._no_change = AnswerTree.from_answers(self._no_change_ids)
        self._draft = AnswerTree.from_answers(
            processor.answer_ids([NO_CHANGE_SENTENCES[0]] if draft is None else [draft])
        )

    @classmethod
    def from_pretrained(
        cls,
        model: str | os.PathLike[str] = "geocc-mini",
        *,
        revision: str | None = None,
        local_files_only: bool = False,
        device: str | torch.device | None = None,
        dtype: str | torch.dtype = "auto",
        **settings: Any,
    ) -> CCExpertCaptioner:
        """Load a captioner by name, folder or hub id.

        Args:
            model: A name that `geocc models` lists, a checkpoint folder of any layout geocc reads, or a hub id.
            revision: Commit, tag or branch of a hub id.
            local_files_only: Do not ask the hub.
            device: Torch device; the fastest one present when left out.
            dtype: Torch dtype or its name; `"auto"` takes bfloat16 where the device computes faster in it.
            **settings: `prompt`, `max_new_tokens`, `skip_unchanged`, `draft`, `agreeing`, `num_beams`, `compiled` and
                `streams` of the class.

        Raises:
            ModelNotFoundError: No such model.
            CheckpointError: The weights do not fit, are unsafe, or carry no processor.
            InputError: A setting cannot be used.
        """
        from geocc.model.lean_imports import import_transformers

        import_transformers(lean=not (Path(model) / "adapter_config.json").is_file())
        from geocc.model import load_captioning_checkpoint

        target = choose_device(device)
        loaded = load_captioning_checkpoint(
            model,
            revision=revision,
            local_files_only=local_files_only,
            device=target,
            dtype=choose_dtype(dtype, target),
        )
        return cls(loaded.model, loaded.processor, name=str(model), revision=loaded.revision, **settings)

    @property
    def name(self) -> str:
        """What the model was asked for by."""
        return self._name

    @property
    def fingerprint(self) -> str:
        """Sixteen hex digits that change with the weights, the prompt, the decoding and the dtype."""
        return hashlib.sha256(json.dumps(self.details, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def details(self) -> dict[str, Any]:
        """What the captions depend on, for the layer's metadata; JSON-safe."""
        return {
            "name": self._name,
            "revision": self._revision,
            "prompt": self._processor.prompt if self._prompt is None else self._prompt,
            "max_new_tokens": self._max_new_tokens,
            "decoding": ("greedy" if self._num_beams == 1 else f"{self._num_beams} beams")
            + (", as the change head has it" if self._agreeing else ""),
            "skip_unchanged": self._skip_unchanged,
            "dtype": str(self._model.dtype).removeprefix("torch."),
            "device": self._model.device.type,
        } | ({"compiled": True} if self._compiled else {})

    @property
    def input_size(self) -> int:
        """Side in pixels to which tiles are resized."""
        return int(self._model.config.input_size)

    @property
    def bytes_per_pair(self) -> int:
        """Working memory of one pair: its cache, and the widest states alive at once in each of the parts."""
        config, width = self._model.config, self._model.dtype.itemsize
        text, vision = config.text_config, config.vision_config
        tokens = len(self._prompt_ids) + self._max_new_tokens
        head = text.hidden_size // text.num_attention_heads
        cache = 2 * text.num_hidden_layers * text.num_key_value_heads * head * self._num_beams
        prefill = 3 * text.intermediate_size + 8 * text.hidden_size
        levels = len(config.feature_levels)
        tower = 2 * (vision.intermediate_size + (8 + levels) * vision.hidden_size)
        difference = levels * (config.difference_mlp_dim + 24 * vision.hidden_size)
        scout = 0 if config.scout_config is None else config.scout_config.numbers_per_pair
        return int(width * ((cache + prefill) * tokens + (tower + difference) * config.tokens_per_image + scout))

    def bytes_free(self) -> int:
        """Return the memory free on the model's device."""
        return free_memory(self._model.device)

    def caption(self, batch: TileBatch) -> Sequence[Caption]:
        """Caption every tile of the batch, in its order.

        Raises:
            CaptionError: The model's probabilities are not numbers.
        """
        return self._streams.map(self._caption_images, batch.images)

    @torch.inference_mode()
    def _caption_images(self, images: NDArray[np.uint8]) -> list[Caption]:
        pixels = self._processor.pixel_values(images, device=self._model.device)
        return self._caption_features(self._model.get_image_features(pixels.to(self._model.dtype)))

    def encode_dates(self, images: NDArray[np.uint8]) -> list[EncodedDate]:
        """Encode single dates of tiles, for `caption_encoded`.

        Args:
            images: `(R, C=3, H, W)` uint8.

        Returns:
            R dates, each in memory of its own.
        """
        return self._streams.map(self._encode_images, images)

    @torch.inference_mode()
    def _encode_images(self, images: NDArray[np.uint8]) -> list[EncodedDate]:
        # The processor takes pairs: of an odd number, the last image comes twice and is encoded once.
        paired = np.concatenate([images, images[-1:]]) if len(images) % 2 else images
        pixels = self._processor.pixel_values(
            paired.reshape(-1, 2, *images.shape[1:]), device=self._model.device
        ).flatten(0, 1)[: len(images)]
        pixels = pixels.to(self._model.dtype)
        levels: Tensor = self._model.model.encode_images(pixels)
        scouted = self._model.config.scout_config is not None
        return [
            EncodedDate(level.clone(), image.clone() if scouted else None)
            for level, image in zip(levels.unbind(1), pixels, strict=True)
        ]

    def caption_encoded(self, earlier: Sequence[EncodedDate], later: Sequence[EncodedDate]) -> Sequence[Caption]:
        """Caption pairs of encoded dates; the same captions as `caption` gives for their images.

        Args:
            earlier: B dates, each one of what `encode_dates` returned.
            later: The later dates.
        """
        return self._streams.map(self._compare, earlier, later)

    @torch.inference_mode()
    def _compare(self, earlier: Sequence[EncodedDate], later: Sequence[EncodedDate]) -> list[Caption]:
        levels = torch.stack([torch.stack([one.levels for one in date], dim=1) for date in (earlier, later)], dim=2)
        pairs = zip(earlier, later, strict=True)
        images = [one.pixels for pair in pairs for one in pair if one.pixels is not None]
        pixels = torch.stack(images).unflatten(0, (-1, 2)) if images else None
        return self._caption_features(self._model.model.compare_dates(levels, pixel_values=pixels))

    def _caption_features(self, features: CCExpertImageFeatures) -> list[Caption]:
        images: Any = features.image_features
        prompt = torch.tensor(self._prompt_ids, device=self._model.device).expand(len(images), -1)
        if features.change_logits is None:
            captions = self._caption_by_words(prompt, images)
        else:
            captions = self._caption_by_head(prompt, images, features.change_logits.float().sigmoid())
        numbers = [(said.change_probability, said.confidence if said.decoded else 1.0) for said in captions]
        require_numbers(numbers, dtype=str(self._model.dtype))
        return captions

    def _caption_by_head(self, prompt: Tensor, image_features: Tensor, probabilities: Tensor) -> list[Caption]:
        wanted = torch.ones_like(probabilities, dtype=torch.bool)
        if self._skip_unchanged is not None:
            wanted = probabilities >= self._skip_unchanged
        answers = iter(
            self._answer_as_seen(prompt[wanted], image_features[wanted], probabilities[wanted] >= 0.5)
            if wanted.any()
            else []
        )
        captions = []
        for probability, decode in zip(probabilities.tolist(), wanted.tolist(), strict=True):
            if decode:
                text, confidence = next(answers)
                changed = probability >= 0.5
                captions.append(Caption(text, changed=changed, change_probability=probability, confidence=confidence))
            else:
                captions.append(
                    Caption(NO_CHANGE_SENTENCES[0], changed=False, change_probability=probability, decoded=False)
                )
        return captions

    def _caption_by_words(self, prompt: Tensor, image_features: Tensor) -> list[Caption]:
        read = read_prompts(self._model, prompt, image_features, tree=self._no_change)
        probabilities = (1 - answer_probability(read)).tolist()
        answers = self._finish(read, prompt) if self._is_plain else self._generate(prompt, image_features)
        return [
            Caption(text, changed=not says_no_change(text), change_probability=probability, confidence=confidence)
            for (text, confidence), probability in zip(answers, probabilities, strict=True)
        ]

    def _answer_as_seen(self, prompt: Tensor, image_features: Tensor, changed: Tensor) -> list[Answer]:
        """Answer, and answer again where the words contradict what the head has seen."""
        answers = self._answer(prompt, image_features)
        if not self._agreeing:
            return answers
        silent = torch.tensor([says_no_change(answer.text) for answer in answers], device=changed.device)
        for flag, ask in ((True, self._ask_for_change), (False, self._ask_for_no_change)):
            rows = ((changed == flag) & (silent == flag)).nonzero()[:, 0].tolist()
            if rows:
                again = dict(zip(rows, ask(prompt[rows], image_features[rows]), strict=True))
                if not flag:
                    again = {
                        row: said for row, said in again.items() if math.fsum(said.log_probabilities) > _UNHEARD_OF
                    }
                for row, said in again.items():
                    [answers[row]] = self._to_answers([said])
        return answers

    def _ask_for_no_change(self, prompt: Tensor, image_features: Tensor) -> list[SpokenTokens]:
        return likeliest_of(self._model, prompt, image_features, answers=self._no_change_ids)

    def _ask_for_change(self, prompt: Tensor, image_features: Tensor) -> list[SpokenTokens]:
        found: list[SpokenTokens | None] = [None] * len(prompt)
        if self._num_beams > 1:
            read = read_prompts(self._model, prompt, image_features, tree=AnswerTree())
            found = self._search(prompt, read, is_refused=self._is_no_change)
        rows = [row for row, said in enumerate(found) if said is None]
        others = iter(self._ask_for_another(prompt[rows], image_features[rows]) if rows else [])
        return [next(others) if said is None else said for said in found]

    def _ask_for_another(self, prompt: Tensor, image_features: Tensor) -> list[SpokenTokens]:
        return likeliest_other(
            self._model,
            prompt,
            image_features,
            refused=self._no_change_ids,
            is_refused=self._is_no_change,
            max_new_tokens=self._max_new_tokens,
        )

    def _is_no_change(self, tokens: list[int]) -> bool:
        return says_no_change(self._processor.decode(tokens, skip_special_tokens=True))

    def _is_repetitive(self, tokens: list[int]) -> bool:
        return repeats_itself(self._processor.decode(tokens, skip_special_tokens=True))

    def _answer(self, prompt: Tensor, image_features: Tensor) -> list[Answer]:
        if not self._is_plain:
            return self._generate(prompt, image_features)
        return self._finish(read_prompts(self._model, prompt, image_features, tree=self._draft), prompt)

    def _finish(self, read: ReadPrompts, prompt: Tensor) -> list[Answer]:
        if self._num_beams > 1:
            return self._to_answers(self._search_beyond(read, prompt))
        if self._steps is not None:
            return self._to_answers(self._steps.continue_greedily(read))
        return self._to_answers(continue_greedily(self._model, read, max_new_tokens=self._max_new_tokens))

    def _search_beyond(self, read: ReadPrompts, prompt: Tensor) -> list[SpokenTokens]:
        """Search for the answers that greedy decoding would not have taken over whole from a draft."""
        drafted = OpenAnswers(self._model, read, max_new_tokens=self._max_new_tokens)
        spoken, rows = list(drafted.spoken), drafted.rows
        if rows:
            for row, said in zip(rows, self._search(prompt[rows], read, rows=rows), strict=True):
                spoken[row] = said or spoken[row]
        return spoken

    def _search(
        self,
        prompt: Tensor,
        read: ReadPrompts,
        *,
        rows: Sequence[int] | None = None,
        is_refused: Callable[[list[int]], bool] = lambda _: False,
    ) -> list[SpokenTokens | None]:
        return likeliest_by_beams(
            self._model,
            prompt,
            read,
            rows=rows,
            num_beams=self._num_beams,
            max_new_tokens=self._max_new_tokens,
            is_refused=is_refused,
            is_poor=self._is_repetitive,
        )

    def _to_answers(self, spoken: Sequence[SpokenTokens]) -> list[Answer]:
        texts = self._processor.batch_decode([answer.tokens for answer in spoken], skip_special_tokens=True)
        return [
            Answer(text.strip(), math.exp(math.fsum(answer.log_probabilities) / len(answer.log_probabilities)))
            for text, answer in zip(texts, spoken, strict=True)
        ]

    def _generate(self, prompt: Tensor, image_features: Tensor) -> list[Answer]:
        if self._num_beams > 1:
            read = read_prompts(self._model, prompt, image_features, tree=AnswerTree())
            return self._to_answers([said for said in self._search(prompt, read) if said is not None])
        return answer_greedily(
            self._model,
            self._processor,
            input_ids=prompt,
            max_new_tokens=self._max_new_tokens,
            attention_mask=torch.ones_like(prompt),
            image_features=image_features,
        )


def _beams(model: CCExpertForConditionalGeneration, asked: int | None) -> int:
    beams = (model.generation_config.num_beams or 1) if asked is None else asked
    if beams < 1:
        raise InputError(f"num_beams is {beams}; expected 1 or more.")
    if beams > 1 and not can_be_cut_back(model):
        raise InputError(
            f"num_beams is {beams}, but this language model slides a window over its text, and its cache cannot be cut back; "
            "give num_beams=1."
        )
    return beams
