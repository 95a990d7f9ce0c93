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
        self._seen = np.zeros((2, devices), dtype=bool)
        self._mean_bytes = np.zeros((2, devices))
        self._mean_s = np.zeros((2, devices))
        self._variance = np.zeros((2, devices))
        self._covariance = np.zeros((2, devices))
        self._rate_bps = np.full((2, devices), DEFAULT_RATE_BPS)
        self._connected = np.ones(devices, dtype=bool)
        self._missed_s = np.zeros(devices)
        self._missed_ns = np.zeros(devices, dtype=np.int64)

    def predict(self, now_ns: int, downlink_bytes: ArrayLike, compute_s: ArrayLike, uplink_bytes: ArrayLike) -> Array:
        """Seconds [D] from the departure of `downlink_bytes` [D] to the last byte of `uplink_bytes` [D].

        `compute_s` [D] is what the device itself announces for the work. The result is above 0 and finite.
        """
        size = np.array([downlink_bytes, uplink_bytes], dtype=np.float64)
        nominal = 8 / self._rate_bps
        spread = self._variance + ZERO * self._mean_bytes**2
        rise = self._covariance + ZERO * self._mean_bytes * self._mean_s
        slope = np.divide(rise, spread, out=nominal, where=self._seen)
        steepest = np.divide(self._mean_s, self._mean_bytes, out=slope.copy(), where=self._seen)
        slope = np.clip(slope, 0, steepest)  # neither rate nor overhead is negative
        network_s = (self._mean_s + slope * (size - self._mean_bytes)).sum(axis=0)
        waited_in_vain_s = self._fading_s(now_ns) + np.where(self._connected, 0, UNREACHABLE_S)
        expected_s: Array = np.maximum(network_s + np.asarray(compute_s), 1e-9) + waited_in_vain_s
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
        at = (slice(None), devices)
        fresh = np.where(self._seen[at], 1 - MEMORY, 1.0)
        off_bytes, off_s = size - self._mean_bytes[at], seconds - self._mean_s[at]
        self._variance[at] = (1 - fresh) * (self._variance[at] + fresh * off_bytes**2)
        self._covariance[at] = (1 - fresh) * (self._covariance[at] + fresh * off_bytes * off_s)
        self._mean_bytes[at] += fresh * off_bytes
        self._mean_s[at] += fresh * off_s
        self._seen[at] = True

    def _read(self, links: Sequence[LinkState]) -> None:
        for link in links:
            self._connected[link.device] = link.connected
            if link.downlink_rate_bps:
                self._rate_bps[0, link.device] = link.downlink_rate_bps
            if link.uplink_rate_bps:
                self._rate_bps[1, link.device] = link.uplink_rate_bps

    def _fading_s(self, now_ns: int) -> Array:
        age_s = (now_ns - self._missed_ns) / NS_PER_S
        return np.asarray(self._missed_s * 0.5 ** (age_s / RETRY_S))
