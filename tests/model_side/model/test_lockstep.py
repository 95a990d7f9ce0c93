# SPDX-License-Identifier: Apache-2.0
"""Forward passes side by side: each is to the last bit that of its request alone."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from bridge.network import RequestError
from model_side.base_station import BaseStation
from model_side.element import Element
from model_side.exchange import LayerExchange
from model_side.model.inference import routed_by
from model_side.model.lockstep import Lockstep
from model_side.model.moe import SplitModel
from model_side.model.wire import carried_by
from model_side.selection import Part, Phase
from tests.support.base_stations import serving
from tests.support.fixed_network import FixedNetwork
from tests.support.small_models import FAMILIES, random_prompt, small_model

LENGTHS = (20, 1, 11)
STEPS = 3


def together(split: SplitModel, base_station: BaseStation, element: Element = Element.OWN) -> list[list[Tensor]]:
    """The logits of each pass of each request; all have the same number of passes."""
    lockstep = Lockstep(split, base_station, element)
    asked = [torch.tensor([random_prompt(length, seed=length)]) for length in LENGTHS]
    texts, caches = asked, [None] * len(asked)
    came: list[list[Tensor]] = [[] for _ in asked]
    position = [0] * len(asked)
    for _ in range(STEPS):
        parts = tuple(
            Part(Phase.DECODE if position[number] else Phase.PREFILL, number, position[number], tokens.shape[1])
            for number, tokens in enumerate(texts)
        )
        base_station.begin_batch(parts)
        passes: list[Callable[[], Any]] = [
            lambda tokens=tokens, cache=cache: split.forward(tokens, cache, "a pass")
            for tokens, cache in zip(texts, caches, strict=True)
        ]
        answers = lockstep.run(passes)
        base_station.finish(len(parts))
        for number, (logits, cache) in enumerate(answers):
            caches[number] = cache
            came[number].append(logits)
            position[number] += texts[number].shape[1]
        texts = [logits[-1:].argmax(dim=1)[None] for logits, _ in answers]
    return came


def alone(split: SplitModel, length: int, forward: Callable[..., Any]) -> list[Tensor]:
    """The logits of each pass of one request."""
    tokens, cache, came = torch.tensor([random_prompt(length, seed=length)]), None, []
    for _ in range(STEPS):
        logits, cache = forward(tokens, cache, "a pass")
        came.append(logits)
        tokens = logits[-1:].argmax(dim=1)[None]
    return came


@pytest.mark.parametrize("family", FAMILIES)
def test_every_pass_of_every_request_gives_the_unmodified_models_logits_of_it_alone(family):
    split = SplitModel(small_model(family))
    expected = [alone(split, length, split.forward) for length in LENGTHS]
    records: list[LayerExchange] = []
    base_station = serving(split)
    base_station._on_exchange = records.append
    came = together(split, base_station)
    for mine, stock in zip(came, expected, strict=True):
        assert all(torch.equal(logits, wanted) for logits, wanted in zip(mine, stock, strict=True))
    assert len(records) == len(split.blocks) * STEPS  # one exchange carries all
    assert [record.tokens for record in records[:: len(split.blocks)]] == [sum(LENGTHS), 3, 3]
    assert not torch.is_inference_mode_enabled()


@pytest.mark.parametrize("element", [Element.OWN, Element.INT8])
@pytest.mark.parametrize("policy", ["top-k", "top-n"])
def test_what_links_and_wire_do_to_a_request_is_what_they_do_to_it_alone(element, policy):
    """With a device out of reach, and rounded: what is left out, and what is lost by rounding, is each token's own."""
    split = SplitModel(small_model("mixtral"))
    expected = []
    for length in LENGTHS:
        base_station = serving(split, policy, FixedNetwork(devices=4, dead=1))

        def forward(*asked: Any, base_station: BaseStation = base_station) -> Any:
            with split.routed(routed_by(base_station), carried_by(base_station, element, split.model.dtype)):
                return split.forward(*asked)

        expected.append(alone(split, length, forward))
    came = together(split, serving(split, policy, FixedNetwork(devices=4, dead=1)), element)
    for mine, wanted in zip(came, expected, strict=True):
        assert all(torch.equal(logits, other) for logits, other in zip(mine, wanted, strict=True))
    stock = alone(split, LENGTHS[0], split.forward)
    assert not torch.equal(came[0][0], stock[0])


def test_a_failure_in_one_pass_or_between_them_ends_all_and_leaves_the_model_as_it_was():
    split = SplitModel(small_model("mixtral"))
    tokens = torch.tensor([random_prompt(4)])
    base_station = serving(split)
    lockstep = Lockstep(split, base_station)

    def broken() -> Any:
        return split.forward(torch.tensor([[10**6]]), None, "a pass with a token that there is not")

    for fails in (broken, lambda: split.forward(tokens, None, "a pass")):
        if fails is not broken:
            base_station._policy = lambda layer: _refuse()
        with pytest.raises(RequestError, match="refused" if fails is not broken else "a token that there is not"):
            lockstep.run([lambda: split.forward(tokens, None, "a pass"), fails])
        assert not torch.is_inference_mode_enabled()
        assert not any(module._forward_hooks for module in split.model.modules())


def _refuse() -> Any:
    raise RequestError("policies", "refused")


def test_policies_see_which_row_belongs_to_which_request():
    split = SplitModel(small_model("mixtral"))
    base_station = serving(split)
    policy, seen = base_station._policy, []

    def look(layer: Any) -> Any:
        seen.append((layer.phase, layer.requests.tolist(), layer.rows))
        return policy(layer)

    look.observe = policy.observe  # type: ignore[attr-defined]
    base_station._policy = look  # type: ignore[assignment]
    parts = (Part(Phase.DECODE, 7, 3, 1), Part(Phase.PREFILL, 9, 0, 2))
    tokens = [torch.tensor([[1]]), torch.tensor([[2, 3]])]
    base_station.begin_batch(parts)
    Lockstep(split, base_station).run([lambda t=t: split.forward(t, None, "a pass") for t in tokens])
    assert seen == [(Phase.MIXED, [7, 9, 9], parts)] * len(split.blocks)
    base_station.begin(Phase.DECODE, 4, 6)
    Lockstep(split, base_station).run([lambda: split.forward(tokens[1], None, "a pass")])
    assert seen[-1] == (Phase.DECODE, [4, 4], (Part(Phase.DECODE, 4, 6, 2),))
