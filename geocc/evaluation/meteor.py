"""METEOR 1.5 through the jar of pycocoevalcap, with one Java process for the life of this one."""

from __future__ import annotations

import atexit
import os
import tempfile
import threading
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np

from geocc.errors import EvaluationError
from geocc.evaluation.java import start_java

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

__all__ = ["Meteor", "meteor_from_counts", "poolable", "shared_meteor", "stop_meteor"]

#: Numbers in one line of METEOR's statistics: lengths (4), matches of four stages (16), chunks, matched words (2).
STATISTICS = 23

# Seconds. Starting reads a table of 60 MB: ten seconds, but minutes on a busy machine. A caption takes a millisecond; one
# that repeats a word five hundred times, and is its own reference, a minute.
_START_TIMEOUT = 600.0
_REPLY_TIMEOUT = 120.0

# Captions whose statistics are kept: some tens of megabytes.
_MAX_KNOWN = 100_000

_ARGUMENTS = ("-", "-", "-stdio", "-l", "en", "-norm")


class Meteor:
    """METEOR 1.5, English, with the command line of pycocoevalcap and of CCExpert's reference code.

    Denkowski and Lavie, "Meteor Universal", WMT 2014; the jar is the one in the pycocoevalcap wheel. Java is started
    with the first caption and takes about 1.5 GB until `close`. Safe to share between threads.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._complaints: IO[bytes] | None = None
        self._lock = threading.Lock()
        # Captions repeat: every unchanged pair of LEVIR-CC has the same five references.
        self._known: dict[str, str] = {}

    def statistics(
        self,
        hypotheses: Sequence[str],
        references: Sequence[Sequence[str]],
        *,
        on_done: Callable[[int], object] | None = None,
    ) -> NDArray[np.float64]:
        """Align every hypothesis with its references.

        Args:
            hypotheses: N captions.
            references: N sequences of one or more captions.
            on_done: Called with 1 after each caption, for a progress bar.

        Returns:
            `(N, 23)` counts, from which `scores` and `score` are computed; they add up over captions.

        Raises:
            EvaluationError: Java is missing, has died or does not answer.
        """
        lines = [_score_line(text, own) for text, own in zip(hypotheses, references, strict=True)]
        rows = []
        with self._lock:
            for line in lines:
                rows.append(self._statistics(line))
                if on_done is not None:
                    on_done(1)
        return np.array([[float(number) for number in row.split()] for row in rows]).reshape(-1, STATISTICS)

    def score(self, statistics: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        """Turn statistics into scores in [0, 1].

        Args:
            statistics: `(N, 23)`, from `statistics`; any selection of its rows.

        Returns:
            The score of all rows together (not the mean of theirs), and `(N,)` the score of each row.

        Raises:
            EvaluationError: Java is missing, has died or does not answer.
        """
        if not len(statistics):
            return float("nan"), np.zeros(0)
        rows = (" ".join(str(number) for number in row) for row in statistics.tolist())
        with self._lock:
            replies = self._ask(" ||| ".join(("EVAL", *rows)), len(statistics) + 1)
        *segments, whole = (float(reply) for reply in replies)
        return whole, np.array(segments)

    def close(self) -> None:
        """End the Java process. A later call starts another."""
        process, self._process = self._process, None
        if process is not None:
            _end(process)
        if self._complaints is not None:
            self._complaints.close()
            self._complaints = None

    def _statistics(self, line: str) -> str:
        if line not in self._known:
            reply = self._ask(line, 1)[0]
            if len(reply.split()) != STATISTICS:
                raise self._failure(f"answered {reply[:200]!r} where {STATISTICS} numbers were expected")
            if len(self._known) >= _MAX_KNOWN:
                self._known.clear()
            self._known[line] = reply
        return self._known[line]

    def _ask(self, line: str, replies: int) -> list[str]:
        process = self._running()
        with self._deadline(process, _REPLY_TIMEOUT):
            return self._exchange(process, line, replies)

    def _exchange(self, process: subprocess.Popen[bytes], line: str, replies: int) -> list[str]:
        if process.stdin is None or process.stdout is None:  # pragma: no cover - we asked for both
            raise self._failure("has no pipes")
        try:
            process.stdin.write(f"{line}\n".encode())
            process.stdin.flush()
            answers = [process.stdout.readline().decode() for _ in range(replies)]
        except OSError as error:
            raise self._failure(f"has gone ({error})") from error
        if not answers[-1]:
            subject = line.rsplit(" ||| ", 1)[-1]
            raise self._failure(
                f"ended, or did not answer in time, on the caption {subject[:80]!r} ({len(subject.split())} words)"
            )
        return [answer.strip() for answer in answers]

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self.close()
            command = ["-Xmx2G", "-XX:+UseSerialGC", "-jar", str(_jar()), *_ARGUMENTS]
            self._complaints = tempfile.TemporaryFile()  # noqa: SIM115 - closed in `close`
            try:
                self._process = start_java(command, stderr=self._complaints)
            except EvaluationError:
                self.close()
                raise
            with self._deadline(self._process, _START_TIMEOUT):
                self._exchange(self._process, _score_line("a", ["a"]), 1)
        return self._process

    @contextmanager
    def _deadline(self, process: subprocess.Popen[bytes], seconds: float) -> Iterator[None]:
        # A dead process ends every read and write; a hung one would not.
        watchdog = threading.Timer(seconds, process.kill)
        watchdog.daemon = True
        watchdog.start()
        try:
            yield
        finally:
            watchdog.cancel()

    def _failure(self, what: str) -> EvaluationError:
        said = b""
        if self._complaints is not None:
            self._complaints.seek(0)
            said = self._complaints.read()[-500:].strip()
        self.close()
        return EvaluationError(
            f"METEOR's Java process {what}. It said: {said.decode(errors='replace') or 'nothing'}. It needs 2 GB of "
            "memory; go on without it "
            "with metrics=('bleu', 'rouge', 'cider'), on the command line --metrics bleu,rouge,cider."
        )


def poolable(statistics: NDArray[np.float64]) -> NDArray[np.float64]:
    """Take the one chunk away from rows that match whole: METEOR counts no fragment there, alone and in a sum.

    Args:
        statistics: `(N, 23)`, from `Meteor.statistics`.

    Returns:
        A copy whose rows can be added and weighted.
    """
    counts = statistics.copy()
    whole = (counts[:, 20] == 1) & (counts[:, 21] == counts[:, 0]) & (counts[:, 22] == counts[:, 1])
    counts[whole, 20] = 0
    return counts


def meteor_from_counts(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute METEOR from its statistics as its Java code does, for thousands of bootstrap draws at once.

    The parameters are those of METEOR 1.5 for English (Denkowski and Lavie, 2014): alpha 0.85, beta 0.2, gamma 0.6,
    delta 0.75, and weights 1, 0.6, 0.8, 0.6 for exact, stem, synonym and paraphrase matches.

    Args:
        counts: `(N, 23)`, rows that `poolable` made, or sums of them.

    Returns:
        `(N,)` scores in [0, 1].
    """
    alpha, beta, gamma, delta = 0.85, 0.2, 0.6, 0.75
    # Content and function words are told apart by delta; for each stage: content in hypothesis and reference, function.
    stages = counts[:, 4:20].reshape(-1, 4, 2, 2)
    content, function = (np.einsum("nks,k->ns", stages[:, :, kind], [1.0, 0.6, 0.8, 0.6]) for kind in (0, 1))
    lengths, functions = counts[:, 0:2], counts[:, 2:4]
    matched = delta * content + (1 - delta) * function
    total = delta * (lengths - functions) + (1 - delta) * functions
    precision, recall = np.divide(matched, total, out=np.zeros_like(matched), where=total > 0).T
    below = alpha * precision + (1 - alpha) * recall
    mean = np.divide(precision * recall, below, out=np.zeros_like(below), where=below > 0)
    chunks, words = counts[:, 20], counts[:, 21:23].mean(axis=1)
    fragments = np.divide(chunks, words, out=np.zeros_like(words), where=words > 0)
    scores: NDArray[np.float64] = mean * (1 - gamma * fragments**beta)
    return scores


