# SPDX-License-Identifier: Apache-2.0
"""The total weight-to-latency ratio, against all choices that there are."""

import itertools

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from model_side.selection import Layer
from tests.support.choices import decide, kept, slots
from tests.support.layers import layers

TO_THE_END = 1e9


def total(layer: Layer, stays: list[list[bool]]) -> float:
    chosen = [
        slot
        for own, stay in zip(slots(layer), stays, strict=True)
        for slot, is_kept in zip(own, stay, strict=True)
        if is_kept
    ]
    return sum(slot.weight for slot in chosen) / sum(slot.seconds for slot in chosen)


def heaviest_stay(layer: Layer, stays: list[list[bool]]) -> bool:
    return all(stay[int(weights.argmax())] for weights, stay in zip(layer.weights, stays, strict=True))


@given(layers())
def test_no_other_choice_has_a_higher_ratio(layer: Layer):
    assume(0 < layer.indices.size <= 8)
    stays = kept(layer, decide(layer, "wdmoe-wlr", gain=TO_THE_END))
    assert heaviest_stay(layer, stays)
    shape = layer.indices.shape
    every = (
        np.reshape(choice, shape).tolist() for choice in itertools.product((True, False), repeat=layer.indices.size)
    )
    best = max(total(layer, choice) for choice in every if heaviest_stay(layer, choice))
    assert total(layer, stays) == pytest.approx(best, rel=1e-6)


@given(layers(), st.floats(0, 2))
def test_it_stops_when_the_ratio_has_grown_enough(layer: Layer, gain: float):
    assume(layer.tokens)
    stays = kept(layer, decide(layer, "wdmoe-wlr", gain=gain))
    start, reached = total(layer, kept(layer, layer.selection)), total(layer, stays)
    if reached < start * (1 + gain) * (1 - 1e-9):
        assert reached == pytest.approx(total(layer, kept(layer, decide(layer, "wdmoe-wlr", gain=TO_THE_END))))
    gone = sorted(
        (slot.weight / slot.seconds, token, number)
        for token, own in enumerate(slots(layer))
        for number, slot in enumerate(own)
        if not stays[token][number]
    )
    if gone:  # without the last one it had not grown enough
        _, token, number = gone[-1]
        stays[token][number] = True
        assert total(layer, stays) < start * (1 + gain) * (1 + 1e-9)
