# SPDX-License-Identifier: Apache-2.0
"""Greedy generation over a network: the stock model's tokens when all arrives, and quality when it does not."""

import itertools
import math
from collections.abc import Iterator

import pytest
import torch
from torch import nn

from model_side.base_station import BaseStation
from model_side.element import WireFormat
from model_side.exchange import LayerExchange
from model_side.hardware.profiles import PROFILES
from model_side.hardware.roofline import RooflineTimes
from model_side.model.inference import Request, generate
from model_side.model.loaded_model import shape_of
from model_side.model.moe import SplitModel
from model_side.placement import place
from model_side.policies import make_policy
from model_side.prediction.line import Line
from model_side.quality import compare, pool
from model_side.selection import Phase
from model_side.serving import TokenRecord
from model_side.wire_profiles import wire_shape
from tests.support.fixed_network import FixedNetwork
from tests.support.small_models import FAMILIES, random_prompt, small_model

REQUESTS = [Request(random_prompt(20, seed=1), 8), Request(random_prompt(11, seed=2), 5), Request((7,), 3)]


def run(
    family: str,
    policy: str = "top-k",
    network: FixedNetwork | None = None,
    deadline_ns: int = 10**12,
    reference: bool = True,
    records: list[LayerExchange] | None = None,
) -> Iterator[TokenRecord]:
    """Serve REQUESTS on a small model, with the sizes of Mixtral-8x7B on the air."""
    split = SplitModel(small_model(family))
    shape = wire_shape("mixtral-8x7b", shape_of(split))
    network = network or FixedNetwork(devices=4)
    devices = len(network.info.devices)
    placement = place(len(split.blocks), split.num_experts, devices)
    hardware = [PROFILES["jetson-agx-orin"]] * devices
    compute = RooflineTimes(shape, PROFILES["nvidia-l4"], hardware, 16, 4)
    base_station = BaseStation(
        network,
        placement,
        compute,
        make_policy(policy),
        Line(devices),
        WireFormat(shape.token_bytes),
        deadline_ns,
        on_exchange=None if records is None else records.append,
    )
    return generate(split, base_station, REQUESTS, reference)


@pytest.mark.parametrize("family", FAMILIES)
def test_tokens_and_prompt_logits_are_the_stock_models_when_everything_arrives(family: str):
    tokens = list(run(family))
    stock = small_model(family)
    for number, request in enumerate(REQUESTS):
        prompt = torch.tensor([request.prompt])
        expected = stock.generate(prompt, max_new_tokens=request.new_tokens, do_sample=False)[0, prompt.shape[1] :]
        mine = [token for token in tokens if token.request == number]
        assert [token.token_id for token in mine] == expected.tolist()
        assert [token.position for token in mine] == [len(request.prompt) + i for i in range(request.new_tokens)]
    for token in tokens:
        assert token.quality is not None
        assert token.quality.kl_nats == 0
        assert token.quality.agreements == token.quality.positions
        assert token.quality.nll_nats == token.quality.reference_nll_nats


@torch.no_grad()
def test_prompt_perplexity_is_that_of_the_loss():
    quality = pool(token.quality for token in run("mixtral") if token.quality is not None)
    stock = small_model("mixtral")
    nats, scored = 0.0, 0
    for request in REQUESTS[:2]:
        prompt = torch.tensor([request.prompt])
        nats += float(stock(prompt, labels=prompt).loss) * (len(request.prompt) - 1)
        scored += len(request.prompt) - 1
    assert quality is not None
    assert quality.perplexity == quality.reference_perplexity == pytest.approx(math.exp(nats / scored), rel=1e-5)


def test_tokens_follow_each_other_in_virtual_time_and_every_layer_makes_an_exchange():
    records: list[LayerExchange] = []
    tokens = list(run("mixtral", records=records))
    assert tokens[0].start_ns == 0
    assert all(before.end_ns == after.start_ns for before, after in itertools.pairwise(tokens))
    assert len(records) == 3 * sum(request.new_tokens for request in REQUESTS)
    passes = [records[first : first + 3] for first in range(0, len(records), 3)]
    for token, layers in zip(tokens, passes, strict=True):
        first = token.position == len(REQUESTS[token.request].prompt)
        assert [record.layer for record in layers] == [0, 1, 2]
        assert {record.request for record in layers} == {token.request}
        assert {record.phase for record in layers} == {Phase.PREFILL if first else Phase.DECODE}
        assert {record.position for record in layers} == {0 if first else token.position - 1}
        assert {record.tokens for record in layers} == {token.position if first else 1}
        assert token.start_ns < layers[0].depart_ns
        assert layers[-1].outcome.now_ns < token.end_ns


def test_lost_answers_show_in_quality_against_a_reference_that_never_changes():
    tokens = list(run("mixtral", network=FixedNetwork(devices=4, dead=0), deadline_ns=10**9))
    quality = pool(token.quality for token in tokens if token.quality is not None)
    ideal = pool(token.quality for token in run("mixtral") if token.quality is not None)
    assert quality is not None
    assert ideal is not None
    assert quality.reference_perplexity == ideal.reference_perplexity
    assert quality.perplexity != quality.reference_perplexity
    assert quality.agreement < 1
    assert quality.mean_kl_nats > 0.01


def test_quality_compares_the_same_tokens_seen_by_both_models():
    """The reference reads what the steered model said: fed the whole text at once, it gives the same sums."""
    split = SplitModel(small_model("mixtral"))
    tokens = [t for t in run("mixtral", network=FixedNetwork(devices=4, dead=0), deadline_ns=10**9) if t.request == 0]
    text = torch.tensor([[*REQUESTS[0].prompt, *(token.token_id for token in tokens)]])
    with torch.no_grad():
        reference = split.model(text).logits[0].double()
    best = reference.argmax(dim=-1)
    decode = tokens[1:]
    agreements = [int(best[token.position - 1] == token.token_id) for token in decode]
    assert [token.quality.agreements for token in decode if token.quality] == agreements
    nll = nn.functional.cross_entropy(reference[:19], text[0, 1:20], reduction="sum")
    assert tokens[0].quality is not None
    assert tokens[0].quality.reference_nll_nats == pytest.approx(float(nll), rel=1e-5)


def test_switching_the_reference_off_changes_no_token_and_no_time():
    network = {"network": FixedNetwork(devices=4, dead=1), "deadline_ns": 10**8}
    with_reference = list(run("olmoe", "weight-to-latency", **network))
    network = {"network": FixedNetwork(devices=4, dead=1), "deadline_ns": 10**8}
    without = list(run("olmoe", "weight-to-latency", reference=False, **network))
    assert {token.quality for token in without} == {None}
    assert [(t.request, t.position, t.token_id, t.start_ns, t.end_ns) for t in without] == [
        (t.request, t.position, t.token_id, t.start_ns, t.end_ns) for t in with_reference
    ]
    assert pool([]) is None


def test_divergence_by_hand():
    half = torch.tensor([[0.5, 0.5], [0.5, 0.5]]).log()
    skewed = torch.tensor([[0.75, 0.25], [0.25, 0.75]]).log()
    quality = compare(skewed, half, torch.tensor([0, 1]))
    one = 0.5 * math.log(0.5 / 0.75) + 0.5 * math.log(0.5 / 0.25)
    assert quality.kl_nats == pytest.approx(2 * one)
    assert (quality.positions, quality.scored, quality.agreements) == (2, 1, 1)
    assert quality.nll_nats == pytest.approx(-math.log(0.25))
    assert quality.reference_nll_nats == pytest.approx(-math.log(0.5))
