# SPDX-License-Identifier: Apache-2.0
"""The base station: it computes attention and gate, chooses experts, asks their devices, and combines.

For each MoE layer: the BS computes, the policy chooses among the gate's experts, the hidden states travel
to the devices and the answers back, and what did not come back in time is left out of the sum. So the
links decide what the model says next. All of it is arithmetic on arrays: whether a model runs behind the
gate, or a recording, is not known here.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bridge.network import NS_PER_S, Network, Outcome, Status, Transfer, Wait
from model_side.hardware.profiles import to_ns
from model_side.latency import LatencyPredictor
from model_side.placement import Placement
from model_side.policies import Policy
from model_side.routing import Gate, Indices, LayerRouting, Mask, Probabilities, Weights, leave_out


class Phase(StrEnum):
    """Prefill runs all tokens of a prompt at once, decode one token after the other."""

    PREFILL = "prefill"
    DECODE = "decode"


class ComputeTimes(Protocol):
    """How long BS and devices compute, in virtual seconds (see `model_side.hardware.roofline`)."""

    def layer_s(self, layer: int, tokens: int, context: int) -> float:
        """The BS's work from the answers of one MoE layer to the gate's decision in MoE layer `layer`."""

    def head_s(self, tokens: int, context: int) -> float:
        """The BS's work from the answers of the last MoE layer to the next token."""

    def devices_s(self, tokens_per_expert: NDArray[np.int64]) -> NDArray[np.float64]:
        """Each device's work [D] for its experts, which compute `tokens_per_expert` [E]; or [X, D] for [X, E]."""


@dataclass(frozen=True, slots=True)
class DeviceWork:
    """What a layer's routing asks of the devices: distinct `tokens` [D] for each, and `compute_s` [D]."""

    tokens: NDArray[np.int64]
    compute_s: NDArray[np.float64]


@dataclass(frozen=True)
class LayerExchange:
    """All that happened in one MoE layer of one forward pass.

    `request` and `position` say which pass: the position of its first token. `tokens` is N. The BS
    computed for `bs_compute_ns` up to `depart_ns`. `gate_weights`, `gate_indices` [N, k] are the model's
    own choice out of `experts` E and the router's `probabilities` [N, E] (softmax of its logits; None where
    a recording lacks them), `chosen_weights`, `chosen_indices` [N, k] the policy's (index E: left out), and
    `delivered` [N, k] tells which of these came back. `tokens_per_device` [D] counts distinct tokens,
    `predicted_s` [D] is what the BS expected of each device under the model's own choice. Everything but
    `network_wall_s`, the wall-clock seconds within the network, is the same in every run.
    """

    phase: Phase
    request: int
    position: int
    layer: int
    tokens: int
    depart_ns: int
    deadline_ns: int
    bs_compute_ns: int
    experts: int
    probabilities: Probabilities | None
    gate_weights: Weights
    gate_indices: Indices
    chosen_weights: Weights
    chosen_indices: Indices
    delivered: Mask
    transfers: tuple[Transfer, ...]
    tokens_per_device: NDArray[np.int64]
    predicted_s: NDArray[np.float64]
    outcome: Outcome
    network_wall_s: float


