# SPDX-License-Identifier: Apache-2.0
"""MoE layers as a policy sees them, with links of closed form."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from bridge.network import LinkState
from model_side.calibration import LEVELS, Calibration, Outputs
from model_side.energy import Joules
from model_side.placement import LayerPlacement
from model_side.prediction import Prediction
from model_side.routing import Floats, Gate, Missing
from model_side.selection import DeviceWork, Layer, Phase, Selection


@dataclass(frozen=True)
class FixedForecast:
    """Device d takes `fixed_s[d]`, `token_s[d]` for each token over the whole band, half of it down, and
    `expert_s[d]` for each token of each of its experts. It draws 1 W to receive, 2 to compute, 3 to send; the BS 4."""

    placement: LayerPlacement
    fixed_s: Floats
    token_s: Floats
    expert_s: Floats
    spread: float = 0.1

    def work(self, selection: Selection) -> DeviceWork:
        devices = selection.devices
        if devices is None:
            devices = self.placement.slot_devices(selection.indices)
        seats = self.placement.tokens_per_seat(selection.indices, devices)
        return DeviceWork(self.placement.tokens_per_device(devices), self.compute_s(seats))

    def compute_s(self, tokens_per_seat: NDArray[np.int64]) -> Floats:
        of_seat = tokens_per_seat * self.expert_s[self.placement.seat_device]
        return of_seat @ np.eye(self.placement.devices)[self.placement.seat_device]

    def foresee(self, work: DeviceWork) -> Floats:
        return np.where(work.tokens > 0, self.predict(work).seconds, 0)

    def predict(self, work: DeviceWork, shares: Floats | None = None) -> Prediction:
        part = 1.0 if shares is None else np.maximum(shares, 1e-12)
        way_s = np.maximum(work.tokens, 1) * self.token_s / part / 2
        none = np.zeros(self.placement.devices)
        return Prediction(way_s + self.fixed_s, work.compute_s, way_s, none, none + self.spread)

    def joules(self, work: DeviceWork, shares: Floats | None = None) -> Joules:
        came = self.predict(work, shares)
        return Joules(came.down_s, 2 * came.compute_s, 3 * came.up_s, 4 * came.down_s)


def gate_of(logits: NDArray[np.float32], k: int, *, normalised: bool = True, layer: int = 0) -> Gate:
    """What a softmax router gives for these logits [N, E]: the k largest, largest first."""
    probabilities = np.exp(logits - logits.max(axis=1, keepdims=True, initial=-np.inf))
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    indices = np.argsort(-probabilities, axis=1, kind="stable")[:, :k]
    weights = np.take_along_axis(probabilities, indices, axis=1)
    if normalised:
        weights = weights / weights.sum(axis=1, keepdims=True)
    return Gate(layer, logits.shape[1], probabilities, weights, indices, logits)


def layer_of(gate: Gate, placement: LayerPlacement, **given: Any) -> Layer:
    """A layer of a prompt's pass; `fixed_s`, `token_s`, `expert_s` [D] are of `FixedForecast`, by default 1 ms each."""
    times = {
        name: np.asarray(given.pop(name, np.full(placement.devices, 1e-3)), dtype=np.float64)
        for name in ("fixed_s", "token_s", "expert_s")
    }
    links = tuple(
        LinkState(device, True, downlink_rate_bps=1e8, uplink_rate_bps=5e7) for device in range(placement.devices)
    )
    layer = Layer(
        gate,
        4,
        Phase.PREFILL,
        0,
        0,
        1.0,
        placement,
        links,
        Missing(),
        FixedForecast(placement, times["fixed_s"], times["token_s"], times["expert_s"]),
        Selection(gate.weights, gate.indices),
        table=table_of(4, gate.experts, gate.indices.shape[1]),
    )
    return replace(layer, **given)


def table_of(layers: int, experts: int, k: int, seed: int = 1) -> Calibration:
    """A table as of a model whose experts put out random vectors around a common one."""
    chance = np.random.default_rng(seed)
    outputs = chance.normal(1, 1, (layers, experts, 8))
    padded = np.concatenate([outputs, np.zeros((layers, 1, 8))], axis=1)
    distance = np.linalg.norm(outputs[:, :, None] - padded[:, None], axis=3)
    shares = -np.sort(-chance.dirichlet(np.ones(k), (layers, 50)), axis=2)
    ratio = shares[:, :, 1] / shares[:, :, 0] if k > 1 else np.zeros((layers, 50))
    return Calibration(
        "",
        "",
        50,
        np.quantile(shares, LEVELS, axis=1).transpose(1, 2, 0),
        np.quantile(ratio, LEVELS, axis=1).T,
        np.tile(np.eye(experts) * k / experts, (layers, 1, 1)),
        Outputs(
            distance,
            np.repeat(distance[:, None, :, -1], experts, axis=1),
            *chance.uniform([[2], [0.05], [0.01]], [[4], [0.5], [0.1]], (3, layers)),
        ),
    )


def one_each(experts: int, devices: int | None = None) -> LayerPlacement:
    """Expert e on device e modulo `devices`, by default one expert a device."""
    devices = devices or experts
    return LayerPlacement(np.eye(devices, dtype=bool)[np.arange(experts) % devices])


@st.composite
def layers(draw: st.DrawFn, replicas: bool = False) -> Layer:
    """A layer as a router gives it: distinct experts a token, weights largest first, any links and placement."""
    experts = draw(st.integers(1, 12))
    devices = draw(st.integers(1, 6))
    k = draw(st.integers(1, min(4, experts)))
    tokens = draw(st.integers(0, 6))
    chance = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    logits = chance.normal(0, 3, (tokens, experts)).astype(np.float32)
    if draw(st.booleans()):
        logits = logits.round()  # so that some tie
    gate = gate_of(logits, k, normalised=draw(st.booleans()))
    holds = np.eye(devices, dtype=bool)[chance.integers(0, devices, experts)]
    if replicas:
        holds |= chance.random(holds.shape) < 0.3
    times = {name: 10 ** chance.uniform(-6, 1, devices) for name in ("fixed_s", "token_s", "expert_s")}
    return layer_of(gate, LayerPlacement(holds), **times)
