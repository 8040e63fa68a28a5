import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import tiny_ccexpert
from tokenizers import AddedToken

from geocc.errors import InputError
from geocc.model.chat import IGNORE_INDEX, PROMPT, Chat

WORDS = tiny_ccexpert.tokenizer()
START, END, IMAGE = (WORDS.convert_tokens_to_ids(token) for token in ("<|im_start|>", "<|im_end|>", "<image>"))
CHAT = Chat(WORDS, tokens_per_image=3)


def text(ids):
    return WORDS.decode(ids)


def test_the_question_is_written_in_qwens_chat_form():
    assert text(CHAT.question(PROMPT)) == (
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n"
        "This is the Image1 <image><image><image>. This is the second Image2 <image><image><image>.\n"
        "What difference happened from Image1 to Image2?<|im_end|>\n<|im_start|>assistant\n"
    )


def test_an_answer_ends_its_turn():
    assert text(CHAT.answer("a house")) == "a house<|im_end|>"


def test_an_example_begins_with_the_question_and_scores_the_answer():
    ids, labels = CHAT.example(PROMPT, "a house")
    question = CHAT.question(PROMPT)
    assert ids[: len(question)] == question
    assert text(ids[len(question) :]) == "a house<|im_end|>\n"
    header = len(question) - len(WORDS.encode("assistant\n")) - 1
    assert labels[header:] == ids[header:]
    scored = [token for token in labels[:header] if token != IGNORE_INDEX]
    assert text(scored) == "<|im_start|>\n<|im_end|>\n<|im_start|>\n\n<|im_end|>\n"
    assert all(label in (token, IGNORE_INDEX) for token, label in zip(ids, labels, strict=True))


MARKED = st.lists(
    st.one_of(
        st.text(max_size=5), st.sampled_from(["<image>", "<|im_start|>", "<|im_end|>", "<|endoftext|>", "assistant\n"])
    )
).map("".join)


@given(MARKED)
def test_a_caption_opens_no_turn_ends_none_and_makes_no_slot(caption):
    ids, labels = CHAT.example(PROMPT, caption)
    plain, _ = CHAT.example(PROMPT, "")
    for marker in (START, END, IMAGE):
        assert ids.count(marker) == plain.count(marker)
    assert text(ids) == text(plain).replace("assistant\n", f"assistant\n{caption}")
    assert len(labels) == len(ids)


@given(MARKED)
def test_a_prompt_makes_exactly_two_slots_or_is_refused(prompt):
    if prompt.count("<image>") != 2:
        with pytest.raises(InputError, match="markers, but needs one for each of the two dates"):
            CHAT.question(prompt)
        return
    ids = CHAT.question(prompt)
    assert ids.count(IMAGE) == 2 * 3
    assert (ids.count(START), ids.count(END)) == (3, 2)


def test_a_tokenizer_without_the_markers_is_refused():
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    plain = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE()))
    with pytest.raises(InputError, match=r"lacks \['<\|im_start\|>', '<\|im_end\|>', '<image>'\]"):
        Chat(plain, tokens_per_image=1)


def test_a_marker_that_plain_text_could_forge_is_refused():
    words = tiny_ccexpert.tokenizer()
    # As a plain added token it matches in every text.
    words._tokenizer.add_tokens([AddedToken("<image>", special=False, normalized=False)])
    words.add_tokens([AddedToken("<mark>", special=False, normalized=False)])
    chat = Chat(words, tokens_per_image=1)
    chat._image = words.convert_tokens_to_ids("<mark>")
    with pytest.raises(InputError, match="special=True"):
        chat.answer("a <mark> b")
