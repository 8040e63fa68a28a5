"""Words that follow the change head, against every answer's probability by one forward pass each."""

import functools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support import tiny_ccexpert

from geocc.inference import NO_CHANGE_SENTENCES, CCExpertCaptioner, TileBatch, ccexpert, says_no_change
from geocc.inference.agreement import likeliest_of, likeliest_other

PAIRS, END = 3, 258
answers = st.lists(
    st.lists(st.integers(97, 110), min_size=1, max_size=5).map(lambda word: [*word, END]), min_size=1, max_size=4
)


@functools.cache
def parts():
    model, processor = tiny_ccexpert.make(seed=2)
    with torch.random.fork_rng():
        torch.manual_seed(2)
        # A head of its own: one tied to the embedding says the same word again and again.
        model.lm_head.weight = torch.nn.Parameter(torch.randn_like(model.lm_head.weight))
    model.generation_config.eos_token_id = END
    images = np.random.default_rng(5).integers(0, 256, (PAIRS, 2, 3, 20, 20), dtype=np.uint8)
    with torch.inference_mode():
        features = model.get_image_features(processor.pixel_values(images)).image_features
    return model, torch.tensor(processor.prompt_ids()).expand(PAIRS, -1), features


def log_probabilities(row, tokens):
    """Return those of the tokens, and of all tokens behind each beginning, `(1 + len(tokens), V)`."""
    model, prompt, features = parts()
    ids = torch.cat([prompt[row], torch.tensor(tokens, dtype=torch.long)])[None]
    with torch.inference_mode():
        logits = model(input_ids=ids, image_features=features[row : row + 1]).logits[0].log_softmax(-1)
    behind = logits[len(prompt[row]) - 1 :]
    return [behind[at, token].item() for at, token in enumerate(tokens)], behind


@given(answers)
@settings(max_examples=10, deadline=None)
def test_it_chooses_the_likeliest_answer(choices):
    model, prompt, features = parts()
    for row, said in enumerate(likeliest_of(model, prompt, features, answers=choices)):
        totals = [sum(log_probabilities(row, choice)[0]) for choice in choices]
        assert sum(said.log_probabilities) == pytest.approx(max(totals), abs=1e-3)
        assert said.tokens in choices
        assert said.log_probabilities == pytest.approx(log_probabilities(row, said.tokens)[0], abs=1e-3)


def exits(row, refused):
    """Return every way out of the refused answers: its tokens, the first other one included, and its log probability."""
    ways = {}
    beginnings = {tuple(answer[:at]) for answer in refused for at in range(len(answer) - 1)}
    whole = {tuple(answer[:-1]) for answer in refused}
    for beginning in beginnings - whole:
        values, behind = log_probabilities(row, list(beginning))
        barred = {answer[len(beginning)] for answer in refused if tuple(answer[: len(beginning)]) == beginning} | {END}
        last = behind[-1].clone()
        last[list(barred)] = -torch.inf
        ways[(*beginning, int(last.argmax()))] = sum(values) + last.max().item()
    return ways


@given(answers, st.integers(1, 8))
@settings(max_examples=10, deadline=None)
def test_it_leaves_the_refused_answers_where_that_is_likeliest_and_goes_on_greedily(refused, limit):
    model, prompt, features = parts()
    found = likeliest_other(model, prompt, features, refused=refused, is_refused=lambda _: False, max_new_tokens=limit)
    for row, said in enumerate(found):
        ways = exits(row, refused)
        way = next(way for way in ways if list(way)[:limit] == said.tokens[: len(way)])
        assert ways[way] == pytest.approx(max(ways.values()), abs=1e-3)
        values, behind = log_probabilities(row, said.tokens)
        assert said.log_probabilities == pytest.approx(values, abs=1e-3)
        assert said.tokens[len(way) :] == behind[len(way) : len(said.tokens)].argmax(-1).tolist()
        assert len(said.tokens) <= limit
        assert said.tokens not in refused


def test_an_answer_that_is_refused_all_the_same_is_asked_for_again():
    model, prompt, features = parts()
    ask = functools.partial(likeliest_other, model, prompt, features, refused=[[97, END]], max_new_tokens=4)
    first = [said.tokens for said in ask(is_refused=lambda _: False)]
    second = [said.tokens for said in ask(is_refused=lambda tokens: tokens in first)]
    assert all(said not in first for said in second)


def test_after_three_answers_that_are_refused_the_last_one_stands():
    model, prompt, features = parts()
    tried = []

    def refuse(tokens):
        tried.append(tokens)
        return True

    left = likeliest_other(model, prompt, features, refused=[[97, END]], is_refused=refuse, max_new_tokens=4)
    assert [said.tokens for said in left] == tried[2 * PAIRS :]
    for row in range(PAIRS):
        attempts = tried[row::PAIRS]
        assert len(attempts) == 3
        assert all(attempts.count(attempt) == 1 for attempt in attempts)


@pytest.fixture
def captions(monkeypatch):
    """Return what says the captions of six pairs, half of them changed by the head."""
    model, processor = tiny_ccexpert.make()
    monkeypatch.setattr(ccexpert, "_UNHEARD_OF", -math.inf)  # a random model does not know the sentences
    batch = TileBatch(
        images=np.random.default_rng(3).integers(0, 256, (6, 2, 3, 20, 20), dtype=np.uint8), tile_ids=tuple("abcdef")
    )
    with torch.no_grad():
        logits = model.get_image_features(processor.pixel_values(batch.images)).change_logits
        model.model.change_head.pair_2.bias -= logits.median()

    def say(**options):
        return CCExpertCaptioner(model, processor, max_new_tokens=30, **options).caption(batch)

    return say


def test_words_follow_the_change_head(captions):
    told = captions()
    assert {caption.changed for caption in told} == {True, False}
    assert [says_no_change(caption.text) for caption in told] == [not caption.changed for caption in told]
    assert {caption.text.lower().rstrip(".") for caption in told if not caption.changed} <= set(NO_CHANGE_SENTENCES)
    free = captions(agreeing=False)
    assert [caption.change_probability for caption in free] == [caption.change_probability for caption in told]
    agreed = [says_no_change(caption.text) != caption.changed for caption in free]
    assert not all(agreed)
    assert [said.text for said, same in zip(told, agreed, strict=True) if same] == [
        said.text for said, same in zip(free, agreed, strict=True) if same
    ]


def test_a_sentence_that_the_model_does_not_know_is_not_put_into_its_mouth(captions, monkeypatch):
    monkeypatch.undo()
    told, free = captions(), captions(agreeing=False)
    assert {caption.changed for caption in told} == {True, False}
    assert [caption.text for caption in told] == [caption.text for caption in free]


def test_it_shows_in_the_details_whether_words_follow():
    with_head, without = tiny_ccexpert.make(), tiny_ccexpert.make(change_head=False)
    assert "change head" in CCExpertCaptioner(*with_head).details["decoding"]
    assert CCExpertCaptioner(*with_head, agreeing=False).details["decoding"] == "greedy"
    assert CCExpertCaptioner(*without).details["decoding"] == "greedy"
