# SPDX-License-Identifier: Apache-2.0
"""The base station: it computes attention and gate, chooses experts, asks their devices, and combines.

For each MoE layer: the BS computes, the policy chooses among the gate's experts, the hidden states travel
to the devices and the answers back, and what did not come back in time is left out of the sum. So the
links decide what the model says next.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bridge.network import Network, Outcome, Status, Transfer, Wait
from model_side.hardware import to_ns
from model_side.latency import LatencyPredictor
from model_side.moe import GateOutput
from model_side.placement import Placement
from model_side.policies import Policy
from model_side.routing import Indices, LayerRouting, Mask, Weights, leave_out


class Phase(StrEnum):
    """Prefill runs all tokens of a prompt at once, decode one token after the other."""

    PREFILL = "prefill"
    DECODE = "decode"


class ComputeTimes(Protocol):
    """How long BS and devices compute, in virtual seconds (see `model_side.compute`)."""

    def layer_s(self, layer: int, tokens: int, context: int) -> float:
        """The BS's work from the answers of one MoE layer to the gate's decision in MoE layer `layer`."""

    def head_s(self, tokens: int, context: int) -> float:
        """The BS's work from the answers of the last MoE layer to the next token."""

    def devices_s(self, tokens_per_expert: NDArray[np.int64]) -> NDArray[np.float64]:
        """Each device's work [D] for its experts, which compute `tokens_per_expert` [E]."""


@dataclass(frozen=True)
class LayerExchange:
    """All that happened in one MoE layer of one forward pass.

    `request` and `position` say which pass: the position of its first token. `tokens` is N. The BS
    computed for `bs_compute_ns` up to `depart_ns`. `gate_weights`, `gate_indices` [N, k] are the model's
    own choice out of the router's `probabilities` [N, E] (softmax of its logits), `chosen_weights`,
    `chosen_indices` [N, k] the policy's (index E: left out), and `delivered` [N, k] tells which of these
    came back. `tokens_per_device` [D] counts distinct tokens, `predicted_s` [D] is what the BS expected
    of each device under the model's own choice. Everything but `network_wall_s`, the wall-clock seconds
    within the network, is the same in every run.
    """

    phase: Phase
    request: int
    position: int
    layer: int
    tokens: int
    depart_ns: int
    deadline_ns: int
    bs_compute_ns: int
    probabilities: NDArray[np.float32]
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
    """Routes a model's MoE layers over `network`: use `route` within `SplitModel.routed`.

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
        head_ns = int(to_ns(self._compute.head_s(self._tokens, position + self._tokens)))
        self._ready_ns += head_ns
        return self._ready_ns

    def route(self, gate: GateOutput) -> tuple[Tensor, Tensor]:
        """Choose experts for one layer, exchange with their devices, and return what is to be combined.

        Where policy and network leave the model's own choice alone, it is returned as it came.
        """
        phase, request, position = self._pass
        self._tokens = len(gate.indices)
        bs_compute_ns = int(to_ns(self._compute.layer_s(gate.layer, self._tokens, position + self._tokens)))
        depart_ns = self._ready_ns + bs_compute_ns
        deadline_ns = depart_ns + self._deadline_ns

        layer, predicted_s = self._read(gate, depart_ns)
        weights, indices = self._policy(layer)
        tokens_per_device = self.placement.tokens_per_device(indices)
        transfers = self._transfers(tokens_per_device, indices)
        began = time.perf_counter()
        outcome = self.network.exchange(transfers, depart_ns, deadline_ns, self._wait)
        network_wall_s = time.perf_counter() - began
        self._ready_ns = outcome.now_ns
        self.predictor.observe(transfers, outcome, depart_ns, deadline_ns)

        delivered = self._delivered(indices, outcome)
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
                    probabilities=layer.probabilities,
                    gate_weights=layer.weights,
                    gate_indices=layer.indices,
                    chosen_weights=weights,
                    chosen_indices=indices,
                    delivered=delivered,
                    transfers=transfers,
                    tokens_per_device=tokens_per_device,
                    predicted_s=predicted_s,
                    outcome=outcome,
                    network_wall_s=network_wall_s,
                )
            )
        weights, indices = leave_out(weights, indices, delivered | (indices == layer.experts), layer.experts)
        if weights is layer.weights and indices is layer.indices:
            return gate.weights, gate.indices
        return torch.from_numpy(weights).to(gate.weights), torch.from_numpy(indices).to(gate.indices)

    def _read(self, gate: GateOutput, depart_ns: int) -> tuple[LayerRouting, NDArray[np.float64]]:
        """What the policy gets to see, and the latency [D] that is expected of each device.

        A device to which the model's own choice sends nothing is expected to take as long as one token does.
        """
        weights = gate.weights.detach().float().cpu().numpy()
        indices = gate.indices.cpu().numpy().astype(np.int64, copy=False)
        probabilities = _softmax(gate.logits.detach().float().cpu().numpy())
        size = np.maximum(self.placement.tokens_per_device(indices), 1) * self._token_bytes
        compute_s = self._compute.devices_s(self.placement.tokens_per_expert(indices))
        predicted_s = self.predictor.predict(depart_ns, size, compute_s, size)
        latency_s = predicted_s[self.placement.device_of]
        return LayerRouting(gate.layer, probabilities, weights, indices, latency_s), predicted_s

    def _transfers(self, tokens_per_device: NDArray[np.int64], indices: Indices) -> tuple[Transfer, ...]:
        compute_s = self._compute.devices_s(self.placement.tokens_per_expert(indices))
        busy = np.flatnonzero(tokens_per_device)
        sizes = (tokens_per_device[busy] * self._token_bytes).tolist()
        compute_ns = to_ns(compute_s[busy]).tolist()
        return tuple(
            Transfer(device, size, busy_ns, size)
            for device, size, busy_ns in zip(busy.tolist(), sizes, compute_ns, strict=True)
        )

    def _delivered(self, indices: Indices, outcome: Outcome) -> Mask:
        """Which slots [N, k] came back whole."""
        answered = np.zeros(self.placement.devices + 1, dtype=bool)
        answered[[transfer.device for transfer in outcome.transfers if transfer.status is Status.DONE]] = True
        return np.asarray(answered[self.placement.slot_devices(indices)])


def _softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Softmax of each row, in NumPy: for arrays this small PyTorch's threads cost more than they save."""
    powers: NDArray[np.float32] = np.exp(logits - logits.max(axis=1, keepdims=True))
    powers /= powers.sum(axis=1, keepdims=True)
    return powers
