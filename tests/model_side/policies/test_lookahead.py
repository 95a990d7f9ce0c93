# SPDX-License-Identifier: Apache-2.0
"""`lookahead` against all that could be chosen, its harm against the formula, and what it makes of a lost device."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_side.calibration import Calibration, Outputs
from model_side.policies import make_policy
from model_side.routing import Floats
from model_side.selection import DeviceWork, Layer, Selection
from tests.support.layers import gate_of, layer_of, layers, one_each


def lookahead(layer: Layer, loss_nats: float, name: str = "lookahead") -> Selection:
    return make_policy(name, {name: {"loss_nats": loss_nats}})(layer)


def last_s(layer: Layer, selection: Selection) -> float:
    seen = layer.after(selection)
    return float(np.where(seen.work.tokens > 0, seen.prediction.seconds, 0).max())


def errors(table: Calibration, number: int, own: int, other: int) -> tuple[float, float]:
    """The weight with which `other` stands in for `own`, and nats for a weight of 1: the least of a parabola."""
    nothing = table.distance[number, own, -1] ** 2
    curvature = table.curvature[number]
    if other == own:
        return 1.0, 0.0
    if other == table.experts:
        return 0.0, curvature * nothing
    square, away = table.norm[number, own, other] ** 2, table.distance[number, own, other] ** 2
    inner = (nothing + square - away) / 2
    weight = max(inner / square, 0)
    return weight, curvature * (nothing - 2 * weight * inner + weight**2 * square)


def nats(layer: Layer, selection: Selection) -> float:
    table, own = layer.calibration, layer.indices
    return sum(
        float(layer.weights[at]) ** 2 * errors(table, layer.number, int(own[at]), int(selection.indices[at]))[1]
        for at in np.ndindex(own.shape)
    )


def allowed(layer: Layer, loss_nats: float) -> float:
    """In the first layer of a pass, when all layers are taken to want the same."""
    return loss_nats * layer.tokens / layer.layers


@settings(deadline=None)
@given(layers(replicas=True), st.sampled_from([0.0, 0.01, 0.1, 1.0]))
def test_it_is_no_later_and_pays_no_more_than_it_may(layer: Layer, loss_nats: float):
    chosen = lookahead(layer, loss_nats)
    assert last_s(layer, chosen) <= last_s(layer, layer.selection)
    assert nats(layer, chosen) <= allowed(layer, loss_nats) * (1 + 1e-6) + 1e-12


@settings(deadline=None)
@given(layers(replicas=True), st.sampled_from([0.01, 1.0]))
def test_what_stands_in_weighs_what_errs_least(layer: Layer, loss_nats: float):
    chosen = lookahead(layer, loss_nats)
    for at in np.ndindex(chosen.indices.shape):
        weight, _ = errors(layer.calibration, layer.number, int(layer.indices[at]), int(chosen.indices[at]))
        assert chosen.weights[at] == pytest.approx(weight * layer.weights[at], rel=1e-5)


@settings(deadline=None)
@given(layers(replicas=True))
def test_for_nothing_it_only_moves_to_replicas(layer: Layer):
    chosen = lookahead(layer, 0)
    assert (chosen.indices == layer.indices).all()
    assert (chosen.weights == layer.weights).all()
    if not layer.placement.is_replicated:
        assert chosen is layer.selection


def test_the_best_weight_is_that_of_the_least_squares():
    """Against NumPy's solver, for experts whose outputs are known vectors."""
    chance = np.random.default_rng(5)
    outputs = chance.normal(0.5, 1, (3, 400, 8))  # experts, tokens, hidden size
    norm = np.tile(np.sqrt((outputs**2).sum(axis=2).mean(axis=1)), (3, 1))
    nothing = norm[0][:, None]
    away = np.sqrt(((outputs[:, None] - outputs[None]) ** 2).sum(axis=3).mean(axis=2))
    ones = np.ones(1)
    table = Calibration(
        *("", "", 400, np.zeros((1, 1, 1)), np.zeros((1, 1)), np.eye(3)[None]),
        Outputs(np.hstack([away, nothing])[None], norm[None], ones, ones, ones),
    )
    for own, other in itertools.permutations(range(3), 2):
        solved, (rest,), _, _ = np.linalg.lstsq(outputs[other].reshape(-1, 1), outputs[own].ravel())
        weight, error = errors(table, 0, own, other)
        assert (weight, error) == (pytest.approx(solved[0]), pytest.approx(rest / 400))


