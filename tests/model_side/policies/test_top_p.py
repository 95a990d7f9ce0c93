# SPDX-License-Identifier: Apache-2.0
"""The fewest experts that weigh enough, token by token."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_side.selection import Layer
from tests.support.choices import assert_chosen, decide, kept, slots
from tests.support.layers import layers


def assert_fewest(falling: list[float], number: int, share: float) -> None:
    """That so many of these, largest first, reach the share and one less do not, up to rounding."""
    assert sum(falling[:number]) >= share * (1 - 1e-5)
    assert sum(falling[: number - 1]) < share * (1 + 1e-5)


@given(layers(), st.floats(0.01, 1))
def test_of_its_own_a_token_keeps_the_fewest_that_reach_the_share(layer: Layer, tau: float):
    for stays, own in zip(kept(layer, decide(layer, "top-p", tau=tau)), slots(layer), strict=True):
        falling = sorted((slot.weight for slot in own), reverse=True)
        number = sum(stays)
        assert_fewest(falling, number, tau * sum(falling))
        heaviest = sum(slot.weight for slot, stay in zip(own, stays, strict=True) if stay)
        assert heaviest == pytest.approx(sum(falling[:number]))


@settings(deadline=None)  # compiles
@given(layers(), st.floats(0.01, 1), st.integers(1, 14))
def test_beyond_its_own_it_takes_the_most_probable_until_they_reach_it(layer: Layer, tau: float, k_max: int):
    chosen = decide(layer, "top-p", tau=tau, k_max=k_max)
    expected = []
    for token in range(layer.tokens):
        by_probability = sorted(range(layer.experts), key=lambda expert: -layer.probabilities[token, expert])
        falling = [float(layer.probabilities[token, expert]) for expert in by_probability]
        number = int((chosen.indices[token] < layer.experts).sum())
        assert 1 <= number <= min(k_max, layer.experts)
        if sum(falling[:k_max]) >= tau * (1 + 1e-5):
            assert_fewest(falling, number, tau)
        expected.append(set(by_probability[:number]))
    assert_chosen(layer, chosen, expected)
