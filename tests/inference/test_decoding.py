"""Against Transformers' own generate: the same tokens and probabilities, whatever was drafted."""

import functools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support import tiny_ccexpert

from geocc.inference import CCExpertCaptioner, TileBatch
from geocc.inference import decoding as decoding_module
from geocc.inference.decoding import answer_probability, continue_greedily, is_plain_greedy, read_prompts
from geocc.inference.drafts import AnswerTree
from geocc.inference.static_steps import StaticSteps

PAIRS, LONGEST = 4, 9


@functools.cache
def parts():
    model, processor = tiny_ccexpert.make(seed=1)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        # A head of its own: one tied to the embedding says the same word again and again.
        model.lm_head.weight = torch.nn.Parameter(torch.randn_like(model.lm_head.weight))
    images = np.random.default_rng(3).integers(0, 256, (PAIRS, 2, 3, 20, 20), dtype=np.uint8)
    with torch.inference_mode():
        features = model.get_image_features(processor.pixel_values(images)).image_features
    prompt = torch.tensor(processor.prompt_ids()).expand(PAIRS, -1)
    # A token that some of the answers hold, at different places, so that rows end one after the other.
    model.generation_config.eos_token_id = [int(reference(model, prompt, features)[0][1][3]), 258]
    return model, processor, prompt, features


def reference(model, prompt, features):
    output = model.generate(
        input_ids=prompt,
        attention_mask=torch.ones_like(prompt),
        image_features=features,
        do_sample=False,
        max_new_tokens=LONGEST,
        output_logits=True,
        return_dict_in_generate=True,
    )
    tokens = output.sequences[:, prompt.shape[1] :]
    steps = torch.stack(output.logits, dim=1).log_softmax(-1)
    return tokens, steps.gather(-1, tokens[..., None])[..., 0]


@functools.cache
def expected():
    model, _, prompt, features = parts()
    tokens, values = reference(model, prompt, features)
    ends = model.generation_config.eos_token_id
    answers = []
    for row, value in zip(tokens.tolist(), values.tolist(), strict=True):
        length = next((i + 1 for i, token in enumerate(row) if token in ends), LONGEST)
        answers.append((row[:length], value[:length]))
    return answers


def spoken(drafts, *, limit=LONGEST):
    model, _, prompt, features = parts()
    read = read_prompts(model, prompt, features, tree=AnswerTree.from_answers(drafts))
    return continue_greedily(model, read, max_new_tokens=limit)


def agree(found, *, limit=LONGEST):
    assert [answer.tokens for answer in found] == [tokens[:limit] for tokens, _ in expected()]
    for answer, (_, values) in zip(found, expected(), strict=True):
        assert answer.log_probabilities == pytest.approx(values[:limit], abs=2e-4)


def test_the_answers_differ_and_end_at_different_steps():
    assert len({tuple(tokens) for tokens, _ in expected()}) > 1
    assert len({len(tokens) for tokens, _ in expected()}) > 1


def test_without_a_draft_the_answers_are_those_of_generate():
    agree(spoken([]))


@settings(deadline=None, max_examples=30)
@given(data=st.data())
def test_no_draft_changes_an_answer(data):
    rows = st.integers(0, PAIRS - 1)
    noise = st.lists(st.integers(0, 200), max_size=4)
    some = st.builds(
        lambda row, kept, rest: expected()[row][0][:kept] + rest or [7], rows, st.integers(0, LONGEST), noise
    )
    limit = data.draw(st.integers(1, LONGEST))
    agree(spoken(data.draw(st.lists(some, max_size=5)), limit=limit), limit=limit)


def test_an_accepted_draft_needs_no_decoding_step(monkeypatch):
    model, _, prompt, features = parts()
    read = read_prompts(model, prompt, features, tree=AnswerTree.from_answers([tokens for tokens, _ in expected()]))
    monkeypatch.setattr(type(model.model), "forward", None)
    found = continue_greedily(model, read, max_new_tokens=LONGEST)
    assert [answer.tokens for answer in found] == [tokens for tokens, _ in expected()]


