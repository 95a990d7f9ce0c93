# SPDX-License-Identifier: Apache-2.0
"""Selection by cosine similarity, against its loop done token by token."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_side.selection import Layer
from tests.support.choices import Slot, decide, kept, slots
from tests.support.layers import gate_of, layer_of, layers, one_each


def cosine(own: list[Slot], stays: list[bool], all_s: list[float] | None) -> float:
    left = [slot for slot, stay in zip(own, stays, strict=True) if stay]
    seconds = [slot.seconds for slot in left] if all_s is None else all_s
    return sum(slot.weight * slot.seconds for slot in left) / (
        math.hypot(*(slot.weight for slot in left)) * math.hypot(*seconds)
    )


def ratio(tokens: list[list[Slot]], keep: list[list[bool]], wlr: str) -> float:
    weight = seconds = over = 0.0
    for own, stays in zip(tokens, keep, strict=True):
        left = [slot for slot, stay in zip(own, stays, strict=True) if stay]
        raised = sum(slot.weight for slot in own) / sum(slot.weight for slot in left)
        weight += sum(slot.weight * raised for slot in left)
        seconds += sum(slot.seconds for slot in left)
        over += sum(slot.weight * raised / slot.seconds for slot in left)
    return weight / seconds if wlr == "ratio-of-sums" else over


def by_hand(layer: Layer, thetas: list[float], sense: str, support: str, gain: float, wlr: str) -> list[list[bool]]:
    tokens = slots(layer)
    keep = [[True] * len(own) for own in tokens]
    all_s = layer.prediction.seconds[layer.placement.device_of].tolist() if support == "all" else None
    start = ratio(tokens, keep, wlr)
    for theta in thetas if sense == "below" else thetas[::-1]:
        for own, stays in zip(tokens, keep, strict=True):
            similarity = cosine(own, stays, all_s)
            is_wrong = similarity <= theta if sense == "below" else similarity >= theta
            if is_wrong and sum(stays) > 1:
                stays[-min((slot.weight, -number) for number, slot in enumerate(own) if stays[number])[1]] = False
        if ratio(tokens, keep, wlr) >= (1 + gain) * start:
            break
    return keep


@given(
    layers(),
    st.sampled_from(["below", "above"]),
    st.sampled_from(["all", "chosen"]),
    st.floats(0, 0.5),
    st.sampled_from([0.013, 0.1]),
    st.sampled_from(["ratio-of-sums", "sum-of-ratios"]),
)
def test_it_does_what_its_loop_does(layer: Layer, sense: str, support: str, theta: float, gain: float, wlr: str):
    if not layer.tokens:
        assert decide(layer, "wdmoe-cosine") is layer.selection
        return
    step, theta_max = 0.17, 0.93
    thetas = [theta + number * step for number in range(20) if theta + number * step <= theta_max]
    if sense == "above":
        thetas = [theta_max - number * step for number in range(len(thetas))][::-1]
    # Rounding may put a similarity on the other side of theta: the loop is done with theta a little on either side.
    options = {"sense": sense, "support": support, "step": step, "gain": gain, "wlr": wlr}
    chosen = kept(layer, decide(layer, "wdmoe-cosine", theta=theta, theta_max=theta_max, **options))
    near = [
        by_hand(layer, [value + off for value in thetas], sense, support, gain * more, wlr)
        for off in (0, 1e-6, -1e-6)
        for more in (1, 1 - 1e-6, 1 + 1e-6)
    ]
    assert chosen in near


@given(layers())
def test_a_token_keeps_its_heaviest(layer: Layer):
    chosen = kept(layer, decide(layer, "wdmoe-cosine", theta=1, gain=1000))
    assert all(stays[int(weights.argmax())] for weights, stays in zip(layer.weights, chosen, strict=True))


def test_the_light_expert_on_the_slow_device_goes_and_the_one_on_the_quick_device_stays():
    logits = np.log(np.array([[0.8, 0.2], [0.2, 0.8]], np.float32))
    layer = layer_of(gate_of(logits, 2), one_each(2), fixed_s=[0.01, 0.1], token_s=[0, 0], expert_s=[0, 0])
    light_is_slow = (0.8 * 0.01 + 0.2 * 0.1) / (math.hypot(0.8, 0.2) * math.hypot(0.01, 0.1))
    assert light_is_slow == pytest.approx(0.338, abs=1e-3)
    for support in ("all", "chosen"):  # the same for two experts
        assert decide(layer, "wdmoe-cosine", support=support).indices.tolist() == [[0, 2], [1, 0]]
        assert decide(layer, "wdmoe-cosine", support=support, theta=0.3, theta_max=0.33).indices.max() == 1
