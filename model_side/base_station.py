# SPDX-License-Identifier: Apache-2.0
"""The base station: it computes attention and gate, chooses experts, asks their devices, and combines.

For each MoE layer: the BS computes, the policy chooses experts, the hidden states travel to the devices and the answers
back, and what did not come back in time is left out of the sum. So the links decide what the model says next. All of
it is arithmetic on arrays: whether a model runs behind the gate, or a recording, is not known here.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bridge.network import NS_PER_S, LinkState, Network, Outcome, RequestError, Status, Transfer, Wait
from model_side.calibration import Calibration
from model_side.element import WireFormat
from model_side.energy import Joules, Powers
from model_side.exchange import LayerExchange
from model_side.hardware.profiles import to_ns
from model_side.placement import LayerPlacement, Placement
from model_side.policies import Steps
from model_side.prediction import Prediction, Predictor, Radiated
from model_side.routing import SHARED, Floats, Gate, Indices, Mask, Missing, Weights
from model_side.selection import DeviceWork, Layer, Part, Phase, Selection, phase_of


class ComputeTimes(Protocol):
    """How long BS and devices compute, in virtual seconds (see `model_side.hardware.roofline`)."""

    def layer_s(self, layer: int, tokens: int, context: int) -> float:
        """The BS's work from the answers of one MoE layer to the gate's decision in MoE layer `layer`."""

    def head_s(self, tokens: int, context: int) -> float:
        """The BS's work from the answers of the last MoE layer to the next token."""

    def batch_layer_s(self, layer: int, rows: tuple[tuple[int, int], ...]) -> float:
        """As `layer_s`, of the rows of several requests: the tokens and the context of each."""

    def batch_head_s(self, rows: tuple[tuple[int, int], ...], given: int) -> float:
        """As `head_s`, of several requests, `given` of which get their next token."""

    def devices_s(self, tokens: NDArray[np.int64], device: Indices) -> Floats:
        """Each device's work [..., D] for its seats, which compute `tokens` [..., P] and are on `device` [..., P]."""


Foresee = Callable[[Sequence[Transfer], int, int], Floats]


