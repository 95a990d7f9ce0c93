# SPDX-License-Identifier: Apache-2.0
"""Joules of a transfer at its device and at the BS, by powers, times, and what was radiated."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from bridge.network import RequestError
from model_side.routing import Floats, Indices, Mask


@dataclass(frozen=True, slots=True)
class Joules:
    """Of transfers, arrays [..., D]: what each device draws to `receive`, `compute` and `send`, the BS to `bs_send`."""

    receive: Floats
    compute: Floats
    send: Floats
    bs_send: Floats

    @property
    def total(self) -> Floats:
        """All of it, at the device and at the BS."""
        return self.receive + self.compute + self.send + self.bs_send


@dataclass(frozen=True)
class Powers:
    """Powers in W of D devices and of the BS; NaN is not known.

    `compute_w`, `receive_w`, `transmit_w` [D]: what a device draws while it computes, and what its radio draws while
    its downlink or its uplink is under way. `efficiency` [D]: what its power amplifier radiates of what it draws; NaN
    if `transmit_w` has the amplifier in it. `air_w` [2, D]: what the BS radiates to the device at most, and the device.
    `bs_compute_w`, `bs_transmit_w`, `bs_efficiency`: likewise of the BS, its radio's for one device. `hardware`: the
    profile of each device.
    """

    compute_w: Floats
    receive_w: Floats
    transmit_w: Floats
    efficiency: Floats
    air_w: Floats
    bs_compute_w: float
    bs_transmit_w: float
    bs_efficiency: float
    hardware: Sequence[str]

    @classmethod
    def unknown(cls, devices: int) -> "Powers":
        """Of which nothing is known."""
        none = np.full(devices, np.nan)
        return cls(none, none, none, none, np.full((2, devices), np.nan), np.nan, np.nan, np.nan, ["?"] * devices)

    def of(self, devices: Indices) -> "Powers":
        """Those of `devices`, one of which may appear several times."""
        return replace(
            self,
            compute_w=self.compute_w[devices],
            receive_w=self.receive_w[devices],
            transmit_w=self.transmit_w[devices],
            efficiency=self.efficiency[devices],
            air_w=self.air_w[:, devices],
            hardware=[self.hardware[device] for device in devices],
        )

    def of_device(self, device: int) -> list[float]:
        """Those of one, in the order of the journal."""
        own = (self.compute_w, self.receive_w, self.transmit_w, self.efficiency, *self.air_w)
        return [float(watts[device]) for watts in own]

    def radiated(self, down_s: Floats, up_s: Floats, counted_j: Floats) -> Floats:
        """Joules [2, ..., D] that BS and device radiate: `counted_j`, and where that is NaN, power times time."""
        seconds = np.stack(np.broadcast_arrays(down_s, up_s))
        by_power = self.air_w.reshape(2, *(1,) * (seconds.ndim - 2), -1) * seconds
        return np.where(np.isnan(counted_j), by_power, counted_j)

    def joules(self, down_s: Floats, compute_s: Floats, up_s: Floats, radiated_j: Floats) -> Joules:
        """Of transfers that take so long [..., D] and radiate so much [2, ..., D]; NaN of what is not known.

        receive = receive_w * down_s
        compute = compute_w * compute_s
        send = transmit_w * up_s + radiated / efficiency, and at the BS likewise of the downlink
        """
        return Joules(
            self.receive_w * down_s,
            self.compute_w * compute_s,
            self.transmit_w * up_s + _amplified(radiated_j[1], self.efficiency),
            self.bs_transmit_w * down_s + _amplified(radiated_j[0], np.asarray(self.bs_efficiency)),
        )

    def missing(self, counted: Mask) -> list[str]:
        """Without which keys of the configuration the joules of transfers are not known; nothing if they are.

        `counted` [2, D]: of which directions of which devices somebody counts what is radiated.
        """
        nameless = [name for name, watts in zip(self.hardware, self.compute_w, strict=True) if np.isnan(watts)]
        found = [f"devices.compute_w (the profile {', '.join(dict.fromkeys(nameless))} has none)"] if nameless else []
        for key, watts in (
            ("devices.receive_w", self.receive_w),
            ("devices.transmit_w", self.transmit_w),
            ("base_station.transmit_w", np.asarray(self.bs_transmit_w)),
        ):
            found += [key] if np.isnan(watts).any() else []
        for whose, efficiency, unknown in (
            ("devices", self.efficiency, np.isnan(self.air_w[1]) & ~counted[1]),
            ("base_station", np.asarray(self.bs_efficiency), np.isnan(self.air_w[0]) & ~counted[0]),
        ):
            if (unknown & ~np.isnan(efficiency)).any():
                found.append(f"what is radiated (nobody tells; let {whose}.transmit_w include the amplifier)")
        return found

    def require(self, counted: Mask, field: str) -> None:
        """Raise `RequestError` naming `field`, which asks for joules, if any are not known."""
        if missing := self.missing(counted):
            reason = f"joules are not known without {', '.join(missing)}; give them (docs/model/energy.md)"
            raise RequestError(field, reason)


def _amplified(radiated_j: Floats, efficiency: Floats) -> Floats:
    """What an amplifier draws for it; nothing where that is in the power of the rest."""
    return np.where(np.isnan(efficiency), 0.0, radiated_j / efficiency)
