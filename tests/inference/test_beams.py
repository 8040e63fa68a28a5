"""Beam search from prompts that were read once, against Transformers' generate from the images on."""

import functools

import numpy as np
import pytest
import torch
from support import tiny_ccexpert

from geocc.errors import InputError
from geocc.inference import CCExpertCaptioner, TileBatch, says_no_change
from geocc.inference.beams import likeliest_by_beams
from geocc.inference.decoding import read_prompts
from geocc.inference.drafts import AnswerTree

PAIRS, LONGEST, END = 4, 9, 258


@functools.cache
def parts():
    model, processor = tiny_ccexpert.make(seed=1)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        # A head of its own: one tied to the embedding says the same word again and again.
        model.lm_head.weight = torch.nn.Parameter(4 * torch.randn_like(model.lm_head.weight))
    images = np.random.default_rng(3).integers(0, 256, (PAIRS, 2, 3, 20, 20), dtype=np.uint8)
    with torch.inference_mode():
        features = model.get_image_features(processor.pixel_values(images)).image_features
    prompt = torch.tensor(processor.prompt_ids()).expand(PAIRS, -1)
    # Two tokens of greedy answers, so that some beams end early.
    model.generation_config.eos_token_id = END
    greedy = generated(beams=1, parts=(model, prompt, features)).sequences[:, prompt.shape[1] :]
    model.generation_config.eos_token_id = [int(greedy[1][3]), int(greedy[2][5]), END]
    return model, prompt, features


def generated(*, beams, parts):
    model, prompt, features = parts
    return model.generate(
        input_ids=prompt,
        attention_mask=torch.ones_like(prompt),
        image_features=features,
        do_sample=False,
        num_beams=beams,
        num_return_sequences=beams,
        max_new_tokens=LONGEST,
        output_scores=True,
        return_dict_in_generate=True,
    )


def cut(tokens):
    ends = parts()[0].generation_config.eos_token_id
    return tokens[: next((at + 1 for at, token in enumerate(tokens) if token in ends), len(tokens))]


def searched(beams, *, drafts=(), rows=None, **options):
    model, prompt, features = parts()
    options = {"is_refused": lambda _: False, "max_new_tokens": LONGEST} | options
    read = read_prompts(model, prompt, features, tree=AnswerTree.from_answers(drafts))
    asked = prompt if rows is None else prompt[rows]
    return likeliest_by_beams(model, asked, read, num_beams=beams, rows=rows, **options)


@pytest.mark.parametrize("beams", [2, 3, 5])
def test_it_finds_what_generate_finds_from_the_images_on(beams):
    expected = generated(beams=beams, parts=parts())
    tokens = expected.sequences[:, parts()[1].shape[1] :].unflatten(0, (PAIRS, beams))[:, 0].tolist()
    found = searched(beams)
    assert [answer.tokens for answer in found] == [cut(row) for row in tokens]
    assert len({len(answer.tokens) for answer in found}) > 1  # some end before others
    means = [np.mean(answer.log_probabilities) for answer in found]
    assert means == pytest.approx(expected.sequences_scores[::beams].tolist(), abs=1e-4)


def listed(beams):
    """Return the answers of each row, the likeliest first."""
    sequences = generated(beams=beams, parts=parts()).sequences[:, parts()[1].shape[1] :]
    return [[cut(beam) for beam in row] for row in sequences.unflatten(0, (PAIRS, beams)).tolist()]


@pytest.mark.parametrize("row", range(PAIRS))
@pytest.mark.parametrize("barred", [1, 3])
def test_it_goes_down_the_list_past_what_is_refused(row, barred):
    answers = listed(3)
    refused = answers[row][:barred]
    found = searched(3, is_refused=lambda tokens: tokens in refused)
    expected = [next((beam for beam in beams if beam not in refused), None) for beams in answers]
    assert [answer and answer.tokens for answer in found] == expected
    assert (expected[row] is None) == (barred == 3)


@pytest.mark.parametrize("poor", [1, 2, 3])
def test_what_is_poor_is_given_only_where_there_is_nothing_else(poor):
    answers = listed(3)
    bad = [beam for beams in answers for beam in beams[:poor]]
    found = searched(3, is_poor=lambda tokens: tokens in bad)
    assert [answer.tokens for answer in found] == [
        next((beam for beam in beams if beam not in bad), beams[0]) for beams in answers
    ]


