# SPDX-License-Identifier: Apache-2.0
"""Which device holds which expert, and what a layer's routing means for each device."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from bridge.network import RequestError

ROUND_ROBIN = "round-robin"
FIELD = "placement.experts"


@dataclass(frozen=True)
class Placement:
    """`device_of` [E] is the device of each expert, `devices` how many devices there are.

    Routings are arrays [N, k] of expert indices, in which E stands for a slot that is left out.
    """

    device_of: NDArray[np.int64]
    devices: int

    @property
    def experts(self) -> int:
        """The number of experts, E."""
        return len(self.device_of)

    def slot_devices(self, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        """The device of each slot [N, k]; `devices` stands for a slot that is left out."""
        return np.asarray(self._of_slot[indices])

    @cached_property
    def _of_slot(self) -> NDArray[np.int64]:
        return np.append(self.device_of, self.devices)

    def tokens_per_device(
        self, indices: NDArray[np.int64], starts: NDArray[np.int64] | None = None
    ) -> NDArray[np.int64]:
        """How many distinct tokens each device receives [D].

        A token that needs several experts of one device is sent to it once, and the device sends back one
        combined vector. With `starts` `indices` holds the rows of X layers, those of layer x from `starts[x]`
        on and at least one, and the result is [X, D].
        """
        needs = np.zeros((len(indices), self.devices + 1), dtype=bool)
        np.put_along_axis(needs, self.slot_devices(indices), True, axis=1)
        if starts is not None:
            return np.asarray(np.add.reduceat(needs[:, : self.devices], starts, axis=0, dtype=np.int64))
        tokens: NDArray[np.int64] = needs[:, : self.devices].sum(axis=0)
        return tokens

    def tokens_per_expert(
        self, indices: NDArray[np.int64], starts: NDArray[np.int64] | None = None
    ) -> NDArray[np.int64]:
        """How many tokens each expert computes [E], or [X, E] as in `tokens_per_device`."""
        if starts is None:
            return np.bincount(indices.ravel(), minlength=self.experts + 1)[: self.experts]
        slots = self.experts + 1
        layer = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(indices)))
        counts = np.bincount((layer[:, None] * slots + indices).ravel(), minlength=len(starts) * slots)
        return counts.reshape(-1, slots)[:, : self.experts]


def place(experts: int, devices: int, where: str | Sequence[int] = ROUND_ROBIN) -> Placement:
    """Put `experts` on `devices`: expert e on device e modulo `devices`, or on device `where[e]`.

    Raises `RequestError` naming the entry for an unknown rule, a list that does not name one device for
    each expert, and a device that does not exist.
    """
    if isinstance(where, str):
        if where != ROUND_ROBIN:
            raise RequestError(FIELD, f"{where!r} is neither {ROUND_ROBIN!r} nor a list of devices")
        return Placement(np.arange(experts) % devices, devices)
    if len(where) != experts:
        raise RequestError(FIELD, f"names {len(where)} devices for {experts} experts; name one for each expert")
    for expert, device in enumerate(where):
        if not 0 <= device < devices:
            raise RequestError(f"{FIELD}[{expert}]", f"device {device} is none of the devices 0 to {devices - 1}")
    return Placement(np.array(where, dtype=np.int64), devices)
