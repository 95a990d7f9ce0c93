# SPDX-License-Identifier: Apache-2.0
"""Drawn tokens: against the distribution that they are drawn from, and the nucleus by its definition."""

import numpy as np
import pytest
import torch

from model_side.model.inference import Request, generate
from model_side.model.moe import SplitModel
from model_side.model.sampling import Sampling
from tests.support.base_stations import serving
from tests.support.small_models import random_prompt, small_model

LOGITS = torch.tensor([1.0, 3.0, -torch.inf, 2.0, 0.5])


def drawn(sampling: Sampling, count: int = 4000) -> np.ndarray:
    tokens = [sampling.next(LOGITS, 0, position) for position in range(count)]
    return np.bincount(tokens, minlength=len(LOGITS)) / count


def test_temperature_0_is_the_likeliest_token():
    assert Sampling().next(LOGITS, 0, 0) == 1
    assert Sampling(temperature=1e-3).next(LOGITS, 0, 0) == 1


@pytest.mark.parametrize("temperature", [0.7, 1.0, 3.0])
def test_tokens_come_as_often_as_the_softmax_says(temperature: float):
    expected = (LOGITS.double() / temperature).softmax(dim=0).numpy()
    assert np.abs(drawn(Sampling(temperature)) - expected).max() < 4 * np.sqrt(0.25 / 4000)
    assert drawn(Sampling(temperature))[2] == 0


@pytest.mark.parametrize(
    ("top_p", "kept"), [(0.1, {1}), (0.6, {1}), (0.7, {1, 3}), (0.9, {1, 3, 0}), (1.0, {0, 1, 3, 4})]
)
def test_the_nucleus_is_the_fewest_likeliest_that_reach_top_p(top_p: float, kept: set[int]):
    """Of the softmax .084, .618, 0, .227, .051 (to be read off: .618, .845, .929, 1)."""
    probabilities = LOGITS.softmax(dim=0)
    chosen, total = set(), 0.0
    for token in probabilities.argsort(descending=True).tolist():
        if total < top_p and probabilities[token] > 0:
            chosen.add(token)
        total += float(probabilities[token])
    assert chosen == kept
    assert set(np.flatnonzero(drawn(Sampling(1.0, top_p)))) == kept


def test_draws_are_by_seed_request_and_position():
    flat = torch.zeros(1000)
    draw = Sampling(1.0, 1.0, 5)
    assert draw.next(flat, 2, 3) == draw.next(flat, 2, 3)
    others = {draw.next(flat, 2, 4), draw.next(flat, 3, 3), Sampling(1.0, 1.0, 6).next(flat, 2, 3)}
    assert draw.next(flat, 2, 3) not in others
    assert len(others) == 3


def test_an_end_token_ends_a_request_and_is_its_last():
    split = SplitModel(small_model("mixtral"))
    request = Request(random_prompt(9), 12)
    whole = [token.token_id for token in generate(split, serving(split), [request], False)]
    end = whole[4]
    cut = [token.token_id for token in generate(split, serving(split), [request, request], False, ends={end})]
    once = whole[: whole.index(end) + 1]
    assert cut == once + once


def test_drawn_tokens_of_a_run_are_those_of_the_unmodified_model():
    split = SplitModel(small_model("mixtral"))
    prompt = random_prompt(9)
    sampling = Sampling(1.5, 0.95, 3)
    tokens = [token.token_id for token in generate(split, serving(split), [Request(prompt, 6)], sampling=sampling)]
    context = list(prompt)
    for _ in range(6):
        with torch.no_grad():
            logits = split.model(torch.tensor([context])).logits[0, -1]
        context.append(sampling.next(logits, 0, len(context)))
    assert tokens == context[len(prompt) :]