def test_a_poor_answer_is_better_than_a_refused_one():
    refused = [beams[0] for beams in listed(3)]
    expected = searched(3, is_refused=lambda tokens: tokens in refused)
    found = searched(3, is_refused=lambda tokens: tokens in refused, is_poor=lambda tokens: tokens not in refused)
    assert [answer and answer.tokens for answer in found] == [answer and answer.tokens for answer in expected]


@pytest.mark.parametrize("drafts", [[[5, 6, 7]], [[5, 6, 7], [5, 8], [9]]])
def test_drafts_behind_the_prompt_and_prompts_that_are_not_asked_do_not_count(drafts):
    expected = searched(3)
    rows = [3, 1]
    for found, row in zip(searched(3, drafts=drafts, rows=rows), rows, strict=True):
        assert found.tokens == expected[row].tokens
        assert found.log_probabilities == pytest.approx(expected[row].log_probabilities, abs=1e-4)


def test_one_token_is_an_answer_too():
    assert [len(answer.tokens) for answer in searched(2, max_new_tokens=1)] == [1] * PAIRS


@pytest.fixture
def pair():
    """Return a model with a head that sees a change in half of the tiles, its processor, and the tiles."""
    model, processor = tiny_ccexpert.make()
    images = np.random.default_rng(3).integers(0, 256, (6, 2, 3, 20, 20), dtype=np.uint8)
    with torch.no_grad():
        logits = model.get_image_features(processor.pixel_values(images)).change_logits
        model.model.change_head.pair_2.bias -= logits.median()
    return model, processor, TileBatch(images=images, tile_ids=tuple("abcdef"))


def say(model, processor, batch, **options):
    return CCExpertCaptioner(model, processor, max_new_tokens=12, **options).caption(batch)


def test_captions_of_changed_tiles_are_searched_for(pair):
    greedy, beams = say(*pair, num_beams=1), say(*pair, num_beams=4)
    assert [said.change_probability for said in beams] == [said.change_probability for said in greedy]
    assert {said.changed for said in beams} == {True, False}
    for plain, said in zip(greedy, beams, strict=True):
        assert said.changed or said.text == plain.text or not says_no_change(plain.text)
        assert not (said.changed and says_no_change(said.text))
        assert 0 < said.confidence <= 1
    assert [said.text for said in beams if said.changed] != [said.text for said in greedy if said.changed]
    assert np.mean([said.confidence for said in beams]) > np.mean([said.confidence for said in greedy])


@pytest.mark.parametrize("bend", [False, True])
def test_a_model_without_a_head_searches_too(bend):
    model, processor = tiny_ccexpert.make(change_head=False)
    if bend:
        model.generation_config.repetition_penalty = 1.3
    images = np.random.default_rng(4).integers(0, 256, (3, 2, 3, 20, 20), dtype=np.uint8)
    batch = TileBatch(images=images, tile_ids=tuple("abc"))
    prompt = torch.tensor(processor.prompt_ids()).expand(3, -1)
    sequences = model.generate(
        input_ids=prompt,
        pixel_values=processor.pixel_values(images),
        do_sample=False,
        num_beams=3,
        max_new_tokens=12,
    )
    expected = processor.batch_decode(sequences[:, prompt.shape[1] :], skip_special_tokens=True)
    assert [said.text for said in say(model, processor, batch, num_beams=3)] == [text.strip() for text in expected]


def test_the_checkpoint_says_how_many_and_the_caller_has_the_last_word(pair):
    model, processor, batch = pair
    assert CCExpertCaptioner(model, processor).details["decoding"] == "greedy, as the change head has it"
    model.generation_config.num_beams = 3
    captioner = CCExpertCaptioner(model, processor)
    assert captioner.details["decoding"] == "3 beams, as the change head has it"
    assert say(model, processor, batch) == say(model, processor, batch, num_beams=3)
    fewer = CCExpertCaptioner(model, processor, num_beams=1)
    assert fewer.fingerprint != captioner.fingerprint
    assert fewer.bytes_per_pair < captioner.bytes_per_pair


def test_beams_that_cannot_be_are_refused(pair):
    model, processor, _ = pair
    with pytest.raises(InputError, match="num_beams is 0; expected 1 or more"):
        CCExpertCaptioner(model, processor, num_beams=0)
    model.config.text_config.layer_types = ["sliding_attention", "full_attention"]
    with pytest.raises(InputError, match="give num_beams=1"):
        CCExpertCaptioner(model, processor, num_beams=2)
    assert CCExpertCaptioner(model, processor, num_beams=1).details["decoding"].startswith("greedy")
