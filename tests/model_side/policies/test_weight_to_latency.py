# SPDX-License-Identifier: Apache-2.0
"""Weight over latency, against its definition applied token by token."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_side.policies import make_policy
from model_side.routing import Gate
from model_side.selection import Layer, Selection
from tests.support.layers import FixedForecast, layer_of, layers, one_each


def choose(layer: Layer, threshold: float) -> Selection:
    return make_policy("weight-to-latency", {"weight-to-latency": {"threshold": threshold}})(layer)


@given(layers(), st.floats(0, 1))
def test_it_keeps_what_its_definition_keeps(layer: Layer, threshold: float):
    chosen = choose(layer, threshold)
    seconds = layer.prediction.seconds[layer.placement.device_of]
    for token in range(layer.tokens):
        own = list(zip(layer.weights[token], layer.indices[token], strict=True))
        ratios = [weight / seconds[expert] for weight, expert in own]
        keep = [ratio >= threshold * max(ratios) for ratio in ratios]
        assert any(keep)
        total = sum(float(weight) for weight, _ in own)
        kept = sum(float(weight) for (weight, _), stays in zip(own, keep, strict=True) if stays)
        for slot, ((weight, expert), stays) in enumerate(zip(own, keep, strict=True)):
            assert chosen.indices[token, slot] == (expert if stays else layer.experts)
            assert chosen.weights[token, slot] == pytest.approx(weight * total / kept if stays else 0, rel=1e-5)


@given(layers(), st.floats(0, 1), st.floats(0, 1), st.integers(-20, 20))
def test_it_drops_more_at_a_higher_threshold_and_needs_no_unit(layer: Layer, one: float, other: float, octaves: int):
    low, high = sorted((one, other))
    kept_low, kept_high = (choose(layer, threshold).indices < layer.experts for threshold in (low, high))
    assert (kept_low | ~kept_high).all()
    forecast = layer.forecast
    assert isinstance(forecast, FixedForecast)
    times = {name: getattr(forecast, name) * 2.0**octaves for name in ("fixed_s", "token_s", "expert_s")}
    slower = replace(layer, forecast=replace(forecast, **times))
    assert ((choose(slower, low).indices < layer.experts) == kept_low).all()


def test_by_hand():
    gate = Gate(
        0,
        4,
        None,
        np.array([[0.6, 0.4], [0.9, 0.1], [0.5, 0.3]], dtype=np.float32),  # the last does not sum to 1
        np.array([[0, 1], [0, 1], [2, 3]]),
    )
    none = np.zeros(4)
    layer = layer_of(gate, one_each(4), fixed_s=[0.010, 0.010, 0.100, 0.001], token_s=none, expert_s=none)
    chosen = make_policy("weight-to-latency")(layer)
    assert chosen.indices.tolist() == [[0, 1], [0, 4], [4, 3]]
    assert chosen.weights[0].tolist() == layer.weights[0].tolist()
    assert chosen.weights[1].tolist() == [1, 0]
    assert chosen.weights[2].tolist() == pytest.approx([0, 0.8])
