# SPDX-License-Identifier: Apache-2.0
"""What an expert-selection policy sees of a layer, and what it gives."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from bridge.network import LinkState, RequestError
from model_side.calibration import Calibration, NoTable
from model_side.energy import Joules
from model_side.placement import LayerPlacement
from model_side.prediction import Prediction
from model_side.routing import Floats, Gate, Indices, Mask, Missing, Probabilities, Weights, known


class Phase(StrEnum):
    """Prefill runs all tokens of a prompt at once, decode one token after the other; a mixed pass has rows of both."""

    PREFILL = "prefill"
    DECODE = "decode"
    MIXED = "mixed"


class Part(NamedTuple):
    """The rows of one request in a forward pass: `tokens` of them, the first of which stands at `position`."""

    phase: Phase
    request: int
    position: int
    tokens: int

    @property
    def context(self) -> int:
        """The tokens that its last row sees, itself among them."""
        return self.position + self.tokens


def phase_of(parts: Sequence[Part]) -> Phase:
    """The phase of a pass with these rows."""
    first, *others = {part.phase for part in parts}
    return Phase.MIXED if others else first


@dataclass(frozen=True, slots=True)
class Selection:
    """Which experts compute which tokens, on which devices, with what weight and what part of the band.

    `weights`, `indices` [N, k']: k' may be another than the model's k, experts any of the layer, and index E with
    weight 0 leaves a slot out. `devices` [N, k']: of each slot, D of one that is left out; None where each expert is
    asked on `Layer.device_of`. `shares` [D] of the band, summing to at most 1; None leaves it to the network's
    scheduler. Two slots of a token that name one expert on one device add up.
    """

    weights: Weights
    indices: Indices
    devices: Indices | None = None
    shares: Floats | None = None


@dataclass(frozen=True, slots=True)
class DeviceWork:
    """What is asked of the devices: distinct `tokens` [..., D] for each, and `compute_s` [..., D]."""

    tokens: NDArray[np.int64]
    compute_s: Floats


class Forecast(Protocol):
    """What the BS expects of the devices in a layer, whatever they are asked."""

    def work(self, selection: Selection) -> DeviceWork:
        """What a selection asks of the devices."""

    def compute_s(self, tokens_per_seat: NDArray[np.int64]) -> Floats:
        """Each device's computing [..., D] for so many tokens at each seat [..., P]."""

    def foresee(self, work: DeviceWork) -> Floats:
        """How long each device [D] will take for this work, departing now; inf of one that will not be done.

        Raises `RequestError` where that cannot be known, as of anything but a what-if.
        """

    def predict(self, work: DeviceWork, shares: Floats | None = None) -> Prediction:
        """How long devices would take for this work, departing now; one that gets nothing, as if for one token."""

    def joules(self, work: DeviceWork, shares: Floats | None = None) -> Joules:
        """Energy of the same transfers. Raises `RequestError` naming the figure without which it is not known."""


@dataclass(frozen=True)
class Layer:
    """One MoE layer of one forward pass of N tokens, as a policy sees it: E experts on D devices.

    `layers`: how many MoE layers there are; `gate.layer` says which this is. `request`, `position`: of the pass's first
    token; `parts`: whose rows there are, one request after the other. An exchange ends `deadline_s` after its
    departure. `links`: the latest that the BS knows of each device. `selection`: what was chosen so far, at first the
    model's own choice. `missing`: what becomes of the weight of experts that are left out. `own_work`: what the model's
    own choice asks of the devices, for who knows it already. `table`: the model's calibration, where a policy of the
    run needs it.
    """

    gate: Gate
    layers: int
    phase: Phase
    request: int
    position: int
    deadline_s: float
    placement: LayerPlacement
    links: Sequence[LinkState]
    missing: Missing
    forecast: Forecast
    selection: Selection
    own_work: DeviceWork | None = None
    table: Calibration | None = None
    parts: tuple[Part, ...] = ()

    @property
    def number(self) -> int:
        """Of the MoE layer, from 0."""
        return self.gate.layer

    @property
    def tokens(self) -> int:
        """N."""
        return len(self.gate.indices)

    @cached_property
    def rows(self) -> tuple[Part, ...]:
        """Whose rows there are, also where they are all of one request."""
        return self.parts or (Part(self.phase, self.request, self.position, self.tokens),)

    @cached_property
    def requests(self) -> NDArray[np.int64]:
        """The request [N] that each row belongs to."""
        return np.repeat([part.request for part in self.rows], [part.tokens for part in self.rows])

    @property
    def experts(self) -> int:
        """E, which also is the index of a slot that is left out."""
        return self.gate.experts

    @property
    def devices(self) -> int:
        """D, which also is the device of a slot that is left out."""
        return self.placement.devices

    @property
    def weights(self) -> Weights:
        """Those chosen so far [N, k']."""
        return self.selection.weights

    @property
    def indices(self) -> Indices:
        """The experts chosen so far [N, k']."""
        return self.selection.indices

    @property
    def probabilities(self) -> Probabilities:
        """Softmax of the router's logits [N, E]. Raises `RequestError` where it was not recorded."""
        return known(self.gate.probabilities)

    @property
    def scores(self) -> Weights:
        """By which the router ranks the experts [N, E]; in a recording, the logarithm of its probabilities."""
        if self.gate.scores is not None:
            return self.gate.scores
        return np.log(np.maximum(self.probabilities, np.finfo(np.float32).tiny))

    @property
    def calibration(self) -> Calibration:
        """What was measured of the model before; this layer's is at `number`. Raises `NoTable` if nothing was."""
        if self.table is None:
            raise NoTable("a table of the model is needed here; say so in needs_calibration")
        return self.table

    @cached_property
    def device_of(self) -> Indices:
        """The device [E] on which each expert is asked if nobody says otherwise: the quickest one that holds it."""
        if not self.placement.is_replicated:
            return self.placement.device_of
        none = np.zeros(self.devices, dtype=np.int64)
        idle_s = self.forecast.predict(DeviceWork(none, none.astype(np.float64))).seconds
        return np.asarray(np.where(self.placement.holds, idle_s, np.inf).argmin(axis=1), dtype=np.int64)

    @cached_property
    def slot_devices(self) -> Indices:
        """The device [N, k'] of each slot chosen so far."""
        if self.selection.devices is not None:
            return self.selection.devices
        return self.placement.slot_devices(self.indices, self.device_of)

    @cached_property
    def work(self) -> DeviceWork:
        """What is asked of the devices so far."""
        if self.own_work is not None and self.indices is self.gate.indices:
            return self.own_work
        return self.forecast.work(replace(self.selection, devices=self.slot_devices))

    @cached_property
    def prediction(self) -> Prediction:
        """What is expected of the devices so far; of one that is not asked, as if it got one token."""
        return self.forecast.predict(self.work, self.selection.shares)

    @cached_property
    def joules(self) -> Joules:
        """Energy of the same; raises `RequestError` naming the figure without which it is not known."""
        return self.forecast.joules(self.work, self.selection.shares)

    @cached_property
    def latency_s(self) -> Floats:
        """What is expected [N, k'] of each slot's device so far, in seconds; inf of one that is left out."""
        return np.append(self.prediction.seconds, np.inf)[self.slot_devices]

    def leave_out(self, keep: Mask) -> Selection:
        """Of what was chosen so far only the slots in `keep` [N, k']; the others' weight goes as the run says."""
        weights, indices = self.missing.leave_out(self.gate, self.weights, self.indices, keep)
        devices = self.selection.devices
        if devices is not None:
            devices = np.where(indices == self.experts, self.devices, devices)
        return replace(self.selection, weights=weights, indices=indices, devices=devices)

    def after(self, selection: Selection) -> "Layer":
        """The same layer for the next step, when this was chosen."""
        return self if selection is self.selection else replace(self, selection=selection)


def check(selection: Selection, layer: Layer, policy: str) -> None:
    """Raise `RequestError` naming the policy for a selection that no layer could have."""
    faults = (
        [f"gave a {type(selection).__name__}; give a Selection, as Layer.leave_out makes"]
        if not isinstance(selection, Selection)
        else _of_arrays(selection, layer) or [*_of_devices(selection, layer), *_of_shares(selection, layer)]
    )
    if faults:
        raise RequestError(f"policy.{policy}", f"layer {layer.number}: {faults[0]}")


def _of_arrays(selection: Selection, layer: Layer) -> list[str]:
    weights, indices = selection.weights, selection.indices
    for name, array in (("weights", weights), ("indices", indices)):
        if not isinstance(array, np.ndarray) or array.ndim != 2 or len(array) != layer.tokens:
            return [f"{name} are no array [{layer.tokens}, k]"]
    if weights.shape != indices.shape:
        return [f"weights {list(weights.shape)} and indices {list(indices.shape)} differ in shape"]
    if weights.dtype.kind != "f" or indices.dtype.kind not in "iu":
        return [f"weights are {weights.dtype} and indices {indices.dtype}; give floats and integers"]
    return _of_values(weights, indices, layer.experts)


def _of_values(weights: Weights, indices: Indices, experts: int) -> list[str]:
    if not np.isfinite(weights).all() or (weights < 0).any():
        return ["weights are finite and not negative; some are not"]
    if indices.size and not (indices.min() >= 0 and indices.max() <= experts):
        return [f"indices are 0 to {experts - 1}, or {experts} for a slot that is left out; some are not"]
    if (weights[indices == experts] != 0).any():
        return ["a slot that is left out weighs 0; some do not"]
    return []


def _of_devices(selection: Selection, layer: Layer) -> list[str]:
    indices, devices = selection.indices, selection.devices
    if devices is None:
        return []
    if devices.shape != indices.shape or devices.dtype.kind not in "iu":
        return [f"devices are no integers of the shape of indices, {list(indices.shape)}"]
    held = np.pad(layer.placement.holds, ((0, 1), (0, 1)))
    held[layer.experts, layer.devices] = True
    if (devices < 0).any() or (devices > layer.devices).any() or not held[indices, devices].all():
        return ["some devices do not hold the expert that they are asked for"]
    return []


def _of_shares(selection: Selection, layer: Layer) -> list[str]:
    shares = selection.shares
    if shares is None:
        return []
    fits = isinstance(shares, np.ndarray) and shares.shape == (layer.devices,) and np.isfinite(shares).all()
    if not fits or (shares < 0).any() or shares.sum() > 1 + 1e-9:
        return [f"shares are {layer.devices} figures, not negative, summing to at most 1; they are not"]
    return []
