# SPDX-License-Identifier: Apache-2.0
"""Which devices hold which expert in each MoE layer, and what a layer's routing means for each device."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from bridge.network import RequestError
from model_side.routing import Indices, Mask

ROUND_ROBIN = "round-robin"
FIELD = "placement.experts"
LAYERS = "placement.layers"

Where = int | Sequence[int]
"""The device of an expert, or those of its replicas."""
Counts = NDArray[np.int64]


@dataclass(frozen=True)
class LayerPlacement:
    """The devices of one MoE layer's experts: `holds` [E, D], each expert on at least one device.

    A *seat* is an expert on a device; the P seats are in order of expert, then device. Without replicas seat and expert
    are the same number. Routings are arrays [N, k] of expert indices, in which E stands for a slot that is left out,
    and of each slot's device, in which D does.
    """

    holds: Mask

    @property
    def experts(self) -> int:
        """The number of experts, E."""
        return int(self.holds.shape[0])

    @property
    def devices(self) -> int:
        """The number of devices, D."""
        return int(self.holds.shape[1])

    @cached_property
    def is_replicated(self) -> bool:
        """Whether any expert is on several devices."""
        return bool((self.holds.sum(axis=1) > 1).any())

    @cached_property
    def device_of(self) -> Indices:
        """The device of each expert [E]; the first one that holds it, where there are several."""
        return np.asarray(self.holds.argmax(axis=1), dtype=np.int64)

    @cached_property
    def seat_device(self) -> Indices:
        """The device of each seat [P]."""
        return np.asarray(np.nonzero(self.holds)[1], dtype=np.int64)

    @cached_property
    def seat_expert(self) -> Indices:
        """The expert of each seat [P]."""
        return np.asarray(np.nonzero(self.holds)[0], dtype=np.int64)

    @cached_property
    def seat_of(self) -> Indices:
        """The seat of an expert on a device [E + 1, D + 1]; P where that is none, or the slot is left out."""
        seats = np.full((self.experts + 1, self.devices + 1), len(self.seat_device), dtype=np.int64)
        seats[self.seat_expert, self.seat_device] = np.arange(len(self.seat_device))
        return seats

    def slot_devices(self, indices: Indices, device_of: Indices | None = None) -> Indices:
        """The device of each slot [N, k], by `device_of` [E] if the experts are not where they are first."""
        of_slot = np.append(self.device_of if device_of is None else device_of, self.devices)
        return np.asarray(of_slot[indices])

    def tokens_per_device(self, slot_devices: Indices) -> Counts:
        """How many distinct tokens each device receives [D].

        A token that needs several experts of one device is sent to it once, and the device sends back one combined
        vector.
        """
        return np.asarray(_needs(slot_devices, self.devices).sum(axis=0), dtype=np.int64)

    def tokens_per_seat(self, indices: Indices, slot_devices: Indices) -> Counts:
        """How many tokens are computed at each seat [P]."""
        seats = len(self.seat_device)
        if not self.is_replicated:
            return np.bincount(indices.ravel(), minlength=seats + 1)[:seats]
        return np.bincount(self.seat_of[indices, slot_devices].ravel(), minlength=seats + 1)[:seats]


@dataclass(frozen=True)
class Placement:
    """Which devices hold which experts: `layers` has each MoE layer's own."""

    layers: tuple[LayerPlacement, ...]

    @property
    def experts(self) -> int:
        """The number of experts of a layer, E."""
        return self.layers[0].experts

    @property
    def devices(self) -> int:
        """The number of devices, D."""
        return self.layers[0].devices

    @cached_property
    def is_replicated(self) -> bool:
        """Whether any expert of any layer is on several devices."""
        return any(layer.is_replicated for layer in self.layers)

    @cached_property
    def device_of(self) -> Indices:
        """The first device of each layer's experts [L, E]."""
        return np.stack([layer.device_of for layer in self.layers])

    def held(self) -> list[list[int]] | list[list[list[int]]]:
        """The experts that each device holds; in each layer, if layers differ."""
        by_layer = [[np.flatnonzero(held).tolist() for held in layer.holds.T] for layer in self.layers]
        if all(each == by_layer[0] for each in by_layer):
            return by_layer[0]
        return [list(each) for each in zip(*by_layer, strict=True)]

    def beside(self, others: int) -> "Placement":
        """The same with so many more devices behind these, which hold none."""
        if not others:
            return self
        return Placement(tuple(LayerPlacement(np.pad(layer.holds, ((0, 0), (0, others)))) for layer in self.layers))

    def work(self, indices: Indices, starts: Counts, layers: Counts) -> tuple[Counts, Counts, Indices]:
        """Of X layers without replicas: tokens [X, D] of each device and [X, E] of each expert, and its device [X, E].

        `indices` holds the rows of all of them, those of MoE layer `layers[x]` from `starts[x]` on and at least one.
        """
        slots = self.experts + 1
        number = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(indices)))
        devices = np.pad(self.device_of, ((0, 0), (0, 1)), constant_values=self.devices)[layers]
        needs = _needs(devices[number[:, None], indices], self.devices)
        tokens = np.add.reduceat(needs, starts, axis=0, dtype=np.int64)
        counts = np.bincount((number[:, None] * slots + indices).ravel(), minlength=len(starts) * slots)
        return np.asarray(tokens), counts.reshape(-1, slots)[:, :-1], devices[:, :-1]


def _needs(slot_devices: Indices, devices: int) -> Mask:
    """Which tokens [N, D] go to which devices."""
    needs = np.zeros((len(slot_devices), devices + 1), dtype=bool)
    np.put_along_axis(needs, slot_devices, True, axis=1)
    return needs[:, :devices]


def place(
    layers: int, experts: int, devices: int, where: str | Sequence[Where] = ROUND_ROBIN, field: str = FIELD
) -> Placement:
    """Put `experts` of each of `layers` on `devices`: expert e on device e modulo `devices`, or where `where[e]` says.

    That is a device, or the devices of its replicas. Raises `RequestError` naming the entry, of `field`, for an unknown
    rule, a list that does not name a device for each expert, and a device that does not exist or is named twice.
    """
    if isinstance(where, str):
        if where != ROUND_ROBIN:
            raise RequestError(field, f"{where!r} is neither {ROUND_ROBIN!r} nor a list of devices")
        where = [expert % devices for expert in range(experts)]
    if len(where) != experts:
        raise RequestError(field, f"names {len(where)} devices for {experts} experts; name one for each expert")
    holds = np.zeros((experts, devices), dtype=bool)
    for expert, entry in enumerate(where):
        named = f"{field}[{expert}]"
        replicas = [entry] if isinstance(entry, int) else list(entry)
        if not replicas or len(set(replicas)) < len(replicas):
            raise RequestError(named, f"{replicas} names no device, or one twice; name each that holds the expert once")
        for device in replicas:
            if not 0 <= device < devices:
                raise RequestError(named, f"device {device} is none of the devices 0 to {devices - 1}")
        holds[expert, replicas] = True
    return Placement((LayerPlacement(holds),) * layers)


def place_layers(layers: int, experts: int, devices: int, where: Sequence[Sequence[Where]]) -> Placement:
    """As `place`, with a list for each MoE layer. Raises `RequestError` naming the entry of `placement.layers`."""
    if len(where) != layers:
        raise RequestError(LAYERS, f"has lists for {len(where)} layers, and the model has {layers} with experts")
    placed = [place(1, experts, devices, each, f"{LAYERS}[{layer}]") for layer, each in enumerate(where)]
    return Placement(tuple(each.layers[0] for each in placed))
