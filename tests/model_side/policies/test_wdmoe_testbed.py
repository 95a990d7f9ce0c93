# SPDX-License-Identifier: Apache-2.0
"""The device that ends the layer is relieved: against the loop done token by token, and what is learnt of devices."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.network import NS_PER_S, Outcome, Status, TransferOutcome
from model_side.policies import make_policy
from model_side.selection import Layer
from tests.support.choices import decide, kept, slots
from tests.support.layers import gate_of, layer_of, layers, one_each


def by_hand(layer: Layer, token_s: list[float], rounds: int, most_weight: float) -> list[list[bool]]:
    tokens = slots(layer)
    keep = [[True] * len(own) for own in tokens]

    def load(device: int) -> int:
        return sum(
            any(slot.device == device and stay for slot, stay in zip(own, stays, strict=True))
            for own, stays in zip(tokens, keep, strict=True)
        )

    for _ in range(rounds):
        took = [token_s[device] * load(device) for device in range(layer.devices)]
        last = took.index(max(took))
        second = max([0.0, *took[:last], *took[last + 1 :]])
        light = []
        for number, own in enumerate(tokens):
            there = [slot for slot, stay in zip(own, keep[number], strict=True) if stay and slot.device == last]
            best = max(own, key=lambda slot: slot.weight)
            weight = sum(slot.weight for slot in there) / sum(slot.weight for slot in own)
            if there and best not in there and weight <= most_weight:
                light.append((weight, number))
        went = False
        for _, number in sorted(light):
            if token_s[last] * load(last) <= second * (1 + 1e-9):
                break
            for slot, own_slot in enumerate(tokens[number]):
                if own_slot.device == last:
                    keep[number][slot] = False
            went = True
        if not went:
            break
    after_s = max(token_s[device] * load(device) for device in range(layer.devices))
    thinned, keep = keep, [[True] * len(own) for own in tokens]
    return thinned if after_s < max(token_s[device] * load(device) for device in range(layer.devices)) else keep


def seconds_a_token(layer: Layer) -> list[float]:
    return (layer.prediction.seconds / np.maximum(layer.work.tokens, 1)).tolist()


@given(layers(), st.integers(0, 4), st.sampled_from([0.123, 0.377, 1.0]))
def test_it_does_what_its_loop_does(layer: Layer, rounds: int, most_weight: float):
    chosen = decide(layer, "wdmoe-testbed", most_iterations=rounds, most_weight=most_weight)
    assert kept(layer, chosen) == by_hand(layer, seconds_a_token(layer), rounds, most_weight)


@given(layers())
def test_a_token_keeps_its_heaviest_and_no_device_ends_later(layer: Layer):
    chosen = decide(layer, "wdmoe-testbed", most_weight=1)
    assert all(stays[int(w.argmax())] for w, stays in zip(layer.weights, kept(layer, chosen), strict=True))
    token_s = np.array(seconds_a_token(layer))
    before, after = (token_s * seen.work.tokens for seen in (layer, layer.after(chosen)))
    assert (after <= before).all()


def test_where_all_take_the_same_nothing_goes():
    logits = np.array([[2, 1, 0, 0], [0, 2, 1, 0], [0, 0, 2, 1], [1, 0, 0, 2]], np.float32)
    layer = layer_of(gate_of(logits, 2), one_each(4))
    assert decide(layer, "wdmoe-testbed").weights is layer.weights


def exchange(layer: Layer, *outcomes: TransferOutcome, now_s: float = 1.0) -> SimpleNamespace:
    """What `observe` looks at, of an exchange from 0 s to a deadline of 2 s."""
    outcome = Outcome(round(now_s * NS_PER_S), outcomes, ())
    return SimpleNamespace(depart_ns=0, deadline_ns=2 * NS_PER_S, outcome=outcome, work=layer.work)


def test_it_learns_what_a_token_takes_from_what_was_measured():
    logits = np.array([[2, 1, 0], [2, 1, 0], [2, 0, 1], [0, 2, 1]], np.float32)
    layer = layer_of(gate_of(logits, 2), one_each(3))
    assert layer.work.tokens.tolist() == [3, 3, 2]
    means = {}
    for memory in (1.0, 0.5):
        policy = make_policy("wdmoe-testbed", {"wdmoe-testbed": {"memory": memory}})
        step = policy.steps[0]
        policy.observe(exchange(layer, done(0, 0.3), done(1, 0.6)))
        policy.observe(exchange(layer, done(0, 0.9), lost(1, Status.LATE), now_s=1.5))
        means[memory] = step._token_s(layer)
    forecast = layer.prediction.seconds[2] / 2
    assert means[1.0].tolist() == pytest.approx([(0.1 + 0.3) / 2, (0.2 + 0.5) / 2, forecast])
    assert means[0.5].tolist() == pytest.approx([(0.05 + 0.3) / 1.5, (0.1 + 0.5) / 1.5, forecast])


def test_it_relieves_what_was_slow_not_what_was_forecast():
    logits = np.array([[2, 1, 0], [2, 1, 0], [2, 0, 1], [2, 0, 1]], np.float32)
    none = np.zeros(3)
    layer = layer_of(gate_of(logits, 2), one_each(3), fixed_s=[0.001, 0.001, 5], token_s=none, expert_s=none)
    policy = make_policy("wdmoe-testbed", {"wdmoe-testbed": {"most_iterations": 1}})
    assert policy(layer).indices.tolist() == [[0, 1], [0, 1], [0, 3], [0, 3]]
    policy.observe(exchange(layer, done(0, 0.001), done(1, 0.9), done(2, 0.001)))
    assert policy(layer).indices.tolist() == [[0, 3], [0, 3], [0, 2], [0, 2]]


def done(device: int, end_s: float) -> TransferOutcome:
    end_ns = round(end_s * NS_PER_S)
    return TransferOutcome(device, Status.DONE, 0, 0, 0, end_ns)


def lost(device: int, status: Status) -> TransferOutcome:
    return TransferOutcome(device, status, None, None, None, None)
