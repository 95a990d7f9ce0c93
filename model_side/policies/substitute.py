# SPDX-License-Identifier: Apache-2.0
"""`substitute`: experts on dear devices replaced by similar ones on cheap devices, or by nothing."""

from typing import Annotated, ClassVar, Literal

import numpy as np
from msgspec import Meta

from model_side.calibration import Calibration
from model_side.policies.policy import Policy
from model_side.routing import Floats
from model_side.selection import DeviceWork, Layer, Selection


class Substitute(Policy):
    """Replace experts by others of the layer, or by nothing, where that relieves the devices and changes little.

    What it changes is bounded, token by token, by the calibration: each slot that is replaced counts its weight times
    the distance of the two experts' outputs, or of the one to nothing, and together they may come to so much of what
    the layer's experts usually add. Weights stay: the substitute weighs what the expert did, and with nothing the sum
    is smaller, whatever `exchange.missing` says. A token's heaviest expert is never replaced by nothing. Each device is
    taken to need a fixed time and one for each token. Tokens choose one after the other, twice round (once if they are
    more than 2,048), by the loads as they are then, what makes the sum of squares of all devices' seconds least, so
    that the slowest device counts most, and none that would end later than the layer does anyway. For up to two experts
    a token the choice is the best that it has, for more that of a search that empties one of its devices after another.
    If in the end the prediction says that the layer would end no sooner, nothing is replaced.

    `eps`: how much may change, relatively: the bound over the root mean square of what the layer's experts add.

    `by_cost`: whether a layer in which the same change costs more nats may change less, so that each may cost the same
    by the calibration's curvature; `eps` then is that of a layer of the mean cost.
    """

    name: ClassVar[str] = "substitute"
    formula: ClassVar[str] = (
        "min_phi sum_d T_d^2 with sum_i w_i Delta_l(i, phi(i)) <= eps_l |y_l|, no T_d above the own choice's last"
    )
    source: ClassVar[str] = (
        "SiftMoE (arXiv 2603.23888). Its abstract was seen; maps, bound and table in notes of others. There it is the "
        "mean distance and the least energy before a deadline, and layers share a budget by how errors grow; the root "
        "mean square, the squares of predicted seconds, eps_l by curvature and the search are ours."
    )
    needs_calibration: ClassVar[Literal["", "routing", "outputs"]] = "outputs"

    eps: Annotated[float, Meta(ge=0)] = 0.1
    by_cost: bool = True

    def __call__(self, layer: Layer) -> Selection:
        from model_side.policies.replacing import Loads, nearest, replace  # noqa: PLC0415  (numba takes a while to load)

        table, number = layer.calibration, layer.number
        own_s = layer.prediction.seconds[layer.work.tokens > 0].max(initial=0)
        fixed_s, token_s = _lines(layer)
        loads = Loads(fixed_s, token_s, layer.work.tokens.copy(), np.zeros(layer.devices), np.array([own_s]))
        near = nearest(table.distance[number], layer.device_of, layer.devices)
        weights = layer.weights.astype(np.float64)
        budgets = np.full(layer.tokens, self._eps(table, number) * table.output_norm[number])
        given = (np.ascontiguousarray(part, dtype=np.int64) for part in (layer.indices, layer.slot_devices))
        indices, devices = replace(weights, *given, near, budgets, loads)
        if (indices == layer.indices).all():
            return layer.selection
        chosen = Selection(np.where(indices < layer.experts, layer.weights, 0), indices, devices)
        after = layer.after(chosen)
        return chosen if after.prediction.seconds[after.work.tokens > 0].max() < own_s else layer.selection

    def _eps(self, table: Calibration, number: int) -> float:
        """eps_l."""
        cost = table.curvature * table.output_norm**2
        return self.eps * float(np.sqrt(cost.mean() / cost[number])) if self.by_cost and cost[number] > 0 else self.eps


def _lines(layer: Layer) -> tuple[Floats, Floats]:
    """Each device's fixed seconds and seconds a token [D], from what is expected of its load and of twice that."""
    placement, work = layer.placement, layer.work
    seats = placement.tokens_per_seat(layer.indices, layer.slot_devices)
    idle = np.flatnonzero(work.tokens == 0)
    first = [int((placement.seat_device == device).argmax()) for device in idle if placement.holds[:, device].any()]
    seats[first] = 1
    tokens = np.maximum(work.tokens, 1)
    once = layer.forecast.predict(DeviceWork(work.tokens, layer.forecast.compute_s(seats))).seconds
    twice = layer.forecast.predict(DeviceWork(2 * tokens, layer.forecast.compute_s(2 * seats))).seconds
    token_s = np.clip((twice - once) / tokens, 0, once / tokens)
    return np.asarray(once - token_s * tokens), np.asarray(token_s)
