# SPDX-License-Identifier: Apache-2.0
"""`lookahead`: a layer's last device early, and quality spent where it buys most time."""

import os
from dataclasses import replace
from typing import Annotated, ClassVar

import numpy as np
from msgspec import Meta

from model_side.policies.policy import Policy
from model_side.routing import Floats, Indices
from model_side.selection import DeviceWork, Layer, Phase, Selection

STEPS = 24
PRICES_S = np.geomspace(1e-6, 1e3, 91)
CARRIED = 64.0  # tokens' worth of nats at most

_C = np.load("/tmp/proto/cal.npz") if os.path.exists("/tmp/proto/cal.npz") else None


class Lookahead(Policy):
    name: ClassVar[str] = "lookahead"
    formula: ClassVar[str] = "min T + price * nats"
    source: ClassVar[str] = "ours"

    loss_nats: Annotated[float, Meta(ge=0)] = 0.01
    curvature: str = "small"
    project: bool = True
    step: float = 0.05
    blur: float = 0.02

    def __post_init__(self) -> None:
        self._left = dict.fromkeys(Phase, 0.0)
        self._seen: dict[tuple[Phase, int], Floats] = {}

    def _table(self, number: int):
        norm, ip, out = _C["norm"][number], _C["ip"][number], _C["out"][number]
        curv = _C["full"][number] / out if self.curvature == "full" else _C["small"][number]
        self_norm = norm.diagonal()[:, None]
        if self.project:
            gain = np.clip(ip / norm, 0, None)
            err = self_norm - np.clip(ip, 0, None) ** 2 / norm
        else:
            gain = np.ones_like(norm)
            err = self_norm + norm - 2 * ip
        np.fill_diagonal(err, 0)
        np.fill_diagonal(gain, 1)
        experts = len(norm)
        harm = np.column_stack([err, self_norm[:, 0]]) * curv
        gain = np.column_stack([gain, np.zeros(experts)])
        nearest = np.argsort(err, axis=1, kind="stable")
        better = np.take_along_axis(err, nearest, axis=1) < self_norm
        nearest = np.where(better, nearest, experts)
        return harm, gain, nearest

    def __call__(self, layer: Layer) -> Selection:
        from model_side.policies.relief import Slots, Stand, counted, move

        if layer.number == 0:
            self._left[layer.phase] = min(self._left[layer.phase], CARRIED * self.loss_nats) + self.loss_nats * layer.tokens
        harm, gain, nearest = self._table(layer.number)
        placement = layer.placement
        seat_from = np.searchsorted(placement.seat_expert, np.arange(layer.experts + 1))
        stand = Stand(nearest, harm, seat_from, placement.seat_device)
        weights = layer.weights.astype(np.float64)
        own = np.ascontiguousarray(layer.indices)
        devices = np.ascontiguousarray(layer.slot_devices)
        slots = Slots(own, weights**2, own.copy(), devices.copy(), np.zeros(own.shape))
        now = layer.prediction
        worth = 1 - now.vain_s / now.seconds
        load, seats = layer.work.tokens, None
        compute_s = layer.work.compute_s
        plans, seconds, nats = [], [], []
        price_s = None
        for _ in range(STEPS):
            each_s, gain_s = self._gain(layer, load, compute_s)
            last_s = each_s[load > 0].max(initial=0)
            plans.append((slots.expert.copy(), slots.device.copy()))
            seconds.append(last_s)
            nats.append(slots.harm.sum())
            if price_s is None:
                price_s = last_s / max(self.loss_nats * layer.tokens, 1e-12)
            price = move(stand, slots, worth, gain_s, price_s, self.step * last_s)
            if price == 0:
                break
            price_s = price
            load, of_seat = counted(slots, placement.seat_of, len(placement.seat_device), layer.devices)
            compute_s = layer.forecast.compute_s(of_seat)
        pick = self._choose(layer, np.array(seconds), np.array(nats))
        experts, at = plans[pick]
        if (at == devices).all():
            return layer.selection
        scale = np.pad(gain, ((0, 1), (0, 0)))[own, experts]
        return replace(
            layer.selection,
            weights=(weights * scale).astype(layer.weights.dtype),
            indices=experts,
            devices=at,
        )

    def _gain(self, layer: Layer, load: Indices, compute_s: Floats) -> tuple[Floats, Floats]:
        """When each device is done [D], and how much earlier the last one is for a token less on each [D]."""
        devices = len(load)
        less = np.maximum(load // 16, 1)
        loads = np.tile(load, (devices + 1, 1))
        spread = np.tile(compute_s, (devices + 1, 1))
        each = np.arange(devices)
        # of a device that has none: how much later for a token more
        sign = np.where(load > 0, -1, 1)
        loads[each, each] += sign * less
        one = layer.forecast.compute_s(np.ones(len(layer.placement.seat_device), np.int64))
        spread[each, each] = np.where(load > 0, compute_s * (1 - 0.0), one)
        seconds = layer.forecast.predict(DeviceWork(loads, spread)).seconds
        seconds[:-1][each, each] = np.where(loads[each, each] > 0, seconds[:-1][each, each], 0)
        now = seconds[-1]
        asked = np.where(load > 0, now, 0)
        last = asked.max()
        near = np.exp((asked - last) / (self.blur * max(last, 1e-12)))
        near /= near.sum()
        moved = (asked[None] - np.where(loads[:-1] > 0, seconds[:-1], 0)) * -sign[:, None]
        gain = (moved * near).sum(axis=1) / less
        fresh = load == 0
        if fresh.any():
            # a device that nobody asks: it costs what it is over the last
            alone = seconds[:-1][each, each]
            gain = np.where(fresh, np.maximum(gain, np.where(alone > last, alone - last, 0)), gain)
        return now, np.maximum(gain, 0)

    def _choose(self, layer: Layer, seconds: Floats, nats: Floats) -> int:
        picks = (seconds[:, None] + nats[:, None] * PRICES_S).argmin(axis=0)
        spent = nats[picks]
        per_token = spent / layer.tokens
        phase = layer.phase
        coming = sum((self._seen.get((phase, n), per_token) for n in range(layer.number + 1, layer.layers)), np.zeros(len(PRICES_S)))
        self._seen[phase, layer.number] = per_token
        fits = spent + coming * layer.tokens <= self._left[phase] + 1e-12
        price = int(fits.argmax()) if fits.any() else len(PRICES_S) - 1
        pick = int(picks[price])
        self._left[phase] -= nats[pick]
        return pick
