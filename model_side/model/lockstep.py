# SPDX-License-Identifier: Apache-2.0
"""Forward passes of one model side by side, which the base station serves as one.

Each request has a forward pass of its own, as if it were alone, in a greenlet: so its arithmetic is that of the model
on this request, bit for bit, whoever else is there. At each router a pass waits until all have come that far. Then the
base station sees the rows of all in one gate, decides and exchanges once, and each goes on with its own rows.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from greenlet import getcurrent, greenlet
from numpy.typing import NDArray
from torch import Tensor

from model_side.base_station import BaseStation
from model_side.element import Element
from model_side.model.moe import GateOutput, SplitModel
from model_side.model.wire import carried_by
from model_side.record_routing import gate_arrays
from model_side.routing import Gate, Indices


class Lockstep:
    """Runs forward passes of `split` over `base_station`; what devices are sent and send is rounded to `element`."""

    def __init__(self, split: SplitModel, base_station: BaseStation, element: Element = Element.OWN):
        self._split = split
        self._base_station = base_station
        self.placement = base_station.placement
        self.slot_devices: Indices = base_station.slot_devices
        """Where the slots of the pass that goes on were asked."""
        self._carry = carried_by(self, element, split.model.dtype)

    def run(self, passes: Sequence[Callable[[], Any]]) -> list[Any]:
        """What each of the passes returns, each a call of `split.forward`. Raises what the first to fail raises."""
        together = getcurrent()
        fibres = [greenlet(one) for one in passes]
        # One inference mode around all: the passes leave theirs in another order than they entered them.
        with torch.inference_mode(), self._split.routed(together.switch, self._carry):
            try:
                came = [fibre.switch() for fibre in fibres]
                while not fibres[0].dead:
                    answers = self._decide(came)
                    came = [self._go_on(*each) for each in zip(fibres, answers, strict=True)]
            finally:
                for fibre in fibres:
                    if fibre:  # it was begun, and waits at a router
                        fibre.throw()
        return came

    def _go_on(self, fibre: Any, answer: tuple[tuple[Tensor, Tensor], Indices]) -> Any:
        """Let a pass run to its next router, or its end."""
        routed, self.slot_devices = answer
        return fibre.switch(routed)

    def _decide(self, outputs: Sequence[GateOutput]) -> list[tuple[tuple[Tensor, Tensor], Indices]]:
        """For each of the passes its weights and experts, and where these were asked."""
        gates = [gate_arrays(output.logits, output.weights, output.indices) for output in outputs]
        first, bounds = outputs[0], np.cumsum([len(output.indices) for output in outputs])[:-1]
        gate = Gate(first.layer, first.logits.shape[1], *(_joined(parts) for parts in zip(*gates, strict=True)))
        weights, indices = self._base_station.route(gate)
        devices = np.split(self._base_station.slot_devices, bounds)
        if weights is gate.weights and indices is gate.indices:
            return [((output.weights, output.indices), at) for output, at in zip(outputs, devices, strict=True)]
        return [
            ((torch.from_numpy(each).to(output.weights), torch.from_numpy(which).to(output.indices)), at)
            for output, each, which, at in zip(
                outputs, np.split(weights, bounds), np.split(indices, bounds), devices, strict=True
            )
        ]


def _joined(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)
