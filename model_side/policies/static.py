# SPDX-License-Identifier: Apache-2.0
"""`static`: only some of the devices."""

from dataclasses import replace
from typing import Annotated, ClassVar

import numpy as np
from msgspec import Meta

from bridge.network import RequestError
from model_side.policies.policy import Policy
from model_side.selection import Layer, Selection


class Static(Policy):
    """Ask only some devices, always the same ones. A token none of whose experts is there is computed by none.

    `devices`: which ones, by number; where it is left out, all of them. An expert that several devices hold is asked on
    the quickest of these, one that none of them holds is left out.
    """

    name: ClassVar[str] = "static"
    formula: ClassVar[str] = "keep i if one of `devices` holds it"
    source: ClassVar[str] = "ours; a baseline that looks at no weight and no latency"

    devices: list[Annotated[int, Meta(ge=0)]] | None = None

    def __call__(self, layer: Layer) -> Selection:
        if self.devices is None:
            return layer.selection
        for device in self.devices:
            if device >= layer.devices:
                reason = f"device {device} is none of the devices 0 to {layer.devices - 1}"
                raise RequestError("policy.static.devices", reason)
        holds = np.zeros_like(layer.placement.holds)
        holds[:, self.devices] = layer.placement.holds[:, self.devices]
        is_held = np.append(holds.any(axis=1), False)
        left = layer.leave_out(is_held[layer.indices])
        if not layer.placement.is_replicated:
            return left
        quickest = np.where(holds, layer.prediction.seconds, np.inf).argmin(axis=1)
        return replace(left, devices=np.append(quickest, layer.devices)[left.indices])
