# SPDX-License-Identifier: Apache-2.0
"""Experts and devices under other numbers: the same choice under these, whatever the policy."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_side.calibration import Calibration
from model_side.placement import LayerPlacement
from model_side.policies import POLICIES, make_policy
from model_side.routing import Gate, Indices
from model_side.selection import Layer, Selection
from tests.support.layers import gate_of, layer_of

BY_NUMBER = {"random", "static"}  # the one draws for each slot, the other is told devices
NAMES = [name for name in POLICIES if name not in BY_NUMBER]


def renamed(layer: Layer, experts: Indices, devices: Indices) -> Layer:
    """With expert e under the number experts[e], and device d under devices[d]."""
    gate, table = layer.gate, layer.table
    assert gate.probabilities is not None
    assert gate.scores is not None
    back, home = np.argsort(experts), np.argsort(devices)
    ended = np.append(back, layer.experts)
    outputs = replace(
        table.outputs,
        distance=table.outputs.distance[:, back][:, :, ended],
        norm=table.outputs.norm[:, back][:, :, back],
    )
    known: Calibration = replace(table, coactivation=table.coactivation[:, back][:, :, back], outputs=outputs)
    named = Gate(
        gate.layer, gate.experts, gate.probabilities[:, back], gate.weights, experts[gate.indices], gate.scores[:, back]
    )
    placement = LayerPlacement(layer.placement.holds[back][:, home])
    times = {name: getattr(layer.forecast, name)[home] for name in ("fixed_s", "token_s", "expert_s")}
    return replace(
        layer,
        gate=named,
        placement=placement,
        table=known,
        selection=Selection(named.weights, named.indices),
        forecast=replace(layer.forecast, placement=placement, **times),
    )


@pytest.mark.parametrize("name", NAMES)
@settings(deadline=None)
@given(seed=st.integers(0, 2**32 - 1), replicas=st.booleans())
def test_names_change_nothing_but_names(name: str, seed: int, replicas: bool):
    chance = np.random.default_rng(seed)
    tokens, experts, devices = int(chance.integers(1, 7)), int(chance.integers(2, 9)), int(chance.integers(1, 6))
    gate = gate_of(chance.normal(0, 1, (tokens, experts)).astype(np.float32), min(2, experts))
    holds = np.eye(devices, dtype=bool)[chance.integers(0, devices, experts)]
    if replicas:
        holds |= chance.random(holds.shape) < 0.3
    times = {each: 10 ** chance.uniform(-4, 0, devices) for each in ("fixed_s", "token_s", "expert_s")}
    layer = layer_of(gate, LayerPlacement(holds), **times)
    to_expert, to_device = chance.permutation(experts), chance.permutation(devices)
    chosen, named = (make_policy(name)(each) for each in (layer, renamed(layer, to_expert, to_device)))
    assert by_expert(named, experts) == pytest.approx(by_expert(chosen, experts)[:, np.argsort(to_expert)], rel=1e-5)
    if chosen.shares is not None:
        assert named.shares == pytest.approx(chosen.shares[np.argsort(to_device)], rel=1e-6)
    if chosen.devices is not None:
        asked = np.append(to_device, devices)[chosen.devices]
        pairs = [
            sorted(zip(*row, strict=True))
            for row in zip(np.append(to_expert, experts)[chosen.indices], asked, strict=True)
        ]
        assert pairs == [sorted(zip(*row, strict=True)) for row in zip(named.indices, named.devices, strict=True)]


def by_expert(selection: Selection, experts: int) -> np.ndarray:
    """What each expert weighs for each token [N, E]."""
    weights = np.zeros((len(selection.indices), experts + 1))
    for row, (indices, own) in enumerate(zip(selection.indices, selection.weights, strict=True)):
        np.add.at(weights[row], indices, own)
    return weights[:, :-1]
