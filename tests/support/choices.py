# SPDX-License-Identifier: Apache-2.0
"""Choices of experts by hand, token by token."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import strategies as st

from model_side.policies import make_policy
from model_side.routing import Gate
from model_side.selection import Layer, Selection
from tests.support.layers import FixedForecast


class Slot(NamedTuple):
    """One of a token's own."""

    weight: float
    expert: int
    device: int
    seconds: float


def slots(layer: Layer) -> list[list[Slot]]:
    """Each token's own, without replicas."""
    device_of = [int(np.flatnonzero(held)[0]) for held in layer.placement.holds]
    seconds = layer.prediction.seconds
    return [
        [
            Slot(float(weight), int(expert), device_of[expert], float(seconds[device_of[expert]]))
            for weight, expert in zip(weights, indices, strict=True)
        ]
        for weights, indices in zip(layer.weights, layer.indices, strict=True)
    ]


def decide(layer: Layer, name: str, **options: Any) -> Selection:
    """What a fresh policy chooses."""
    return make_policy(name, {name: options})(layer)


def kept(layer: Layer, selection: Selection) -> list[list[bool]]:
    """Which slots stay, of a policy that only leaves out; that weights are right is checked."""
    stays = selection.indices < layer.experts
    assert (selection.indices[stays] == layer.indices[stays]).all()
    for token in range(layer.tokens):
        assert_shares(selection.weights[token], np.where(stays[token], layer.weights[token], 0), layer.weights[token])
    return stays.tolist()


def assert_shares(weights: Sequence[float], parts: Sequence[float], own: Sequence[float]) -> None:
    """That weights are to each other as `parts` and sum to what the own ones do, or to 0 if no part is left."""
    whole = float(np.sum(parts, dtype=np.float64))
    total = float(np.sum(own, dtype=np.float64))
    expected = [float(part) * total / whole if whole else 0.0 for part in parts]
    assert list(map(float, weights)) == pytest.approx(expected, rel=1e-4, abs=1e-9)


def assert_chosen(layer: Layer, selection: Selection, expected: Sequence[set[int]]) -> None:
    """That each token has these experts, at weights as their probabilities and with its own total."""
    for token, experts in enumerate(expected):
        found = [int(expert) for expert in selection.indices[token] if expert < layer.experts]
        assert (set(found), len(found)) == (experts, len(experts))
        probability = np.append(layer.probabilities[token], 0)
        assert_shares(selection.weights[token], probability[selection.indices[token]], layer.weights[token])


def reordered(layer: Layer, order: Sequence[int]) -> Layer:
    """The same layer with its tokens in another order."""
    gate, rows = layer.gate, np.array(order, dtype=np.int64)
    assert gate.probabilities is not None
    assert gate.scores is not None
    mixed = Gate(
        gate.layer,
        gate.experts,
        gate.probabilities[rows],
        gate.weights[rows],
        gate.indices[rows],
        gate.scores[rows],
    )
    return replace(layer, gate=mixed, selection=Selection(mixed.weights, mixed.indices))


def alike(layer: Layer) -> Layer:
    """The same layer when all devices take the same time, whatever they are asked."""
    none = np.zeros(layer.devices)
    return replace(layer, forecast=FixedForecast(layer.placement, none + 0.01, none, none))


@st.composite
def orders(draw: st.DrawFn, layer: Layer) -> list[int]:
    """Orders of a layer's tokens."""
    return draw(st.permutations(range(layer.tokens)))