def test_the_rows_that_a_draft_does_not_settle_go_on_alone(monkeypatch):
    model, _, prompt, features = parts()
    short = min((tokens for tokens, _ in expected()), key=len)
    read = read_prompts(model, prompt, features, tree=AnswerTree.from_answers([short]))
    seen = []
    forward = type(model.model).forward
    monkeypatch.setattr(
        type(model.model),
        "forward",
        lambda self, **inputs: seen.append(len(inputs["input_ids"])) or forward(self, **inputs),
    )
    agree(continue_greedily(model, read, max_new_tokens=LONGEST))
    settled = sum(tokens == short for tokens, _ in expected())
    assert settled
    assert seen[0] == PAIRS - settled
    assert seen == sorted(seen, reverse=True)


@pytest.mark.parametrize("draft", [[], [3], [0], [1, 0]], ids=str)
def test_steps_of_one_shape_say_the_same_batch_after_batch(draft):
    model, _, prompt, features = parts()
    steps = StaticSteps(model, max_new_tokens=LONGEST, compiled=False)
    tree = AnswerTree.from_answers([expected()[row][0] for row in draft])
    for _ in range(2):
        agree(steps.continue_greedily(read_prompts(model, prompt, features, tree=tree)))


@pytest.mark.parametrize("at_once", [1, 2000])
def test_scoring_a_few_positions_at_a_time_changes_nothing(monkeypatch, at_once):
    model, _, prompt, features = parts()
    tree = AnswerTree.from_answers([[1, 2, 3], [1, 4], [5, 2, 3, 6]])
    whole = read_prompts(model, prompt, features, tree=tree)
    monkeypatch.setattr(decoding_module, "_LOGITS_AT_ONCE", at_once)
    parted = read_prompts(model, prompt, features, tree=tree)
    assert torch.equal(parted.best, whole.best)
    for name in ("best_log_probability", "node_log_probability"):
        torch.testing.assert_close(getattr(parted, name), getattr(whole, name))
    torch.testing.assert_close(answer_probability(parted), answer_probability(whole))


@given(answers=st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=6), max_size=8))
def test_a_tree_holds_its_answers_and_each_beginning_once(answers):
    tree = AnswerTree.from_answers(answers)
    assert [[tree.tokens[node] for node in tree.path(end)] for end in tree.ends] == answers
    assert len(tree) == len({tuple(answer[: i + 1]) for answer in answers for i in range(len(answer))})
    assert all(parent < node for node, parent in enumerate(tree.parents))
    assert tree.is_chain == (len(tree) == max(map(len, answers), default=0))
    seen = tree.mask(2, dtype=torch.float32, device=torch.device("cpu"))[0, 0] == 0
    for node in range(len(tree)):
        assert seen[node].nonzero()[:, 0].tolist() == [0, 1, *sorted(2 + other for other in tree.path(node))]


@pytest.mark.parametrize("change_head", [True, False])
@pytest.mark.parametrize("draft", [None, "a", "there is no difference"])
def test_captions_do_not_depend_on_the_draft(change_head, draft):
    model, processor = tiny_ccexpert.make(change_head=change_head)
    images = np.random.default_rng(4).integers(0, 256, (3, 2, 3, 20, 20), dtype=np.uint8)
    batch = TileBatch(images=images, tile_ids=tuple("abc"))
    drafted = CCExpertCaptioner(model, processor, max_new_tokens=6, draft=draft, agreeing=False).caption(batch)
    model.generation_config.repetition_penalty = 1.0 + 1e-9  # no penalty to speak of, but generate's business
    generated = CCExpertCaptioner(model, processor, max_new_tokens=6, agreeing=False).caption(batch)
    assert [caption.text for caption in drafted] == [caption.text for caption in generated]
    for name in ("confidence", "change_probability"):
        assert [getattr(caption, name) for caption in drafted] == pytest.approx(
            [getattr(caption, name) for caption in generated], rel=1e-4
        )


@pytest.mark.parametrize(
    ("name", "value", "plain"),
    [
        ("repetition_penalty", 1.1, False),
        ("repetition_penalty", 1.0, True),
        ("bad_words_ids", [[3]], False),
        ("temperature", 0.7, True),
        ("min_new_tokens", 4, False),
    ],
)
def test_settings_that_bend_the_choice_are_noticed(name, value, plain):
    model, _ = tiny_ccexpert.make()
    assert is_plain_greedy(model)
    setattr(model.generation_config, name, value)
    assert is_plain_greedy(model) == plain
