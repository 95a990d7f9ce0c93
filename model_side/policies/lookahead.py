# SPDX-License-Identifier: Apache-2.0
"""`lookahead`: the last device early, at a price in quality that is the same in all layers."""

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, NamedTuple

import numpy as np
from msgspec import Meta

from model_side.calibration import Calibration
from model_side.placement import Counts
from model_side.policies.policy import Policy
from model_side.policies.purse import Purse
from model_side.routing import Floats, Indices
from model_side.selection import DeviceWork, Layer, Phase, Selection

if TYPE_CHECKING:
    from model_side.policies.relief import StandIns

MOST_PLANS = 24
STEP = 0.05  # part of the layer's time that a plan is to gain on the one before it
EPOCH = 8  # plans for which what is best done with each slot is taken to be the same
FEW, FEW_PLANS = 32, 8  # tokens for which it is not, and plans for these
LEAST = 1e-9
STUCK = 4.0  # times as much is gained for each token if a device gets none as for one token less
BLUR = 0.02  # part of the layer's time within which devices count as equally late


class Plan(NamedTuple):
    """Where slots [N, k] would be, when the last device would be done, and what it costs in all."""

    experts: Indices
    devices: Indices
    seconds: float
    nats: float


class Lookahead(Policy):
    """Move slots away from where they keep a layer waiting: to another device that holds the expert, to another
    expert, or nowhere, whatever does the least harm for the time that it gains.

    The harm of giving expert j a slot of expert i is that of the best weight for it, and is known in the mean of a
    calibration: with a = <f_i, f_j> / |f_j|^2 what remains is w^2 (|f_i|^2 - a^2 |f_j|^2), and of nothing in its place
    w^2 |f_i|^2. So many nats does that cost, times the layer's curvature; several errors add up as if they were
    independent. From the choice so far step by step to ever less time: each step moves what gains most, by the
    derivative of the time at which the last device is expected to be done, with all that share a band. Slots on a
    device that was waited for in vain cost little, since they may not come anyway.

    Which step is taken, a purse of nats decides that all layers of a pass share: see `model_side.policies.purse`.
    Prefill and decode have one each. Shares of the band are no part of it: a scheduler gives to others what one leaves
    idle, shares do not.

    `loss_nats`: so many nats may the model's answers be off, a token, by the calibration. 0.01 are 1 % of perplexity,
    in the mean over text of the model's own.
    """

    name: ClassVar[str] = "lookahead"
    formula: ClassVar[str] = "min sum_l max_d t_d(x_l) with sum_l curvature_l sum_slots w^2 harm_l(i, x) <= loss_nats N"
    source: ClassVar[str] = (
        "ours. Substitutes within a budget of error are SiftMoE's idea (arXiv 2603.23888), the device that ends the "
        "layer WDMoE's (arXiv 2411.06681); both were seen in notes of others. Weights that err least, the derivative "
        "and the price over layers are ours."
    )
    needs_calibration: ClassVar[Literal["", "routing", "outputs"]] = "outputs"

    loss_nats: Annotated[float, Meta(ge=0)] = 0.01

    def __post_init__(self) -> None:
        self._purses = {phase: Purse(self.loss_nats) for phase in Phase}
        self._tables: dict[int, tuple[StandIns, Floats]] = {}

    def __call__(self, layer: Layer) -> Selection:
        if not layer.tokens:
            return layer.selection
        purse = self._purses[layer.phase]
        if layer.number == 0:
            purse.begin(layer.tokens)
        plans = self._plans(layer, purse.left_nats)
        seconds, nats = (np.array([getattr(plan, part) for plan in plans]) for part in ("seconds", "nats"))
        plan = plans[purse.choose(layer.number, layer.layers, seconds, nats)]
        if plan is plans[0]:
            return layer.selection
        _, gain = self._table(layer)
        weights = np.multiply(layer.weights, gain[layer.indices, plan.experts], dtype=layer.weights.dtype)
        return replace(layer.selection, weights=weights, indices=plan.experts, devices=plan.devices)

    def _plans(self, layer: Layer, most_nats: float) -> list[Plan]:
        """From what was chosen so far to ever less time, as long as it can be paid."""
        from model_side.policies.relief import Slots, move, visits_of  # noqa: PLC0415  (numba takes a while to load)

        stand_ins, _ = self._table(layer)
        placement = layer.placement
        experts, devices = layer.indices.copy(), layer.slot_devices.copy()
        slots = Slots(
            layer.indices,
            layer.weights.astype(np.float64) ** 2,
            experts,
            devices,
            np.zeros(experts.shape),
            np.append(layer.work.tokens, 0),
            np.append(placement.tokens_per_seat(experts, devices), 0),
            placement.seat_of,
        )
        worth = self._worth(layer)
        plans: list[Plan] = []
        price_s = 0.0
        is_few = layer.tokens < FEW
        while len(plans) < (FEW_PLANS if is_few else MOST_PLANS):
            last_s, gain_s, wanted_s = self._gain(layer, slots.load[:-1], slots.of_seat[:-1])
            nats = float(slots.harm.sum())
            if nats > most_nats:
                break
            plans.append(Plan(experts.copy(), devices.copy(), last_s, nats))
            if (len(plans) - 1) % EPOCH == 0 or is_few:
                visits = visits_of(
                    stand_ins, slots, worth, layer.prediction.seconds, gain_s, price_s or last_s / max(most_nats, LEAST)
                )
            price_s = move(stand_ins, slots, visits, worth, gain_s, wanted_s)
            if price_s == 0:
                break
        return plans

    def _gain(self, layer: Layer, load: Counts, of_seat: Counts) -> tuple[float, Floats, float]:
        """When the last device is done; how much earlier for each token less on each [D + 1], by how much later for
        one more where there is none; and how much of that to gain next.

        Devices that are nearly last count as last. What a device takes however little it gets, as one that was waited
        for in vain, is only gained when it gets nothing: then the last one is to lose all, and each token its part.
        """
        devices, each = layer.devices, np.arange(layer.devices)
        held = layer.placement.holds.sum(axis=0)
        of_one = np.ones_like(of_seat)
        one_s, compute_s, less_s = layer.forecast.compute_s(np.stack([of_one, of_seat, of_seat - of_seat // 16]))
        change = np.where(load > 0, -np.maximum(load // 16, 1), 1)
        loads, computes = np.tile(load, (2 * devices + 1, 1)), np.tile(compute_s, (2 * devices + 1, 1))
        loads[each, each] += change
        computes[each, each] = np.where(load > 0, less_s, one_s / np.maximum(held, 1))
        loads[devices + each, each] = computes[devices + each, each] = 0
        done_s = np.where(loads > 0, self._seconds(layer, DeviceWork(loads, computes)), 0)
        latest_s = done_s.max(axis=1)
        last, last_s = int(done_s[-1].argmax()), float(latest_s[-1])
        blur_s = BLUR * max(last_s, LEAST)
        smooth_s = latest_s + blur_s * np.log(np.exp((done_s - latest_s[:, None]) / blur_s).sum(axis=1))
        by_one_s = (smooth_s[:devices] - smooth_s[-1]) / change
        by_all_s = np.where(load > 0, smooth_s[-1] - smooth_s[devices:-1], 0) / np.maximum(load, 1)
        is_stuck = by_all_s > STUCK * by_one_s
        wanted_s = by_all_s[last] * (load[last] - 0.5) if is_stuck[last] else STEP * last_s
        return last_s, np.append(np.maximum(np.where(is_stuck, by_all_s, by_one_s), 0), 0), float(wanted_s)

    def _seconds(self, layer: Layer, work: DeviceWork) -> Floats:
        """When each device would be done with work [..., D]."""
        return layer.forecast.predict(work).seconds

    def _worth(self, layer: Layer) -> Floats:
        """Which part of what is asked of each device [D] may be expected to come."""
        return 1 - layer.prediction.vain_s / layer.prediction.seconds

    def _table(self, layer: Layer) -> "tuple[StandIns, Floats]":
        """What may stand in for what in this layer, and with which weight [E + 1, E + 1]."""
        if layer.number not in self._tables:
            self._tables[layer.number] = _table(layer.calibration, layer)
        return self._tables[layer.number]


def _table(calibration: Calibration, layer: Layer) -> "tuple[StandIns, Floats]":
    from model_side.policies.relief import StandIns  # noqa: PLC0415  (numba)

    number, experts = layer.number, layer.experts
    away, of_other = calibration.distance[number] ** 2, calibration.norm[number] ** 2
    nothing = away[:, -1:]
    along = np.maximum((nothing + of_other - away[:, :-1]) / 2, 0)
    gain = np.divide(along, of_other, out=np.zeros_like(along), where=of_other > 0)
    error = np.maximum(nothing - gain * along, 0)
    np.fill_diagonal(gain, 1)
    np.fill_diagonal(error, 0)
    nearest = np.argsort(error, axis=1, kind="stable")
    nearest[np.take_along_axis(error, nearest, axis=1) >= nothing] = experts
    np.put_along_axis(nearest, np.zeros((experts, 1), dtype=np.int64), np.arange(experts)[:, None], axis=1)
    seats = layer.placement.seat_expert
    stand_ins = StandIns(
        nearest,
        np.hstack([error, nothing]) * calibration.curvature[number],
        np.searchsorted(seats, np.arange(experts + 1)),
        layer.placement.seat_device,
    )
    return stand_ins, np.pad(gain, (0, 1)).astype(np.float32)