def _jar() -> Path:
    spec = find_spec("pycocoevalcap")
    for folder in [] if spec is None else spec.submodule_search_locations or []:
        if (jar := Path(folder, "meteor", "meteor-1.5.jar")).is_file():
            return jar
    raise EvaluationError("METEOR's jar is missing; install it with: pip install pycocoevalcap")


def _score_line(hypothesis: str, references: Sequence[str]) -> str:
    return " ||| ".join(("SCORE", *(_one_line(text) for text in references), _one_line(hypothesis)))


def _one_line(text: str) -> str:
    # A line break ends METEOR's line, and bars its field: either would give every later caption the score of another.
    # Bars are dropped as the reference drops them. METEOR splits at white space of any length, so nothing else changes.
    # Lone surrogates are valid in JSON and in Python, but not in UTF-8.
    words = " ".join(text.replace("|||", "").split())
    return words.encode("utf-8", "replace").decode()


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            # What could not be written to a dead process is of no more use.
            with _broken_pipe_is_fine():
                pipe.close()


@contextmanager
def _broken_pipe_is_fine() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        return


_shared: dict[int, Meteor] = {}
_shared_lock = threading.Lock()


def shared_meteor() -> Meteor:
    """Return the one METEOR of this process. A forked child gets its own: pipes cannot be shared."""
    with _shared_lock:
        return _shared.setdefault(os.getpid(), Meteor())


@atexit.register
def stop_meteor() -> None:
    """End this process's METEOR and free its memory; done at exit by itself. A later call starts another."""
    with _shared_lock:
        meteor = _shared.pop(os.getpid(), None)
    if meteor is not None:
        meteor.close()
