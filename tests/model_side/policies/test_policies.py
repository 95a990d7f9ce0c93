# SPDX-License-Identifier: Apache-2.0
"""Policies as such: names, options, steps, and what is refused."""

from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.network import RequestError
from model_side.policies import POLICIES, Policy, Steps, make_policy
from model_side.policies.choosing import ranks
from model_side.selection import Layer, Selection
from tests.support.choices import orders, reordered
from tests.support.layers import gate_of, layer_of, layers, one_each

LAYER = layer_of(gate_of(np.array([[1, 0, 3, 2], [0, 1, 2, 3]], np.float32), 2), one_each(4))


@given(layers())
def test_top_k_is_the_models_own_choice_untouched(layer: Layer):
    chosen = make_policy("top-k")(layer)
    assert chosen is layer.selection
    assert (chosen.weights is layer.gate.weights, chosen.indices is layer.gate.indices) == (True, True)


@pytest.mark.parametrize("name", POLICIES)
@settings(deadline=None)  # some import or compile for a while
@given(layers(replicas=True))
def test_every_policy_gives_a_selection_that_can_be(name: str, layer: Layer):
    chosen = make_policy(name)(layer)  # which checks it
    asked = chosen.indices < layer.experts
    assert (asked.any(axis=1)).all(), "a token without any expert"
    assert np.isfinite(chosen.weights).all()


@pytest.mark.parametrize(
    "name", ["top-n", "ratio", "top-p", "fastest", "expected-weight", "weight-to-latency", "piggyback"]
)
@settings(deadline=None)
@given(layers(replicas=True), st.data())
def test_these_decide_for_each_token_alone(name: str, layer: Layer, data: st.DataObject):
    order = data.draw(orders(layer))
    chosen, mixed = make_policy(name)(layer), make_policy(name)(reordered(layer, order))
    assert (mixed.indices == chosen.indices[order]).all()
    assert mixed.weights == pytest.approx(chosen.weights[order], rel=1e-5)


@pytest.mark.parametrize("name", POLICIES)
@settings(deadline=None)
@given(layers(replicas=True))
def test_every_policy_goes_on_from_slots_that_were_left_out(name: str, layer: Layer):
    first = layer.leave_out(ranks(layer.weights) % 2 == 0)
    chosen = make_policy(name)(layer.after(first))
    assert ((chosen.indices < layer.experts).any(axis=1)).all()
    assert np.isfinite(chosen.weights).all()
    make_policy(f"top-n+{name}+fastest")(layer)  # which checks each step


@pytest.mark.parametrize("kind", POLICIES.values(), ids=POLICIES)
def test_every_policy_says_what_it_is_and_explains_its_options(kind: type[Policy]):
    assert kind.formula
    assert kind.source
    for option in kind.__struct_fields__:
        assert f"\n    `{option}`: " in (kind.__doc__ or "")


@pytest.mark.parametrize(
    ("name", "options", "field", "reason"),
    [
        ("no-such", {}, "policies", "nobody knows 'no-such'; there are top-k, "),
        ("top-k+no-such", {}, "policies", "nobody knows 'no-such'"),
        ("weight-to-latency", {"treshold": 0.5}, "policy.weight-to-latency.treshold", "did you mean threshold\\?"),
        ("weigth-to-latency", {}, "policies", "did you mean weight-to-latency\\?"),
        ("weight-to-latency", {"threshold": 1.5}, "policy.weight-to-latency.threshold", "<= 1"),
        ("weight-to-latency", {"threshold": "high"}, "policy.weight-to-latency.threshold", "a number"),
        ("top-k", {"threshold": 0.5}, "policy.top-k.threshold", "no such option; there are none"),
    ],
)
def test_wrong_names_and_options_are_refused(name: str, options: dict[str, object], field: str, reason: str):
    with pytest.raises(RequestError, match=reason) as caught:
        make_policy(name, {name: options})
    assert caught.value.field == field


class Gives(Policy):
    """Gives what it is told."""

    name: ClassVar[str] = "gives"

    def __call__(self, layer: Layer) -> Selection:
        return self.selection


def gives(selection: object) -> Steps:
    policy = Gives()
    policy.selection = selection
    return Steps([policy])


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"weights": np.array([[0.5, np.nan], [1, 0]])}, "finite and not negative"),
        ({"weights": np.array([[0.5, -0.5], [1, 0]])}, "finite and not negative"),
        ({"weights": np.ones((2, 3))}, "differ in shape"),
        ({"weights": np.ones((1, 2))}, r"no array \[2, k\]"),
        ({"weights": [[1, 0], [1, 0]]}, r"no array \[2, k\]"),
        ({"weights": np.ones((2, 2), int)}, "give floats"),
        ({"indices": np.array([[0, 5], [1, 2]])}, "0 to 3, or 4"),
        ({"indices": np.array([[0, -1], [1, 2]])}, "0 to 3, or 4"),
        ({"indices": np.array([[0, 4], [1, 2]])}, "left out weighs 0"),
        ({"devices": np.array([[0, 1], [1, 2]])}, "do not hold the expert"),
        ({"devices": np.array([[0, 9], [1, 2]])}, "do not hold the expert"),
        ({"devices": np.zeros((2, 3), int)}, "shape of indices"),
        ({"shares": np.array([0.5, 0.6, 0, 0])}, "summing to at most 1"),
        ({"shares": np.array([0.5, 0.5])}, "4 figures"),
        ({"shares": np.array([-0.5, 0.5, 0, 0])}, "not negative"),
    ],
)
def test_a_wrong_answer_is_refused_by_the_policys_name(changes: dict[str, object], reason: str):
    given = {"weights": np.full((2, 2), 0.5), "indices": np.array([[2, 3], [3, 2]])} | changes
    with pytest.raises(RequestError, match=reason) as caught:
        gives(Selection(**given))(LAYER)
    assert caught.value.field == "policy.gives"


def test_what_is_no_selection_is_refused():
    with pytest.raises(RequestError, match="gave a tuple; give a Selection"):
        gives((LAYER.weights, LAYER.indices))(LAYER)


@given(layers(), st.data())
def test_steps_go_on_from_what_the_one_before_chose(layer: Layer, data: st.DataObject):
    keep = data.draw(st.lists(st.booleans(), min_size=layer.indices.size, max_size=layer.indices.size))
    first = layer.leave_out(np.array(keep, bool).reshape(layer.indices.shape))
    seen = []

    class Looks(Policy):
        """Looks at what came before."""

        def __call__(self, layer: Layer) -> Selection:
            seen.append((layer.indices, layer.work.tokens.tolist()))
            return layer.selection

    chosen = Steps([gives(first).steps[0], Looks()])(layer)
    assert chosen is first
    assert seen[0][0] is first.indices
    assert seen[0][1] == layer.after(first).work.tokens.tolist()
