"""CCExpert's one question, and how it becomes token ids.

The question, the system line and the Qwen chat form are the reference's (arXiv 2411.11360, cc_dataset.py and
conversation.py). Text is data here: whatever a prompt or a caption spells, its ids are those of plain text, so that
neither can open a turn, close one, or make an image slot.
"""

from __future__ import annotations

from typing import Any

from geocc.errors import InputError

__all__ = ["END_OF_TURN", "IGNORE_INDEX", "IMAGE_TOKEN", "PROMPT", "SYSTEM_PROMPT", "Chat"]

#: What every CCExpert was trained to be asked, and what marks the two places for its images.
PROMPT = (
    "This is the Image1 <image>. This is the second Image2 <image>.\nWhat difference happened from Image1 to Image2?"
)
#: Qwen2's own system line, which CCExpert keeps.
SYSTEM_PROMPT = "You are a helpful assistant."
#: The marker of an image slot, in the prompt and in the tokenizer.
IMAGE_TOKEN = "<image>"  # noqa: S105  # a token of text, no secret
#: Label of a token that no loss is taken on; torch's own.
IGNORE_INDEX = -100

START_OF_TURN = "<|im_start|>"
END_OF_TURN = "<|im_end|>"


class Chat:
    """Writes questions and answers as token ids.

    Args:
        tokenizer: A tokenizer that knows the turn markers and `<image>`.
        tokens_per_image: Length of one image slot.

    Raises:
        InputError: If the tokenizer lacks a marker.
    """

    def __init__(self, tokenizer: Any, *, tokens_per_image: int) -> None:
        vocabulary = tokenizer.get_vocab()
        if lacking := [token for token in (START_OF_TURN, END_OF_TURN, IMAGE_TOKEN) if token not in vocabulary]:
            raise InputError(
                f"the tokenizer lacks {lacking}; CCExpert writes Qwen's chat form: "
                "tokenizer.add_special_tokens({'additional_special_tokens': [...]})"
            )
        self._tokenizer = tokenizer
        self._start, self._end, self._image = (vocabulary[t] for t in (START_OF_TURN, END_OF_TURN, IMAGE_TOKEN))
        self._slot = [self._image] * tokens_per_image
        newline = self._plain("\n")
        # Every newline, start and end of a turn carries a loss in the reference's training, also in the question.
        self._scored = {self._start, self._end, *(newline if len(newline) == 1 else [])}

    def question(self, prompt: str) -> list[int]:
        """Return the ids of a question up to where the answer begins.

        Raises:
            InputError: If the prompt does not hold exactly two `<image>` markers.
        """
        return self._turns(prompt) + self._header()

    def answer(self, caption: str) -> list[int]:
        """Return the ids of an answer and the end of its turn."""
        return [*self._plain(caption), self._end]

    def example(self, prompt: str, caption: str) -> tuple[list[int], list[int]]:
        """Return ids and labels of a training example, masked as the reference masks them.

        The whole answer keeps its labels, header and last newline included; of the question only newlines and turn
        markers do.
        """
        question = self._turns(prompt)
        answer = self._header() + self.answer(caption) + self._plain("\n")
        labels = [token if token in self._scored else IGNORE_INDEX for token in question]
        return question + answer, labels + answer

    def _turns(self, prompt: str) -> list[int]:
        pieces = prompt.split(IMAGE_TOKEN)
        if len(pieces) != 3:
            raise InputError(
                f"the prompt holds {len(pieces) - 1} {IMAGE_TOKEN} markers, but needs one for each of the two dates, "
                f"as in {PROMPT!r}; given: {prompt!r}"
            )
        # Piece by piece, as the reference does: text on the two sides of a slot never merges into one token.
        before, between, after = pieces
        system = [self._start, *self._plain(f"system\n{SYSTEM_PROMPT}"), self._end, *self._plain("\n")]
        asked = self._plain(f"user\n{before}") + self._slot + self._plain(between) + self._slot + self._plain(after)
        return [*system, self._start, *asked, self._end, *self._plain("\n")]

    def _header(self) -> list[int]:
        return [self._start, *self._plain("assistant\n")]

    def _plain(self, text: str) -> list[int]:
        """Encode text in which special tokens, if it spells any, are only letters."""
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)
        if forged := {self._start, self._end, self._image}.intersection(ids):
            raise InputError(
                f"the tokenizer turns plain text into its marker {self._tokenizer.convert_ids_to_tokens(list(forged))}; "
                "register the marker as a special token: AddedToken(..., special=True)"
            )
        return ids
