# SPDX-License-Identifier: Apache-2.0
"""What the BS expects a device's answer to take, from past exchanges and link states alone.

The time of one direction of a transfer is taken as a fixed overhead plus bytes over rate. Both come from
a least-squares line through the past transfers, weighted exponentially towards the latest, and weakly
through zero: while the transfers had one size, their time is taken as proportional to bytes. Before the
first transfer the rate of the link state stands in. The form is ours.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bridge.network import NS_PER_S, LinkState, Outcome, Status, Transfer

MEMORY = 0.7  # what one observation leaves of the weight of those before it
ZERO = 0.1  # weight of "no bytes take no time", where past transfers together weigh 1
DEFAULT_RATE_BPS = 10e6  # before anything is known, the same for every device
UNREACHABLE_S = 10.0  # added while the latest link state says that a device is not connected
RETRY_S = 1.0  # virtual time in which the memory of a missed deadline halves

Array = NDArray[np.float64]


class LatencyPredictor:
    """Predicts each device's latency. Arrays are [D], one entry a device, or [2, D] for downlink and uplink.

    The times within a transfer are those that the device stamps on its answer. A missed deadline adds the
    time that was waited in vain to what is expected of the device, and again at each further miss; it
    fades with virtual time (by half each `RETRY_S`), so that the device is asked again, and is forgotten at
    its next answer. The same history gives the same prediction.
    """

    def __init__(self, devices: int):
        self._learned = np.zeros((4, 2, devices))  # mean bytes, mean seconds, their variance and covariance
        self._slope = np.full((2, devices), 8 / DEFAULT_RATE_BPS)  # seconds a byte
        self._fresh = np.ones(devices)  # the weight of the next observation
        self._connected = np.ones(devices, dtype=bool)
        self._missed_s = np.zeros(devices)
        self._missed_ns = np.zeros(devices, dtype=np.int64)

    def predict(self, now_ns: int, downlink_bytes: ArrayLike, compute_s: ArrayLike, uplink_bytes: ArrayLike) -> Array:
        """Seconds [D] from the departure of `downlink_bytes` [D] to the last byte of `uplink_bytes` [D].

        `compute_s` [D] is what the device itself announces for the work. The result is above 0 and finite.
        """
        size = np.array([downlink_bytes, uplink_bytes], dtype=np.float64)
        mean_bytes, mean_s = self._learned[:2]
        down_s, up_s = mean_s + self._slope * (size - mean_bytes)
        waited_in_vain_s = self._fading_s(now_ns) + UNREACHABLE_S * ~self._connected
        expected_s: Array = np.maximum(down_s + up_s + compute_s, 1e-9) + waited_in_vain_s
        return expected_s

    def observe(self, transfers: Sequence[Transfer], outcome: Outcome, depart_ns: int, deadline_ns: int) -> None:
        """Learn from an exchange that has ended."""
        done = [(t, o) for t, o in zip(transfers, outcome.transfers, strict=True) if o.status is Status.DONE]
        if done:
            devices = np.array([transfer.device for transfer, _ in done])
            size = np.array([(t.downlink_bytes, t.uplink_bytes) for t, _ in done], dtype=np.float64).T
            times = [(o.downlink_begin_ns, o.downlink_end_ns, o.compute_end_ns, o.uplink_end_ns) for _, o in done]
            begin, received, computed, end = np.array(times, dtype=np.int64).T
            self._learn(devices, size, np.array([received - begin, end - computed]) / NS_PER_S)
            self._missed_s[devices] = 0
        missed = [(o.device, o.status) for o in outcome.transfers if o.status is not Status.DONE]
        if missed:
            fading_s = self._fading_s(outcome.now_ns)
            for device, status in missed:
                end_ns = deadline_ns if status is Status.UNREACHABLE else outcome.now_ns
                self._missed_s[device] = fading_s[device] + (end_ns - depart_ns) / NS_PER_S
                self._missed_ns[device] = outcome.now_ns
        self._read(outcome.links)

    def _learn(self, devices: NDArray[np.int64], size: Array, seconds: Array) -> None:
        """Move means, variance and covariance by one observation of each of `devices` (values [2, len])."""
        fresh = self._fresh[devices]
        mean_bytes, mean_s, variance, covariance = learned = self._learned[:, :, devices]
        off_bytes, off_s = size - mean_bytes, seconds - mean_s
        moved = fresh * off_bytes
        variance += moved * off_bytes
        covariance += moved * off_s
        learned[2:] *= 1 - fresh
        mean_bytes += moved
        mean_s += fresh * off_s
        self._learned[:, :, devices] = learned
        self._fresh[devices] = 1 - MEMORY
        slope = (covariance + ZERO * mean_bytes * mean_s) / (variance + ZERO * mean_bytes**2)
        # Neither rate nor overhead is negative.
        self._slope[:, devices] = np.maximum(np.minimum(slope, mean_s / mean_bytes), 0)

    def _read(self, links: Sequence[LinkState]) -> None:
        for link in links:
            device = link.device
            self._connected[device] = link.connected
            if self._fresh[device] == 1:
                for direction, rate_bps in enumerate((link.downlink_rate_bps, link.uplink_rate_bps)):
                    if rate_bps:
                        self._slope[direction, device] = 8 / rate_bps

    def _fading_s(self, now_ns: int) -> Array:
        age_s = (now_ns - self._missed_ns) / NS_PER_S
        return np.asarray(self._missed_s * 0.5 ** (age_s / RETRY_S))