class BaseStation:
    """Routes MoE layers over `network`, one call of `route` a layer.

    `token_bytes` is the size of one token's hidden state on the air; an exchange carries that for each
    distinct token of a device, down and up, and nothing else. An exchange ends by `wait`, at the latest
    `deadline_ns` after its departure. Virtual time is the network's; the BS only adds its own computing.
    """

    def __init__(
        self,
        network: Network,
        placement: Placement,
        compute: ComputeTimes,
        policy: Policy,
        token_bytes: int,
        deadline_ns: int,
        wait: Wait = Wait.ALL,
        on_exchange: Callable[[LayerExchange], None] | None = None,
    ):
        self.network = network
        self.placement = placement
        self.predictor = LatencyPredictor(placement.devices)
        self._compute = compute
        self._policy = policy
        self._token_bytes = token_bytes
        self._deadline_ns = deadline_ns
        self._wait = wait
        self._on_exchange = on_exchange
        self._ready_ns = network.now_ns
        self._pass = (Phase.PREFILL, 0, 0)
        self._tokens = 0

    def begin(self, phase: Phase, request: int, position: int) -> int:
        """Start a forward pass whose first token stands at `position` of `request`; return the virtual time."""
        self._pass = (phase, request, position)
        return self._ready_ns

    def finish(self) -> int:
        """End the forward pass: the BS computes the next token. Return the virtual time when it has it."""
        _, _, position = self._pass
        self._ready_ns += round(self._compute.head_s(self._tokens, position + self._tokens) * NS_PER_S)
        return self._ready_ns

    def route(self, gate: Gate, work: DeviceWork | None = None) -> tuple[Weights, Indices]:
        """Choose experts for one layer, exchange with their devices, and return what is to be combined.

        Where policy and network leave the model's own choice alone, its arrays are returned as they came.
        `work` is what that choice asks of the devices, for who knows it already (see `device_work`).
        """
        phase, request, position = self._pass
        self._tokens = len(gate.indices)
        bs_compute_s = self._compute.layer_s(gate.layer, self._tokens, position + self._tokens)
        bs_compute_ns = round(bs_compute_s * NS_PER_S)
        depart_ns = self._ready_ns + bs_compute_ns
        deadline_ns = depart_ns + self._deadline_ns

        work = work or self.device_work(gate.indices)
        predicted_s = self._predict(work, depart_ns)
        layer = LayerRouting(
            gate.layer, gate.probabilities, gate.weights, gate.indices, predicted_s[self.placement.device_of]
        )
        weights, indices = self._policy(layer)
        if indices is not gate.indices:
            work = self.device_work(indices)
        transfers = self._transfers(work)
        began = time.perf_counter()
        outcome = self.network.exchange(transfers, depart_ns, deadline_ns, self._wait)
        network_wall_s = time.perf_counter() - began
        self._ready_ns = outcome.now_ns
        self.predictor.observe(transfers, outcome, depart_ns, deadline_ns)

        arrived = all(transfer.status is Status.DONE for transfer in outcome.transfers)
        delivered = indices < layer.experts if arrived else self._delivered(indices, outcome)
        if self._on_exchange is not None:
            self._on_exchange(
                LayerExchange(
                    phase=phase,
                    request=request,
                    position=position,
                    layer=gate.layer,
                    tokens=self._tokens,
                    depart_ns=depart_ns,
                    deadline_ns=deadline_ns,
                    bs_compute_ns=bs_compute_ns,
                    experts=layer.experts,
                    probabilities=gate.probabilities,
                    gate_weights=gate.weights,
                    gate_indices=gate.indices,
                    chosen_weights=weights,
                    chosen_indices=indices,
                    delivered=delivered,
                    transfers=transfers,
                    tokens_per_device=work.tokens,
                    predicted_s=predicted_s,
                    outcome=outcome,
                    network_wall_s=network_wall_s,
                )
            )
        if arrived:
            return weights, indices
        return leave_out(weights, indices, delivered | (indices == layer.experts), layer.experts)

    def device_work(self, indices: Indices) -> DeviceWork:
        """What a routing [N, k] asks of the devices."""
        compute_s = self._compute.devices_s(self.placement.tokens_per_expert(indices))
        return DeviceWork(self.placement.tokens_per_device(indices), compute_s)

    def device_works(
        self, indices: Indices, starts: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """`device_work` of many layers, arrays [X, D]; layer x has the rows of `indices` from `starts[x]` on."""
        tokens = self.placement.tokens_per_device(indices, starts)
        return tokens, self._compute.devices_s(self.placement.tokens_per_expert(indices, starts))

    def _predict(self, work: DeviceWork, depart_ns: int) -> NDArray[np.float64]:
        """The latency [D] that is expected of each device; one that gets nothing, as if it got one token."""
        size = np.maximum(work.tokens, 1) * self._token_bytes
        return self.predictor.predict(depart_ns, size, work.compute_s, size)

    def _transfers(self, work: DeviceWork) -> tuple[Transfer, ...]:
        busy = np.flatnonzero(work.tokens)
        sizes = (work.tokens[busy] * self._token_bytes).tolist()
        compute_ns = to_ns(work.compute_s[busy]).tolist()
        return tuple(
            Transfer(device, size, busy_ns, size)
            for device, size, busy_ns in zip(busy.tolist(), sizes, compute_ns, strict=True)
        )

    def _delivered(self, indices: Indices, outcome: Outcome) -> Mask:
        """Which slots [N, k] came back whole."""
        answered = np.zeros(self.placement.devices + 1, dtype=bool)
        answered[[transfer.device for transfer in outcome.transfers if transfer.status is Status.DONE]] = True
        return np.asarray(answered[self.placement.slot_devices(indices)])
