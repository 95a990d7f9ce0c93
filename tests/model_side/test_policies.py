# SPDX-License-Identifier: Apache-2.0
"""Expert selection, against its definition applied token by token."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from bridge.network import RequestError
from model_side.policies import POLICIES, make_policy
from model_side.routing import LayerRouting, leave_out


@st.composite
def layers(draw: st.DrawFn) -> LayerRouting:
    """A layer as a router gives it: distinct experts a token, weights largest first, any latencies."""
    experts = draw(st.integers(1, 12))
    k = draw(st.integers(1, min(4, experts)))
    tokens = draw(st.integers(0, 6))
    logits = draw(arrays.arrays(np.float32, (tokens, experts), elements=st.floats(-8, 8, width=32)))
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    indices = np.argsort(-probabilities, axis=1, kind="stable")[:, :k]
    weights = np.take_along_axis(probabilities, indices, axis=1)
    if draw(st.booleans()):
        weights = weights / weights.sum(axis=1, keepdims=True)
    latency_s = draw(arrays.arrays(np.float64, experts, elements=st.floats(1e-6, 100)))
    return LayerRouting(0, probabilities, weights, indices, latency_s)


@given(layers())
def test_top_k_is_the_models_own_choice_untouched(layer: LayerRouting):
    weights, indices = make_policy("top-k")(layer)
    assert weights is layer.weights
    assert indices is layer.indices


@given(layers(), st.floats(0, 1))
def test_wdmoe_keeps_what_its_definition_keeps(layer: LayerRouting, threshold: float):
    weights, indices = make_policy("wdmoe", {"threshold": threshold})(layer)
    for token in range(len(layer.weights)):
        own = list(zip(layer.weights[token], layer.indices[token], strict=True))
        ratios = [weight / layer.latency_s[expert] for weight, expert in own]
        keep = [ratio >= threshold * max(ratios) for ratio in ratios]
        assert any(keep)
        total = sum(float(weight) for weight, _ in own)
        kept = sum(float(weight) for (weight, _), stays in zip(own, keep, strict=True) if stays)
        for slot, ((weight, expert), stays) in enumerate(zip(own, keep, strict=True)):
            assert indices[token, slot] == (expert if stays else layer.experts)
            assert weights[token, slot] == pytest.approx(weight * total / kept if stays else 0, rel=1e-5)


@given(layers(), st.floats(0, 1), st.floats(0, 1), st.integers(-20, 20))
def test_wdmoe_drops_more_at_a_higher_threshold_and_needs_no_unit(
    layer: LayerRouting, one: float, other: float, octaves: int
):
    low, high = sorted((one, other))
    kept_low = make_policy("wdmoe", {"threshold": low})(layer)[1] < layer.experts
    kept_high = make_policy("wdmoe", {"threshold": high})(layer)[1] < layer.experts
    assert (kept_low | ~kept_high).all()
    slower = LayerRouting(0, layer.probabilities, layer.weights, layer.indices, layer.latency_s * 2.0**octaves)
    assert ((make_policy("wdmoe", {"threshold": low})(slower)[1] < layer.experts) == kept_low).all()


def test_wdmoe_by_hand():
    layer = LayerRouting(
        0,
        np.full((3, 4), 0.25, dtype=np.float32),
        np.array([[0.6, 0.4], [0.9, 0.1], [0.5, 0.3]], dtype=np.float32),  # the last does not sum to 1
        np.array([[0, 1], [0, 1], [2, 3]]),
        np.array([0.010, 0.010, 0.100, 0.001]),
    )
    weights, indices = make_policy("wdmoe")(layer)
    assert indices.tolist() == [[0, 1], [0, 4], [4, 3]]
    assert weights[0].tolist() == layer.weights[0].tolist()
    assert weights[1].tolist() == [1, 0]
    assert weights[2].tolist() == pytest.approx([0, 0.8])


@given(layers(), st.data())
def test_leaving_out_keeps_each_tokens_total_weight(layer: LayerRouting, data: st.DataObject):
    keep = data.draw(arrays.arrays(np.bool_, layer.weights.shape))
    weights, indices = leave_out(layer.weights, layer.indices, keep, layer.experts)
    assert weights.dtype == layer.weights.dtype
    assert (weights[~keep] == 0).all()
    assert (indices[~keep] == layer.experts).all()
    assert (indices[keep] == layer.indices[keep]).all()
    some, whole = keep.any(axis=1), keep.all(axis=1)
    np.testing.assert_allclose(weights[some].sum(axis=1), layer.weights[some].sum(axis=1), rtol=1e-5)
    np.testing.assert_array_equal(weights[whole], layer.weights[whole])


@pytest.mark.parametrize(
    ("name", "options", "field", "reason"),
    [
        ("fastest", {}, "policies", "nobody knows 'fastest'; there are top-k, wdmoe"),
        ("wdmoe", {"treshold": 0.5}, "policy.wdmoe.treshold", "there are threshold; did you mean threshold\\?"),
        ("wdmo", {}, "policies", "nobody knows 'wdmo'; there are top-k, wdmoe; did you mean wdmoe\\?"),
        ("wdmoe", {"threshold": 1.5}, "policy.wdmoe.threshold", "<= 1"),
        ("wdmoe", {"threshold": "high"}, "policy.wdmoe.threshold", "float"),
        ("top-k", {"threshold": 0.5}, "policy.top-k.threshold", "no such option; there are none"),
    ],
)
def test_wrong_names_and_options_are_refused(name: str, options: dict[str, object], field: str, reason: str):
    with pytest.raises(RequestError, match=reason) as caught:
        make_policy(name, options)
    assert caught.value.field == field


def test_every_policy_is_made_without_options():
    assert all(callable(make_policy(name)) for name in POLICIES)
