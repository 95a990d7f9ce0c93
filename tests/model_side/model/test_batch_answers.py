# SPDX-License-Identifier: Apache-2.0
"""Requests of a model that arrive and are served in batches: each is answered as if it were alone."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
import torch

from model_side.model.batch_answers import ModelAnswers
from model_side.model.inference import Request, generate
from model_side.model.moe import SplitModel
from model_side.model.sampling import Sampling
from model_side.quality import PassQuality
from model_side.service.coming import Wired
from model_side.service.scheduler import Arrival, Ending, Order, Prefill, RequestRecord, Rules, Scheduler
from model_side.service.serve import PassRecord, serve
from model_side.serving import TokenRecord
from tests.support.base_stations import serving
from tests.support.fixed_network import FixedNetwork
from tests.support.small_models import FAMILIES, random_prompt, small_model

REQUESTS = [Request(random_prompt(20, seed=1), 6), Request((7,), 3), Request(random_prompt(11, seed=2), 5)]
ARRIVE_MS = (0, 100, 101)  # a pass takes about a tenth of a second


def served(
    split: SplitModel,
    rules: Rules,
    requests: Sequence[Request] = REQUESTS,
    network: FixedNetwork | None = None,
    sampling: Sampling = Sampling(),  # noqa: B008
) -> list[TokenRecord | PassRecord | RequestRecord]:
    base_station = serving(split, network=network)
    answers = ModelAnswers(split, base_station, requests, sampling=sampling)
    arrivals = [
        Arrival(number, at_ms * 10**6, len(request.prompt), request.new_tokens)
        for number, (request, at_ms) in enumerate(zip(requests, ARRIVE_MS, strict=False))
    ]
    return list(serve(base_station, Wired(arrivals), Scheduler(rules), answers))


def of(records: Sequence[object], request: int) -> list[TokenRecord]:
    return [each for each in records if isinstance(each, TokenRecord) and each.request == request]


@pytest.mark.parametrize("family", FAMILIES)
def test_each_is_answered_as_the_stock_model_answers_it_alone(family):
    split = SplitModel(small_model(family))
    records = served(split, Rules())
    assert max(len(each.parts) for each in records if isinstance(each, PassRecord)) == 3
    for number, request in enumerate(REQUESTS):
        tokens = of(records, number)
        prompt = torch.tensor([request.prompt])
        expected = split.model.generate(prompt, max_new_tokens=request.new_tokens, do_sample=False)[0]
        assert [token.token_id for token in tokens] == expected[prompt.shape[1] :].tolist()
        for token in tokens:
            assert isinstance(token.quality, PassQuality)
            assert token.quality.kl_nats == 0
            assert token.quality.nll_nats == token.quality.reference_nll_nats
    assert [each.ending for each in records if isinstance(each, RequestRecord)] == [Ending.DONE] * 3


@pytest.mark.parametrize(
    "rules",
    [
        Rules(requests=1),
        Rules(requests=2, order=Order.SHORTEST_FIRST),
        Rules(prefill=Prefill.APART),
    ],
)
def test_who_else_is_there_changes_no_token_and_no_quality(rules):
    """With a device out of reach, and tokens that are drawn: only when they come is another thing."""
    split = SplitModel(small_model("mixtral"))
    sampling = Sampling(temperature=1.0, seed=3)
    network = FixedNetwork(devices=4, dead=1)
    alone = list(generate(split, serving(split, network=network), REQUESTS, sampling=sampling))
    records = served(split, rules, network=FixedNetwork(devices=4, dead=1), sampling=sampling)
    for number in range(len(REQUESTS)):
        expected = [(token.position, token.token_id, token.quality) for token in of(alone, number)]
        assert [(token.position, token.token_id, token.quality) for token in of(records, number)] == expected
    assert any(token.quality.kl_nats > 0 for token in of(records, 0) if isinstance(token.quality, PassQuality))


@pytest.mark.parametrize("family", ["mixtral", "deepseek_v2", "gpt_oss"])
def test_a_prompt_in_chunks_is_what_the_stock_model_gives_in_the_same_chunks(family):
    split = SplitModel(small_model(family))
    chunk = 6
    records = served(split, Rules(chunk_tokens=chunk), REQUESTS[:1])
    text, cache, tokens = list(REQUESTS[0].prompt), None, []
    bounds = [*range(0, len(text), chunk), len(text)]
    with torch.inference_mode():
        for begin, end in pairwise(bounds):
            output = split.model(input_ids=torch.tensor([text[begin:end]]), past_key_values=cache, use_cache=True)
            cache = output.past_key_values
        for _ in range(REQUESTS[0].new_tokens):
            tokens.append(int(output.logits[0, -1].argmax()))
            output = split.model(input_ids=torch.tensor([[tokens[-1]]]), past_key_values=cache, use_cache=True)
            cache = output.past_key_values
    assert [token.token_id for token in of(records, 0)] == tokens
    first = of(records, 0)[0].quality
    assert isinstance(first, PassQuality)
    assert (first.positions, first.kl_nats) == (20, 0)


def test_nothing_is_kept_of_a_request_that_is_over():
    split = SplitModel(small_model("mixtral"))
    base_station = serving(split)
    answers = ModelAnswers(split, base_station, REQUESTS)
    arrivals = [Arrival(0, 0, 20, 6), Arrival(1, 0, 1, 3, patience_ns=1)]
    records = list(serve(base_station, Wired(arrivals), Scheduler(Rules(chunk_tokens=3)), answers))
    endings = {each.request: each.ending for each in records if isinstance(each, RequestRecord)}
    assert endings == {0: Ending.DONE, 1: Ending.CANCELLED}
    assert answers._texts == answers._caches == answers._reference_caches == answers._qualities == {}