def choices(layer: Layer) -> list[Selection]:
    """Everything that could be chosen: each slot anywhere, or nowhere but the heaviest."""
    own, experts = layer.indices, layer.experts
    may = []
    for token, slot in np.ndindex(own.shape):
        heaviest = slot == int(layer.weights[token].argmax())
        may.append(range(experts + (not heaviest)))
    found = []
    for taken in itertools.product(*may):
        indices = np.array(taken).reshape(own.shape)
        gain = [
            errors(layer.calibration, layer.number, int(own[at]), int(indices[at]))[0] for at in np.ndindex(own.shape)
        ]
        weights = layer.weights * np.array(gain, np.float32).reshape(own.shape)
        found.append(Selection(weights, indices))
    return found


def test_it_comes_near_to_the_best_of_all_choices():
    """Of what the best choice gains that costs no more; it works step by step, and does not look at all choices."""
    gained, could = 0.0, 0.0
    for seed in range(20):
        chance = np.random.default_rng(seed)
        gate = gate_of(chance.normal(0, 1, (2, 3)).astype(np.float32), 2)
        times = {name: 10 ** chance.uniform(-3, -1, 3) for name in ("fixed_s", "token_s", "expert_s")}
        layer = layer_of(gate, one_each(3), **times)
        at_first, chosen = last_s(layer, layer.selection), lookahead(layer, 0.1)
        spent = nats(layer, chosen) * (1 + 1e-6)
        best = min(last_s(layer, each) for each in choices(layer) if nats(layer, each) <= spent)
        gained += (at_first - last_s(layer, chosen)) / at_first
        could += (at_first - best) / at_first
    assert could > 0
    assert gained >= 0.9 * could


def test_a_device_that_did_not_answer_loses_its_slots_for_nothing():
    """What is asked of it would probably be lost, and is worth nothing, until what was waited in vain has faded."""
    logits = np.array([[2, 1, 0, 0], [0, 2, 1, 0], [1, 0, 0, 2]], np.float32)
    layer = layer_of(gate_of(logits, 2), one_each(4))
    waited = replace(layer, forecast=Waited(layer.forecast, np.array([0, 5.0, 0, 0])))
    assert (lookahead(layer, 1e-4).indices == layer.indices).all()
    chosen = lookahead(waited, 0.02)
    assert 1 not in chosen.indices[[0, 1], [1, 0]]
    again = replace(layer, forecast=Waited(layer.forecast, np.array([0, 1e-4, 0, 0])))
    assert (lookahead(again, 1e-4).indices == layer.indices).all()


class Waited:
    """A forecast of links for which something was waited in vain."""

    def __init__(self, forecast: object, vain_s: Floats):
        self._forecast, self._vain_s = forecast, vain_s
        self.work, self.compute_s = forecast.work, forecast.compute_s

    def predict(self, work: DeviceWork, shares: Floats | None = None):
        return replace(self._forecast.predict(work, shares), vain_s=self._vain_s)


@settings(deadline=None)
@given(layers(replicas=True))
def test_with_a_forecast_that_is_right_the_oracle_does_the_same(layer: Layer):
    patient = replace(layer, deadline_s=1e9)
    by_forecast, by_truth = (lookahead(patient, 0.1, name) for name in ("lookahead", "oracle"))
    assert (by_forecast.indices == by_truth.indices).all()
    assert (by_forecast.weights == by_truth.weights).all()
