"""What is done to captions before they are scored."""

from __future__ import annotations

import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from geocc.errors import EvaluationError, InputError
from geocc.evaluation.java import find_java

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Tokenization", "normalise", "ptb_tokenize", "tokenize"]

Tokenization = Literal["reference", "ptb"]

_TIMEOUT = 300.0


def normalise(text: str) -> str:
    """Do to a caption what CCExpert's reference code does: lower case, full stops removed, and nothing else.

    White space is kept as it is: ROUGE-L of pycocoevalcap splits at single spaces, so that two of them, or one at
    the end, are words of their own. Stripping would move the published figures. Source: reference code,
    `llava/train/llava_trainer_eval.py` and `scripts/CCExpert_infer_eval_scripts/eval_CCExpert.py`.

    Args:
        text: A caption.

    Returns:
        The text that is scored.
    """
    return text.lower().replace(".", "")


def ptb_tokenize(texts: Sequence[str]) -> list[str]:
    """Tokenize as the COCO caption evaluation does: Stanford's PTB tokenizer, lower case, punctuation dropped.

    Scores of captions tokenized so cannot be compared with those of `normalise`, which is what published LEVIR-CC
    tables use. Unlike pycocoevalcap's own wrapper this writes nothing into site-packages.

    Args:
        texts: Captions.

    Returns:
        One text per caption, its words separated by single spaces.

    Raises:
        EvaluationError: There is no Java, or the tokenizer failed.
    """
    from pycocoevalcap.tokenizer.ptbtokenizer import PUNCTUATIONS

    lines = [" ".join(text.split()).encode("utf-8", "replace") for text in texts]
    dropped = frozenset(PUNCTUATIONS)
    tokenized = _run_tokenizer(b"".join(line + b"\n" for line in lines)).decode().split("\n")[:-1]
    if len(tokenized) != len(lines):
        raise EvaluationError(
            f"the PTB tokenizer made {len(tokenized)} lines of {len(lines)}; use tokenization='reference'."
        )
    return [" ".join(word for word in line.split() if word not in dropped) for line in tokenized]


def _run_tokenizer(text: bytes) -> bytes:
    spec = find_spec("pycocoevalcap.tokenizer")
    folder = Path(next(iter(spec.submodule_search_locations or []), "")) if spec else Path()
    with tempfile.TemporaryDirectory(prefix="geocc-ptb-") as scratch:
        source = Path(scratch, "captions.txt")
        source.write_bytes(text)
        command = [str(find_java()), "-Dfile.encoding=UTF-8", "-cp", str(folder / "stanford-corenlp-3.4.1.jar")]
        command += ["edu.stanford.nlp.process.PTBTokenizer", "-encoding", "UTF-8", "-preserveLines", "-lowerCase"]
        try:
            done = subprocess.run([*command, str(source)], capture_output=True, timeout=_TIMEOUT, check=True)  # noqa: S603 - our own command: no word of it comes from data
        except (OSError, subprocess.SubprocessError) as error:
            said = (getattr(error, "stderr", None) or b"")[-500:].decode(errors="replace").strip()
            raise EvaluationError(f"the PTB tokenizer failed: {error}. It said: {said or 'nothing'}") from error
    return done.stdout


def tokenize(texts: Sequence[str], tokenization: Tokenization) -> list[str]:
    """Prepare captions for scoring.

    Args:
        texts: Captions.
        tokenization: `"reference"` for `normalise`, `"ptb"` for `ptb_tokenize`.

    Returns:
        As many prepared captions.

    Raises:
        InputError: No such tokenization.
        EvaluationError: There is no Java for the PTB tokenizer, or it failed.
    """
    if tokenization not in get_args(Tokenization):
        raise InputError(f"tokenization is {tokenization!r}; expected one of {', '.join(get_args(Tokenization))}.")
    return ptb_tokenize(texts) if tokenization == "ptb" else [normalise(text) for text in texts]
