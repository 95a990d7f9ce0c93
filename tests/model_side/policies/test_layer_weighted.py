# SPDX-License-Identifier: Apache-2.0
"""A threshold that counts as much as the layer does, against the rule done token by token."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_side.calibration import LEVELS
from model_side.selection import Layer
from tests.support.choices import decide, kept
from tests.support.layers import gate_of, layer_of, layers, one_each, table_of


@given(layers(), st.integers(0, 3), st.floats(0, 3))
def test_a_slot_stays_by_the_layers_sensitivity_times_its_share(layer: Layer, number: int, tau: float):
    layer = replace(layer, gate=replace(layer.gate, layer=number))
    alpha = layer.table.sensitivity.tolist()
    alpha = alpha[number] * len(alpha) / sum(alpha)
    stays = kept(layer, decide(layer, "layer-weighted", tau=tau))
    for token, slots in enumerate(stays):
        weights = layer.weights[token].tolist()
        scores = [alpha * weight / sum(weights) for weight in weights]
        for slot, score in enumerate(scores):
            if abs(score - tau) > 1e-6:
                assert slots[slot] == (score > tau or slot == weights.index(max(weights)))


@pytest.mark.parametrize("skip", [0.0, 0.1, 0.3, 0.5, 1.0])
def test_the_share_that_was_asked_for_goes(skip):
    """In layers of the very weights that the table has quantiles of, drawn evenly."""
    chance = np.random.default_rng(3)
    second = chance.uniform(0, 0.5, (4, 2000)) * np.array([[0.2], [0.5], [0.8], [1]])
    shares = np.stack([1 - second, second], axis=2)
    table = replace(table_of(4, 6, 2), share_quantiles=np.quantile(shares, LEVELS, axis=1).transpose(1, 2, 0))
    gone = 0
    for number in range(4):
        gate = gate_of(np.log(np.c_[shares[number], np.full((2000, 4), 1e-9)]).astype(np.float32), 2, layer=number)
        chosen = decide(layer_of(gate, one_each(6), table=table), "layer-weighted", skip=skip)
        gone += int((chosen.indices == 6).sum())
    assert gone / (4 * 2000 * 2) == pytest.approx(min(skip, 0.5), abs=0.01)


def test_what_is_worth_more_is_left_out_less():
    table = table_of(4, 8, 2)
    table = replace(table, outputs=replace(table.outputs, sensitivity=np.array([4.0, 1.0, 0.5, 0.1])))
    logits = np.random.default_rng(1).normal(0, 1, (300, 8)).astype(np.float32)
    left = [
        (decide(layer_of(gate_of(logits, 2, layer=number), one_each(8), table=table), "layer-weighted").indices == 8)
        for number in range(4)
    ]
    assert all((more >= less).all() for less, more in itertools.pairwise(left))
    assert left[3].sum() > left[0].sum()
