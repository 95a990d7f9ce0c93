# SPDX-License-Identifier: Apache-2.0
"""Experts left out by chance: how many, and that nothing but seed and place decides."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_side.policies import make_policy
from model_side.selection import Layer, Part, Phase
from tests.support.choices import decide, kept, slots
from tests.support.layers import gate_of, layer_of, layers, one_each

LARGE = layer_of(gate_of(np.random.default_rng(1).normal(size=(20_000, 4)).astype(np.float32), 3), one_each(4))


@given(layers(), st.floats(0, 1))
def test_it_never_takes_a_tokens_heaviest(layer: Layer, share: float):
    for stays, own in zip(kept(layer, decide(layer, "random", share=share)), slots(layer), strict=True):
        assert stays[max(range(len(own)), key=lambda slot: own[slot].weight)]


@pytest.mark.parametrize("share", [0, 0.2, 0.5, 1])
def test_it_takes_a_share_of_the_others(share: float):
    stays = decide(LARGE, "random", share=share).indices < 4
    assert stays[:, 0].all()
    assert 1 - stays[:, 1:].mean() == pytest.approx(share, abs=0.015)  # four standard deviations


def test_only_seed_request_position_and_layer_decide():
    policy = make_policy("random")
    first = policy(LARGE).indices
    others = [
        replace(LARGE, request=1),
        replace(LARGE, position=1),
        replace(LARGE, gate=replace(LARGE.gate, layer=1)),
    ]
    for other in others:
        assert (policy(other).indices != first).any()
    assert (decide(LARGE, "random", seed=2).indices != first).any()
    assert (policy(LARGE).indices == first).all()


def test_a_request_draws_in_a_batch_what_it_draws_alone():
    policy = make_policy("random")
    parts = (Part(Phase.DECODE, 3, 8, 1), Part(Phase.PREFILL, 5, 2, 6))
    gate = gate_of(np.random.default_rng(2).normal(size=(7, 4)).astype(np.float32), 3)
    together = policy(replace(layer_of(gate, one_each(4)), parts=parts)).indices
    for part, rows in zip(parts, (slice(0, 1), slice(1, 7)), strict=True):
        its_gate = replace(
            gate, **{name: getattr(gate, name)[rows] for name in ("probabilities", "weights", "indices")}
        )
        alone = layer_of(replace(its_gate, scores=None), one_each(4), request=part.request, position=part.position)
        assert np.array_equal(policy(alone).indices, together[rows])
