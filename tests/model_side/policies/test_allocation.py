# SPDX-License-Identifier: Apache-2.0
"""Steps that give shares of the band."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bench.allocation import slsqp
from model_side.policies import POLICIES, make_policy
from model_side.policies.min_max import all_at_once
from model_side.routing import Floats
from model_side.selection import Layer
from tests.support.layers import gate_of, layer_of, layers, one_each

ALLOCATING = [name for name, kind in POLICIES.items() if kind.allocates]
times = st.lists(st.tuples(st.floats(0, 0.1), st.floats(1e-5, 1)), min_size=1, max_size=8)


def done_s(layer: Layer, shares: Floats) -> Floats:
    return layer.forecast.predict(layer.work, shares).seconds[layer.work.tokens > 0]


@pytest.mark.parametrize("name", ALLOCATING)
@given(layers(replicas=True))
def test_shares_are_of_the_devices_that_are_asked_and_come_to_the_whole_band(name: str, layer: Layer):
    chosen = make_policy(f"weight-to-latency+{name}")(layer)
    selected = make_policy("weight-to-latency")(layer)
    assert (chosen.indices == selected.indices).all()
    asked = layer.after(selected).work.tokens > 0
    if not asked.any():
        assert chosen.shares is None
        return
    assert chosen.shares.sum() == pytest.approx(1)
    assert (chosen.shares[~asked] == 0).all()
    assert (chosen.shares[asked] > 0).all()


def test_equal_and_proportional():
    gate = gate_of(np.array([[3, 2, 1, 0], [3, 1, 2, 0], [3, 2, 0, 1]], np.float32), 2)
    layer = layer_of(gate, one_each(4))
    assert layer.work.tokens.tolist() == [3, 2, 1, 0]
    assert make_policy("equal")(layer).shares == pytest.approx([1 / 3, 1 / 3, 1 / 3, 0])
    assert make_policy("proportional")(layer).shares == pytest.approx([3 / 6, 2 / 6, 1 / 6, 0])


@given(layers(replicas=True))
def test_with_min_max_all_are_done_at_once_and_none_sooner_by_other_shares(layer: Layer):
    chosen = make_policy("min-max")(layer)
    if chosen.shares is None:
        return
    took_s = done_s(layer, chosen.shares)
    assert took_s == pytest.approx(np.full(len(took_s), took_s.max()), rel=1e-6)
    for other in ALLOCATING:
        assert done_s(layer, make_policy(other)(layer).shares).max() >= took_s.max() * (1 - 1e-9)


@settings(deadline=None, max_examples=50)
@given(times)
def test_min_max_finds_what_a_general_solver_finds(drawn: list[tuple[float, float]]):
    fixed_s, air_s = np.array(drawn).T
    ours_s = (fixed_s + air_s / all_at_once(fixed_s, air_s)).max()
    theirs_s = (fixed_s + air_s / slsqp(fixed_s, air_s)).max()
    assert ours_s <= theirs_s * (1 + 1e-9)
    assert ours_s == pytest.approx(theirs_s, rel=1e-3)


@given(st.lists(st.tuples(st.floats(0, 1e3), st.floats(1e-9, 1e6)), min_size=1, max_size=250))
@example([(0.0, 1.0), (29.0, 1e-9)])
def test_whatever_the_times_the_shares_are_found(drawn: list[tuple[float, float]]):
    fixed_s, air_s = np.array(drawn).T
    shares = all_at_once(fixed_s, air_s)
    assert shares.sum() == pytest.approx(1)
    assert (shares > 0).all()
    took_s = fixed_s + air_s / shares
    assert took_s == pytest.approx(np.full(len(took_s), took_s[0]), rel=1e-6)
