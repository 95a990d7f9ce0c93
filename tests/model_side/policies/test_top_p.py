# SPDX-License-Identifier: Apache-2.0
"""The fewest experts that weigh enough, token by token."""

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from model_side.selection import Layer
from tests.support.choices import assert_chosen, decide, kept, slots
from tests.support.layers import layers


def enough(weights: list[float], tau: float) -> int:
    """How many of these, largest first, reach the share."""
    total = 0.0
    for number, weight in enumerate(sorted(weights, reverse=True), 1):
        total += weight
        assume(total == pytest.approx(tau * sum(weights), rel=1e-5) or abs(total - tau * sum(weights)) > 0)
        if total >= tau * sum(weights) * (1 - 1e-6):
            return number
    return len(weights)


@given(layers(), st.floats(0.01, 1))
def test_of_its_own_a_token_keeps_the_fewest_that_reach_the_share(layer: Layer, tau: float):
    for stays, own in zip(kept(layer, decide(layer, "top-p", tau=tau)), slots(layer), strict=True):
        weights = [slot.weight for slot in own]
        number = sum(stays)
        falling = sorted(weights, reverse=True)
        assert sum(falling[:number]) >= tau * sum(weights) * (1 - 1e-5)
        assert sum(falling[: number - 1]) < tau * sum(weights) * (1 + 1e-5)
        assert sum(weight for weight, stay in zip(weights, stays, strict=True) if stay) == pytest.approx(
            sum(falling[:number])
        )


@settings(deadline=None)  # compiles
@given(layers(), st.floats(0.01, 1), st.integers(1, 14))
def test_beyond_its_own_it_takes_the_most_probable_until_they_reach_it(layer: Layer, tau: float, k_max: int):
    chosen = decide(layer, "top-p", tau=tau, k_max=k_max)
    for token in range(layer.tokens):
        falling = sorted(map(float, layer.probabilities[token]), reverse=True)
        number = int((chosen.indices[token] < layer.experts).sum())
        assert sum(falling[:number]) >= tau * (1 - 1e-5) or number == min(k_max, layer.experts)
        assert sum(falling[: number - 1]) < tau * (1 + 1e-5)
        best = sorted(range(layer.experts), key=lambda expert: -layer.probabilities[token, expert])[:number]
        assert_chosen(
            layer.after(layer.selection), chosen, [set(best)] if layer.tokens == 1 else []
        )
        assert set(chosen.indices[token][chosen.indices[token] < layer.experts].tolist()) == set(best)