class BaseStation:
    """Routes MoE layers over `network`, one call of `route` a layer.

    `wire` has the sizes of what is sent: an exchange carries each distinct token of a device once, down and up. An
    exchange ends by `wait`, at the latest `deadline_ns` after its departure. `missing`: what becomes of the weight
    of experts that are not there. `decision_ns`: virtual time that a policy takes in each layer. `calibration`: for
    policies that need it. `foresee`: when transfers would be done, of a network that knows. `powers`: for the
    energy that policies may ask for, by default not known. Virtual time is the network's; the BS only adds its own
    computing.
    """

    def __init__(
        self,
        network: Network,
        placement: Placement,
        compute: ComputeTimes,
        policy: Steps,
        predictor: Predictor,
        wire: WireFormat,
        deadline_ns: int,
        wait: Wait = Wait.ALL,
        missing: Missing = SHARED,
        decision_ns: int = 0,
        on_exchange: Callable[[LayerExchange], None] | None = None,
        calibration: Calibration | None = None,
        foresee: Foresee | None = None,
        powers: Powers | None = None,
    ):
        self.network = network
        self.placement = placement
        self.predictor = predictor
        self._compute = compute
        self._policy = policy
        self._wire = wire
        self._deadline_ns = deadline_ns
        self._wait = wait
        self._missing = missing
        self._decision_ns = decision_ns
        self._on_exchange = on_exchange
        self._calibration = calibration
        self._foresee = foresee
        self.slot_devices: Indices = np.empty((0, 0), dtype=np.int64)
        """Where the slots of the latest layer were asked [N, k'], D of one that was left out."""
        self._powers = powers or Powers.unknown(placement.devices)
        self._radiated = Radiated(placement.devices)
        self._ready_ns = network.now_ns
        self._links: tuple[LinkState, ...] = tuple(map(_unknown, range(placement.devices)))
        self._parts: tuple[Part, ...] = (Part(Phase.PREFILL, 0, 0, 0),)

    @property
    def ready_ns(self) -> int:
        """Virtual time at which the next pass can begin."""
        return self._ready_ns

    def idle(self, until_ns: int) -> None:
        """Let virtual time go by with nothing to do."""
        self._ready_ns = max(self._ready_ns, until_ns)

    def begin(self, phase: Phase, request: int, position: int) -> int:
        """Start a forward pass whose first token stands at `position` of `request`; return the virtual time."""
        return self.begin_batch((Part(phase, request, position, 0),))  # how many tokens, the gates will tell

    def begin_batch(self, parts: tuple[Part, ...]) -> int:
        """Start a forward pass with the rows of several requests; return the virtual time."""
        self._parts = parts
        return self._ready_ns

    def finish(self, given: int = 1) -> int:
        """End the forward pass: the BS computes the next token of `given` requests. Return the virtual time then."""
        match self._parts:
            case (part,) if given == 1:
                head_s = self._compute.head_s(part.tokens, part.context)
            case parts:
                head_s = self._compute.batch_head_s(_rows(parts), given)
        self._ready_ns += round(head_s * NS_PER_S)
        return self._ready_ns

    def route(self, gate: Gate, work: DeviceWork | None = None) -> tuple[Weights, Indices]:
        """Choose experts for one layer, exchange with their devices, and return what is to be combined.

        Where policy and network leave the model's own choice alone, its arrays are returned as they came.
        `work` is what that choice asks of the devices, for who knows it already (see `works`).
        """
        match self._parts:
            case (part,):
                part = part._replace(tokens=len(gate.indices))
                self._parts = parts = (part,)
                bs_compute_s = self._compute.layer_s(gate.layer, part.tokens, part.context)
            case parts:
                bs_compute_s = self._compute.batch_layer_s(gate.layer, _rows(parts))
        phase, (_, request, position, _) = phase_of(parts), parts[0]
        bs_compute_ns = round(bs_compute_s * NS_PER_S) + self._decision_ns
        depart_ns = self._ready_ns + bs_compute_ns
        deadline_ns = depart_ns + self._deadline_ns

        placement = self.placement.layers[gate.layer]
        layer = Layer(
            gate,
            len(self.placement.layers),
            phase,
            request,
            position,
            self._deadline_ns / NS_PER_S,
            placement,
            self._links,
            self._missing,
            LayerForecast(
                placement,
                self._compute,
                self.predictor,
                self._wire,
                depart_ns,
                self._powers,
                self._radiated,
                None if self._foresee is None else lambda work: self._foreseen_ns(work, depart_ns, deadline_ns),
            ),
            Selection(gate.weights, gate.indices),
            work,
            self._calibration,
            parts,
        )
        began = time.perf_counter()
        selection = self._policy(layer)
        policy_wall_s = time.perf_counter() - began
        chosen = layer.after(selection)
        transfers = self._transfers(chosen.work)
        prediction = chosen.prediction
        self.slot_devices = chosen.slot_devices
        shares = None if selection.shares is None else selection.shares.tolist()
        began = time.perf_counter()
        outcome = self.network.exchange(transfers, depart_ns, deadline_ns, self._wait, shares)
        network_wall_s = time.perf_counter() - began
        self._ready_ns = outcome.now_ns
        self._links = outcome.links
        self.predictor.observe(transfers, outcome, depart_ns, deadline_ns, prediction.seconds, shares)
        self._radiated.observe(transfers, outcome.transfers)

        arrived = all(transfer.status is Status.DONE for transfer in outcome.transfers)
        is_asked = selection.indices < gate.experts
        delivered = is_asked if arrived else self._delivered(chosen.slot_devices, outcome)
        exchange = LayerExchange(
            phase=phase,
            request=request,
            position=position,
            layer=gate.layer,
            tokens=layer.tokens,
            depart_ns=depart_ns,
            deadline_ns=deadline_ns,
            bs_compute_ns=bs_compute_ns,
            gate=gate,
            placement=placement,
            selection=selection,
            slot_devices=chosen.slot_devices,
            delivered=delivered,
            transfers=transfers,
            work=chosen.work,
            prediction=prediction,
            outcome=outcome,
            network_wall_s=network_wall_s,
            policy_wall_s=policy_wall_s,
            parts=parts,
        )
        self._policy.observe(exchange)
        if self._on_exchange is not None:
            self._on_exchange(exchange)
        if arrived:
            return selection.weights, selection.indices
        return self._missing.leave_out(gate, selection.weights, selection.indices, delivered)

    def works(self, indices: Indices, starts: NDArray[np.int64], layers: NDArray[np.int64]) -> DeviceWork | None:
        """What the model's own choice asks of the devices in X layers, arrays [X, D]; None where experts have replicas.

        `layers` [X] says which MoE layers; layer x has the rows of `indices` from `starts[x]` on.
        """
        if self.placement.is_replicated:
            return None
        tokens, counts, device = self.placement.work(indices, starts, layers)
        return DeviceWork(tokens, self._compute.devices_s(counts, device))

    def _foreseen_ns(self, work: DeviceWork, depart_ns: int, deadline_ns: int) -> Floats:
        """When each device [D] will be done; 0 of one that gets nothing."""
        assert self._foresee is not None
        transfers = self._transfers(work)
        done_ns = np.zeros(self.placement.devices)
        done_ns[[transfer.device for transfer in transfers]] = self._foresee(transfers, depart_ns, deadline_ns)
        return done_ns

    def _transfers(self, work: DeviceWork) -> tuple[Transfer, ...]:
        busy = np.flatnonzero(work.tokens)
        columns = (
            busy,
            self._wire.down_bytes(work.tokens[busy]),
            to_ns(work.compute_s[busy]),
            self._wire.up_bytes(work.tokens[busy]),
        )
        return tuple(map(Transfer, *(column.tolist() for column in columns)))

    def _delivered(self, slot_devices: Indices, outcome: Outcome) -> Mask:
        """Which slots [N, k'] came back whole."""
        answered = np.zeros(self.placement.devices + 1, dtype=bool)
        answered[[transfer.device for transfer in outcome.transfers if transfer.status is Status.DONE]] = True
        return np.asarray(answered[slot_devices])


