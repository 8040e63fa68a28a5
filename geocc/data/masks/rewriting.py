"""Captions from masks in a language model's words: rewritten through an endpoint, and kept only where the facts stayed.

What comes back is text from outside. It is cleaned, cut into sentences, and read by `read_statements`; a sentence whose
statements are not those of the one that was sent is thrown away, and the writer's own stays.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geocc.data.masks.reading import Statement, read_statements
from geocc.errors import InputError, ReadError, WriteError
from geocc.inference.chat_endpoint import ChatEndpoint
from geocc.inference.no_change import NO_CHANGE_SENTENCES
from geocc.table.text import clean_caption

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from concurrent.futures import Future

    from geocc.data.records import Record

__all__ = ["REWRITING_PROMPT", "RewriteReport", "Rewritten", "check_rewrite", "rewrite_captions"]

#: What the model is asked; the sentences follow as a JSON array.
REWRITING_PROMPT = (
    "Rewrite each sentence of this JSON array in other words. Keep every fact and add none: what appeared, disappeared, "
    "was replaced by what or changed, how many, where in the scene, and how much of it. Keep the nouns. Keep words such "
    "as 'some', 'about' and 'several'. One sentence for each, in the same order. Answer with a JSON array of strings and "
    "nothing else.\n"
)
_MOST_CHARACTERS = 400
_TOKENS_PER_SENTENCE = 96
_WINDOW = 64


@dataclass(slots=True)
class RewriteReport:
    """What became of the captions.

    Attributes:
        captions: How many there were.
        rewritten: How many stand in the model's words now.
        kept: How many are as they were, by reason.
        requests: How many requests were sent.
    """

    captions: int = 0
    rewritten: int = 0
    kept: Counter[str] = field(default_factory=Counter)
    requests: int = 0

    def __str__(self) -> str:
        lines = [f"{self.rewritten:,} of {self.captions:,} captions rewritten, with {self.requests:,} requests"]
        lines += [f"  kept as it was: {number:,}, {reason}" for reason, number in self.kept.most_common()]
        return "\n".join(lines)


class Rewritten:
    """Records on their way through `rewrite_captions`.

    Attributes:
        report: What became of the captions so far; whole once the records were run through.
    """

    def __init__(self, records: Iterator[Record], report: RewriteReport) -> None:
        self._records = records
        self.report = report

    def __iter__(self) -> Iterator[Record]:
        """Yield the records."""
        return self._records


def rewrite_captions(
    records: Iterable[Record],
    endpoint: str,
    *,
    model: str,
    answers: str | Path | None = None,
    api_key_variable: str | None = None,
    sentences_per_request: int = 8,
    concurrency: int = 8,
    timeout_s: float = 120.0,
    retries: int = 3,
) -> Rewritten:
    """Let a language model say captions from masks in other words, and keep what says the same.

    Only captions of `write_captions` are sent, and of those not the ones that say that nothing changed: what people
    wrote stays as it is. A rewrite is taken if `check_rewrite` finds nothing wrong with it, and the pair does not have
    that sentence already. Where it is taken, the record's `caption_by` says so.

    Args:
        records: The records; read as they are asked for, a few at a time.
        endpoint: Where an OpenAI-compatible API begins, for example `"http://localhost:8000/v1"`.
        model: The model's name there.
        answers: JSON lines file that keeps every answer as soon as it is there. A run that was killed goes on with it,
            and no sentence is asked twice of one model. Answers are checked again when they are read back.
        api_key_variable: Environment variable that holds the key, where one is needed.
        sentences_per_request: Sentences that one request asks for.
        concurrency: Requests under way at once.
        timeout_s: Seconds to wait for one answer.
        retries: Further attempts after a refused connection or an answer that asks to come back later.

    Returns:
        The records, and a report that fills while they are read.

    Raises:
        InputError: An argument cannot be used.
        ReadError: The file of answers cannot be read.
        CaptionError: While the records are read: the endpoint cannot be reached or refuses. What was answered until
            then is in `answers`.
        WriteError: While the records are read: `answers` cannot be written.
    """
    if sentences_per_request < 1 or concurrency < 1:
        raise InputError(
            f"sentences_per_request is {sentences_per_request} and concurrency {concurrency}; expected numbers from 1."
        )
    client = ChatEndpoint(endpoint, model, api_key_variable=api_key_variable, timeout_s=timeout_s, retries=retries)
    known = _Answers(None if answers is None else Path(answers), model)
    report = RewriteReport()
    asking = _Asking(client, known, report, size=sentences_per_request, concurrency=concurrency)
    return Rewritten(_rewrite(iter(records), asking, report, model=model), report)


def check_rewrite(original: str, rewrite: str) -> str | None:
    """Say what is wrong with a rewrite, by a reader of a closed list of words; no model judges.

    Args:
        original: The sentence that was sent.
        rewrite: What came back.

    Returns:
        None if it states what the original states, no more and no less. Otherwise the reason, in a few words.
    """
    try:
        said = read_statements(rewrite)
    except InputError:
        return "not understood"
    meant = read_statements(original)
    if Counter(said) == Counter(meant):
        return None
    if len(said) != len(meant):
        return "a statement was added" if len(said) > len(meant) else "a statement was lost"
    return next((reason for reason, of in _SIDES.items() if not _alike(said, meant, of)), "facts were exchanged")


def _names(one: Statement) -> tuple[str | None, ...]:
    return tuple(None if named is None else f"{named.name} {named.kind}" for named in (one.before, one.after))


def _numbers(one: Statement) -> tuple[str | None, ...]:
    return (one.areas, *(None if named is None else named.number for named in (one.before, one.after)))


_SIDES: dict[str, Any] = {
    "another class": lambda one: frozenset(_names(one)) - {None},
    "another direction": lambda one: (one.view, _names(one)),
    "another number": _numbers,
    "another place": lambda one: one.place,
    "another amount": lambda one: one.amount,
}


def _alike(one: Sequence[Statement], other: Sequence[Statement], of: Any) -> bool:
    return Counter(map(of, one)) == Counter(map(of, other))


def _rewrite(records: Iterator[Record], asking: _Asking, report: RewriteReport, *, model: str) -> Iterator[Record]:
    while window := list(islice(records, _WINDOW)):
        asking.ask({text for record in window for text in record.change_caption if _why_not_sent(text) is None})
        for record in window:
            yield _with_answers(record, asking, report, model=model)


def _with_answers(record: Record, asking: _Asking, report: RewriteReport, *, model: str) -> Record:
    captions = list(record.change_caption)
    before = report.rewritten
    for at, original in enumerate(captions):
        report.captions += 1
        reason = _why_not_sent(original)
        if reason is None:
            rewrite = _in_style_of(original, asking.answers.get(original) or "")
            reason = _why_not_taken(original, rewrite, captions)
            if reason is None:
                captions[at] = rewrite
        if reason is None:
            report.rewritten += 1
        else:
            report.kept[reason] += 1
    if report.rewritten == before:
        return record
    writer = (record.model_extra or {}).get("caption_by")
    by = f"rewritten by {model}" if writer is None else f"{writer}, rewritten by {model}"
    return record.model_copy(update={"change_caption": captions, "caption_by": by})


def _why_not_sent(caption: str) -> str | None:
    if caption.lower().rstrip(".") in NO_CHANGE_SENTENCES:
        return "it says that nothing changed"
    try:
        read_statements(caption)
    except InputError:
        return "it is no caption from a mask"
    return None


def _why_not_taken(original: str, rewrite: str, captions: Sequence[str]) -> str | None:
    if not rewrite:
        return "no answer that can be used"
    if rewrite == original:
        return "it came back as it was"
    if rewrite in captions:
        return "the pair has that sentence already"
    return check_rewrite(original, rewrite)


def _in_style_of(original: str, rewrite: str) -> str:
    """Give a sentence the capital and the full stop of another, or take them."""
    bare = rewrite.strip().rstrip(".")
    if not bare:
        return ""
    if original.endswith("."):
        return f"{bare[0].upper()}{bare[1:]}."
    return f"{bare[0].lower()}{bare[1:]}"


class _Answers:
    """What the model said of each sentence; None where it said nothing that can be used."""

    def __init__(self, path: Path | None, model: str) -> None:
        self._path, self._model = path, model
        self._known: dict[str, str | None] = {}
        # Of other instructions other answers come.
        self._prompt = hashlib.sha256(REWRITING_PROMPT.encode()).hexdigest()[:16]
        if path is not None and path.exists():
            self._read(path)

    def __contains__(self, sentence: str) -> bool:
        return sentence in self._known

    def get(self, sentence: str) -> str | None:
        return self._known.get(sentence)

    def add(self, sentences: Sequence[str], answers: Sequence[str | None]) -> None:
        self._known.update(zip(sentences, answers, strict=True))
        if self._path is None:
            return
        lines = [
            {"model": self._model, "prompt": self._prompt, "sentence": sentence, "answer": answer}
            for sentence, answer in zip(sentences, answers, strict=True)
        ]
        try:
            with self._path.open("a", encoding="utf-8", newline="\n") as file:
                file.writelines(json.dumps(line) + "\n" for line in lines)
        except OSError as error:
            raise WriteError(f"{self._path} cannot be written: {error}; check that its folder exists.") from error

    def _read(self, path: Path) -> None:
        try:
            content = path.read_bytes()
        except OSError as error:
            raise ReadError(f"the file of answers {path} cannot be read: {error}.") from error
        whole, _, torn = content.rpartition(b"\n")
        if torn:  # killed while it wrote: that line is asked again
            with path.open("r+b") as file:
                file.truncate(len(content) - len(torn))
        for number, line in enumerate(whole.split(b"\n") if whole else [], 1):
            try:
                one = json.loads(line)
                told, sentence, answer = (one["model"], one["prompt"]), one["sentence"], one["answer"]
            except (ValueError, TypeError, KeyError) as error:
                raise ReadError(
                    f"{path}, line {number}, is no line of answers; take the line out, or give another file."
                ) from error
            if told == (self._model, self._prompt):
                self._known[sentence] = _cleaned(answer)


class _Asking:
    """Sends sentences that have no answer yet, and keeps what comes back."""

    def __init__(
        self, client: ChatEndpoint, answers: _Answers, report: RewriteReport, *, size: int, concurrency: int
    ) -> None:
        self._client, self._report, self._size, self._concurrency = client, report, size, concurrency
        self.answers = answers

    def ask(self, sentences: Iterable[str]) -> None:
        new = sorted(one for one in sentences if one not in self.answers)
        batches = [new[start : start + self._size] for start in range(0, len(new), self._size)]
        with ThreadPoolExecutor(max_workers=self._concurrency) as pool:
            futures = [pool.submit(self._send, batch) for batch in batches]
            try:
                for future in futures:
                    future.result()
            finally:
                # Where one failed, what the others brought is kept all the same: no sentence is asked twice.
                pool.shutdown(cancel_futures=True)
                self._keep(batches, futures)

    def _keep(self, batches: Sequence[Sequence[str]], futures: Sequence[Future[str]]) -> None:
        for batch, future in zip(batches, futures, strict=True):
            if future.done() and not future.cancelled() and future.exception() is None:
                self._report.requests += 1
                self.answers.add(batch, _sentences(future.result(), len(batch)))

    def _send(self, sentences: Sequence[str]) -> str:
        question = REWRITING_PROMPT + json.dumps(list(sentences), ensure_ascii=False)
        return self._client.ask(question, max_tokens=_TOKENS_PER_SENTENCE * len(sentences))


def _sentences(answer: str, count: int) -> list[str | None]:
    """Take the sentences out of an answer; all None where it is not the array that was asked for."""
    fenced = re.fullmatch(r"```(?:json)?\s*(.*?)\s*```", answer, re.DOTALL)
    try:
        found = json.loads(fenced[1] if fenced else answer)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, list) or len(found) != count:
        return [None] * count
    return [_cleaned(one) for one in found]


def _cleaned(answer: object) -> str | None:
    """Return an answer without control and bidi characters, or None where it is no sentence of a caption's length."""
    if not isinstance(answer, str):
        return None
    text = " ".join(clean_caption(answer).split())
    return text if 0 < len(text) <= _MOST_CHARACTERS else None
