"""Evaluation in the middle of training: the model writes captions, and they are scored as a finished model's are."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from accelerate.utils import broadcast_object_list, gather_object

from geocc.errors import InputError
from geocc.inference.greedy import answer_greedily
from geocc.training.images import read_pair

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from accelerate import Accelerator

    from geocc.data.records import Record
    from geocc.model import CCExpertProcessor
    from geocc.training.configuration import Evaluation

__all__ = ["CaptionEvaluation", "Written", "check_evaluation", "score"]


class Written(NamedTuple):
    """What the model wrote of one record.

    Attributes:
        record: The record.
        caption: The caption.
    """

    record: Record
    caption: str


def check_evaluation(settings: Evaluation) -> None:
    """Find out before the first step whether the figures asked for can be had here.

    Raises:
        InputError: The figure that chooses is unknown, or is not among the metrics.
        EvaluationError: METEOR is asked for and there is no Java.
    """
    from geocc.evaluation import find_java

    needed = {"S*m": {"bleu", "meteor", "rouge", "cider"}, "BLEU-4": {"bleu"}, "METEOR": {"meteor"}}
    needed |= {"ROUGE-L": {"rouge"}, "CIDEr": {"cider"}, "accuracy": set()}
    if settings.best not in needed:
        raise InputError(f"evaluation.best is {settings.best!r}; expected one of {', '.join(needed)}")
    if missing := needed[settings.best].difference(settings.metrics):
        raise InputError(f"evaluation.best is {settings.best!r}, which needs {', '.join(sorted(missing))} in metrics")
    if "meteor" in settings.metrics:
        find_java()


def score(written: Sequence[Written], settings: Evaluation) -> dict[str, float]:
    """Score captions through `geocc.evaluation`.

    Args:
        written: What the model wrote.
        settings: Which metrics.

    Returns:
        Figures by the names that `geocc.evaluation` prints, in points or percent; those of the changed pairs alone,
        where there are any, with `changed/` before the name.
    """
    from geocc.evaluation import Prediction, Reference, evaluate

    predictions = [
        Prediction(r.uid, text, Reference(r.uid, tuple(r.change_caption), changed=bool(r.change_flag)))
        for r, text in written
    ]
    table = evaluate(predictions, metrics=settings.metrics, bootstrap=0, baselines=False, progress=False).table
    rows = table[table["group"].isin(["caption", "change"]) & table["subset"].isin(["all", "changed"])]
    return {
        f"{'' if subset == 'all' else 'changed/'}{name}": float(value)
        for subset, name, value in zip(rows["subset"], rows["metric"], rows["value"], strict=True)
        if not math.isnan(value)
    }


class CaptionEvaluation:
    """Lets a model caption records, on all processes together, and scores what it wrote.

    Args:
        records: The records, each with its captions.
        processor: The model's processor.
        settings: Which metrics, how long captions may be, how many pairs at once.
        scorer: Turns what was written into figures; `score` when left out.
    """

    def __init__(
        self,
        records: Sequence[Record],
        processor: CCExpertProcessor,
        *,
        settings: Evaluation,
        scorer: Callable[[Sequence[Written], Evaluation], dict[str, float]] = score,
    ) -> None:
        self._records = records
        self._processor = processor
        self._settings = settings
        self._scorer = scorer

    def __len__(self) -> int:
        """Return the number of records."""
        return len(self._records)

    def __call__(self, model: Any, accelerator: Accelerator) -> dict[str, float]:
        """Caption and score.

        Args:
            model: The model, unwrapped unless it is sharded.
            accelerator: The trainer's.

        Returns:
            The figures, the same on every process.
        """
        was_training = model.training
        model.eval()
        try:
            own = self._write_share(model, accelerator)
        finally:
            model.train(was_training)
        everything: dict[int, str] = dict(gather_object(own))
        figures: list[Any] = [None]
        if accelerator.is_main_process:
            written = [Written(record, everything[number]) for number, record in enumerate(self._records)]
            figures = [self._scorer(written, self._settings)]
        broadcast_object_list(figures)
        scored: dict[str, float] = figures[0]
        return scored

    def _write_share(self, model: Any, accelerator: Accelerator) -> list[tuple[int, str]]:
        total, size = len(self._records), self._settings.batch_size
        share = -(-total // accelerator.num_processes)
        # Sharded models step together, so every process writes equally many; what is written twice counts once.
        numbers = [(accelerator.process_index * share + place) % total for place in range(share)]
        written: list[tuple[int, str]] = []
        for start in range(0, share, size):
            batch = numbers[start : start + size]
            written += zip(batch, self._write(model, batch, synced=accelerator.num_processes > 1), strict=True)
        return written

    def _write(self, model: Any, numbers: list[int], *, synced: bool) -> list[str]:
        pairs = [read_pair(self._records[number]) for number in numbers]
        pixels = self._processor.pixel_values(pairs).to(model.device)
        prompt = torch.tensor(self._processor.prompt_ids(), device=model.device).expand(len(pairs), -1)
        answers = answer_greedily(
            model,
            self._processor,
            input_ids=prompt,
            max_new_tokens=self._settings.max_new_tokens,
            attention_mask=torch.ones_like(prompt),
            pixel_values=pixels,
            use_cache=True,
            synced_gpus=synced,
        )
        return [answer.text for answer in answers]
