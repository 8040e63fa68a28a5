"""`run_benchmark`: a captioner over a benchmark, resumable, and one file that says how it did and what it was."""

from __future__ import annotations

import json
import math
import sys
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tqdm import tqdm

from geocc.errors import GeoccError, InputError, WriteError
from geocc.evaluation.breakdown import breakdown, to_records
from geocc.evaluation.evaluate import evaluate
from geocc.evaluation.readers import json_lines
from geocc.evaluation.result import Evaluation, write_text
from geocc.evaluation.scorers import ALL_METRICS, Metric, check_metrics

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator

    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from geocc.evaluation.benchmarks import Benchmark, BenchmarkPair
    from geocc.inference.captioner import Caption, Captioner

__all__ = ["BenchmarkResult", "run_benchmark"]

FORMAT = "geocc-benchmark-1"
PREDICTIONS = "predictions.jsonl"
RESULTS = "results.json"


class BenchmarkResult(NamedTuple):
    """What a benchmark found.

    Attributes:
        evaluation: The figures.
        content: What `results.json` holds.
        breakdown: Of synthetic pairs, how they did by domain, kind of change, size of a pixel and misregistration: see
            `geocc.evaluation.breakdown`. Empty of others.
    """

    evaluation: Evaluation
    content: dict[str, Any]
    breakdown: pd.DataFrame


def run_benchmark(
    benchmark: Benchmark,
    captioner: Captioner,
    *,
    output: str | os.PathLike[str],
    batch_size: int = 16,
    metrics: Iterable[Metric] = ALL_METRICS,
    bootstrap: int = 1000,
    progress: bool = True,
) -> BenchmarkResult:
    """Caption every pair of a benchmark and score the captions.

    Captions are appended to `predictions.jsonl` as they come, in the reference's result layout; run again after an
    interruption, the pairs that are there are not captioned again. When all are, `results.json` is written, whole: figures,
    model with fingerprint, prompt and decoding, versions.

    Args:
        benchmark: From `levir_cc` or `synthetic`.
        captioner: What captions.
        output: Folder for both files; made where it is missing.
        batch_size: Pairs per call of the captioner at the most.
        metrics: See `evaluate`.
        bootstrap: See `evaluate`.
        progress: Show progress bars on stderr.

    Returns:
        The figures, and what was written.

    Raises:
        InputError: The predictions in the folder are of another model or benchmark.
        CaptionError: The captioner failed.
        ReadError: An image or the predictions cannot be read.
        WriteError: A file cannot be written.
        EvaluationError: METEOR was asked for and there is no Java.
    """
    chosen = check_metrics(metrics)
    folder = Path(output)
    predictions = folder / PREDICTIONS
    stamp = {"benchmark": {"name": benchmark.name, **benchmark.settings}, "fingerprint": captioner.fingerprint}
    with _writing(predictions):
        folder.mkdir(parents=True, exist_ok=True)
    done = _done(predictions, stamp)
    _caption(benchmark, captioner, predictions, done=done, stamp=stamp, batch_size=batch_size, progress=progress)
    evaluation = evaluate(predictions, metrics=chosen, bootstrap=bootstrap, progress=progress)
    table = breakdown(record for _, record in json_lines(predictions))
    content = {
        "format": FORMAT,
        **stamp,
        "model": getattr(captioner, "details", {"name": captioner.name}),
        "versions": _versions(),
        "evaluation": evaluation.to_dict(),
        **({"breakdown": to_records(table)} if len(table) else {}),
    }
    write_text(json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n", folder / RESULTS)
    return BenchmarkResult(evaluation, content, table)


def _caption(
    benchmark: Benchmark,
    captioner: Captioner,
    predictions: Path,
    *,
    done: set[str],
    stamp: dict[str, Any],
    batch_size: int,
    progress: bool,
) -> None:
    from geocc.inference.batching import BatchRunner

    waiting: dict[str, BenchmarkPair] = {}

    def images() -> Iterator[tuple[str, NDArray[np.uint8]]]:
        for pair in benchmark.pairs(done):
            waiting[pair.reference.uid] = pair
            yield pair.reference.uid, pair.read()

    runner = BatchRunner(captioner, batch_size=batch_size, on_error="raise")
    bar = tqdm(total=benchmark.total, initial=len(done), desc="captioning", unit=" pairs", disable=not progress)
    with bar, _writing(predictions), predictions.open("a", encoding="utf-8", errors="replace") as file:
        for uid, caption in runner.run(images()):
            line = _line(waiting.pop(uid), caption, stamp)  # type: ignore[arg-type]  # failures are raised
            file.write(line)
            # A killed run loses the caption in hand, and no other.
            file.flush()
            bar.update()


def _line(pair: BenchmarkPair, caption: Caption, stamp: dict[str, Any]) -> str:
    def known(value: float) -> float | None:
        return None if math.isnan(value) else value

    record = {
        "uid": pair.reference.uid,
        "pred": caption.text,
        "change_caption": list(pair.reference.captions),
        "change_flag": int(pair.reference.says_changed()),
        "changed": caption.changed,
        "change_probability": known(caption.change_probability),
        "confidence": known(caption.confidence),
        **({"truth": pair.truth} if pair.truth else {}),
        **stamp,
    }
    return json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n"


def _done(predictions: Path, stamp: dict[str, Any]) -> set[str]:
    if not predictions.exists():
        return set()
    _drop_torn_line(predictions)
    done = set()
    for at, record in json_lines(predictions):
        if not isinstance(record, dict) or {key: record.get(key) for key in stamp} != stamp:
            raise InputError(
                f"{at} is of another model or benchmark than {stamp}; give another --output, or remove the file."
            )
        done.add(str(record.get("uid")))
    return done


def _drop_torn_line(predictions: Path) -> None:
    with _writing(predictions), predictions.open("rb+") as file:
        content = file.read()
        file.truncate(content.rfind(b"\n") + 1)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except GeoccError:
        raise
    except OSError as error:
        raise WriteError(f"{path} cannot be written: {error.strerror or error}") from error


def _versions() -> dict[str, str]:
    names = ("geocc", "torch", "transformers", "pycocoevalcap", "numpy")
    return {"python": sys.version.split()[0], **{name: metadata.version(name) for name in names}}