@dataclass(frozen=True)
class LayerForecast:
    """See `model_side.selection.Forecast`; of one layer, departing at `depart_ns`."""

    placement: LayerPlacement
    compute: ComputeTimes
    predictor: Predictor
    wire: WireFormat
    depart_ns: int
    powers: Powers
    radiated: Radiated
    foreseen_ns: Callable[[DeviceWork], Floats] | None = None

    def work(self, selection: Selection) -> DeviceWork:
        """See `Forecast.work`."""
        indices, devices = selection.indices, selection.devices
        if devices is None:
            devices = self.placement.slot_devices(indices)
        seats = self.placement.tokens_per_seat(indices, devices)
        return DeviceWork(self.placement.tokens_per_device(devices), self.compute_s(seats))

    def compute_s(self, tokens_per_seat: NDArray[np.int64]) -> Floats:
        """See `Forecast.compute_s`."""
        return self.compute.devices_s(tokens_per_seat, self.placement.seat_device)

    def foresee(self, work: DeviceWork) -> Floats:
        """See `Forecast.foresee`."""
        if self.foreseen_ns is None:
            raise RequestError("policies", "what will come, only a what-if can tell; say foresees in the policy")
        return np.maximum(self.foreseen_ns(work) - self.depart_ns, 0) / NS_PER_S

    def predict(self, work: DeviceWork, shares: Floats | None = None) -> Prediction:
        """See `Forecast.predict`."""
        tokens = np.maximum(work.tokens, 1)
        down_bytes, up_bytes = self.wire.down_bytes(tokens), self.wire.up_bytes(tokens)
        return self.predictor.predict(self.depart_ns, down_bytes, work.compute_s, up_bytes, shares, work.tokens > 0)

    def joules(self, work: DeviceWork, shares: Floats | None = None) -> Joules:
        """See `Forecast.joules`."""
        self.powers.require(~np.isnan(self.radiated.byte_j), "policies")
        expected = self.predict(work, shares)
        tokens = np.maximum(work.tokens, 1)
        down_s, up_s = expected.down_s, expected.up_s
        sizes = (np.asarray(size, np.float64) for size in (self.wire.down_bytes(tokens), self.wire.up_bytes(tokens)))
        expected_j = self.radiated.expect(*sizes)
        radiated_j = self.powers.radiated(down_s, up_s, expected_j)
        return self.powers.joules(down_s, work.compute_s, up_s, radiated_j)


def _rows(parts: tuple[Part, ...]) -> tuple[tuple[int, int], ...]:
    return tuple((part.tokens, part.context) for part in parts)


def _unknown(device: int) -> LinkState:
    """Of a link before the first exchange."""
    return LinkState(device, connected=True)
