# SPDX-License-Identifier: Apache-2.0
"""`wdmoe-testbed`: relieve the device that ends the layer."""

import math
from typing import Annotated, ClassVar

import numpy as np
from msgspec import Meta

from bridge.network import NS_PER_S, Status
from model_side.exchange import LayerExchange
from model_side.policies.choosing import heaviest, of_totals
from model_side.policies.policy import Policy
from model_side.routing import Floats
from model_side.selection import Layer, Selection


class WdmoeTestbed(Policy):
    """Leave out the lightest slots of the device that would end the layer, until another one ends it, and so on.

    A device is expected to take its tokens times the mean that it took for one so far; before it ever took any, what
    is predicted of it. In each round the device expected to end last loses tokens, those first whose experts there
    weigh least, until it would end no later than the second to last. A token's heaviest expert, so its only one too,
    always stays. The rounds end when nothing more may go, and if the layer would end no sooner then, all stay.

    `most_iterations`: rounds at most.

    `most_weight`: a token is not taken from a device where its experts weigh more than this share of its total.

    `memory`: what one exchange leaves of the weight of those before it in a device's mean; 1 is the plain mean.
    """

    name: ClassVar[str] = "wdmoe-testbed"
    formula: ClassVar[str] = "d* = argmax_d h_d n_d: drop its lightest tokens until h_d* n_d* <= max_(d != d*) h_d n_d"
    source: ClassVar[str] = (
        "a reconstruction of what WDMoE (arXiv 2411.06681) runs on its testbed, which could not be read. Seen: that "
        "there is a testbed of Jetson kits. From memory: history and bottleneck. The loop and its limits are ours, "
        "equal to the straggler rule of CAEE (arXiv 2606.29982, seen in notes of others) in that only the device that "
        "ends the layer loses slots."
    )

    most_iterations: Annotated[int, Meta(ge=0)] = 10
    most_weight: Annotated[float, Meta(ge=0, le=1)] = 0.5
    memory: Annotated[float, Meta(ge=0, le=1)] = 1.0

    def __post_init__(self) -> None:
        self._total_s: dict[int, float] = {}
        self._count: dict[int, float] = {}

    def __call__(self, layer: Layer) -> Selection:
        token_s = self._token_s(layer)
        devices = layer.slot_devices
        share = of_totals(layer.weights)
        best_device = devices[heaviest(layer.weights)]
        keep = np.ones(share.shape, dtype=bool)
        tokens = layer.work.tokens.astype(np.float64)
        for _ in range(self.most_iterations):
            last = int((token_s * tokens).argmax())
            second_s = np.delete(token_s * tokens, last).max(initial=0)
            on = keep & (devices == last)
            weight = np.where(on, share, 0).sum(axis=1)
            may_go = np.flatnonzero(on.any(axis=1) & (best_device != last) & (weight <= self.most_weight))
            surplus = math.ceil(tokens[last] - second_s / token_s[last] - 1e-9)
            go = may_go[np.argsort(weight[may_go], kind="stable")[:surplus]]
            if surplus <= 0 or not len(go):
                break
            keep[go] &= devices[go] != last
            tokens[last] -= len(go)
        is_sooner = (token_s * tokens).max(initial=0) < (token_s * layer.work.tokens).max(initial=0)
        return layer.leave_out(keep) if is_sooner else layer.selection

    def _token_s(self, layer: Layer) -> Floats:
        """What one token is expected to take on each device [D], in seconds."""
        token_s = layer.prediction.seconds / np.maximum(layer.work.tokens, 1)
        for device, count in self._count.items():
            token_s[device] = self._total_s[device] / count
        return token_s

    def observe(self, exchange: LayerExchange) -> None:
        """Move the means of the devices that were asked; one whose answer is missing took until it was given up."""
        for transfer in exchange.outcome.transfers:
            end_ns = exchange.outcome.now_ns
            if transfer.status is Status.DONE and transfer.uplink_end_ns is not None:
                end_ns = transfer.uplink_end_ns
            elif transfer.status is Status.UNREACHABLE:
                end_ns = exchange.deadline_ns
            device = transfer.device
            took_s = (end_ns - exchange.depart_ns) / NS_PER_S / int(exchange.work.tokens[device])
            self._total_s[device] = self.memory * self._total_s.get(device, 0) + max(took_s, 1e-9)
            self._count[device] = self.memory * self._count.get(device, 0) + 1
