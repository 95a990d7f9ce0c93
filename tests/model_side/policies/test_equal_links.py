# SPDX-License-Identifier: Apache-2.0
"""On equal links and devices nothing is lost needlessly, whatever k and E are."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_side.policies import make_policy
from model_side.selection import Layer
from tests.support.layers import gate_of, layer_of, one_each

SHAPES = [(8, 1, 8), (8, 2, 8), (32, 4, 8), (64, 8, 16), (128, 8, 8)]
PER_TOKEN = ["weight-to-latency", "ratio", "expected-weight"]
PER_LAYER = ["wdmoe-cosine", "wdmoe-wlr", "wdmoe-testbed", "lookahead", "cost-prior"]


def equal_layer(shape: tuple[int, int, int], scale: float, seed: int = 1, tokens: int = 256) -> Layer:
    """Random logits of that standard deviation, devices that take the same for a token; a deadline far away."""
    experts, k, devices = shape
    logits = np.random.default_rng(seed).normal(0, scale, (tokens, experts)).astype(np.float32)
    return layer_of(gate_of(logits, k), one_each(experts, devices), deadline_s=600.0)


def lost(layer: Layer, name: str) -> float:
    """The share of all gate weight whose expert is not asked."""
    chosen = make_policy(name)(layer)
    own, is_asked = (np.zeros((layer.tokens, layer.experts + 1)) for _ in range(2))
    np.put_along_axis(own, layer.indices, layer.weights, axis=1)
    np.put_along_axis(is_asked, chosen.indices, 1, axis=1)
    return float((own * (1 - is_asked))[:, : layer.experts].sum() / own.sum())


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("scale", [1.0, 2.5])
@pytest.mark.parametrize("name", [*PER_TOKEN, *PER_LAYER])
def test_the_defaults_lose_little_of_the_weight(name: str, scale: float, shape: tuple[int, int, int]):
    assert lost(equal_layer(shape, scale), name) < 0.1


@pytest.mark.parametrize("name", ["wdmoe-testbed", "substitute", "lookahead"])
@settings(deadline=None)  # two compile for a while
@given(st.sampled_from(SHAPES), st.floats(0.5, 3), st.integers(0, 2**20), st.integers(0, 30))
def test_what_is_changed_makes_the_layer_sooner(
    name: str, shape: tuple[int, int, int], scale: float, seed: int, tokens: int
):
    layer = equal_layer(shape, scale, seed, tokens)
    chosen = make_policy(name)(layer)
    if (chosen.indices != layer.indices).any():
        last_s = [seen.prediction.seconds[seen.work.tokens > 0].max() for seen in (layer, layer.after(chosen))]
        assert last_s[1] < last_s[0]
