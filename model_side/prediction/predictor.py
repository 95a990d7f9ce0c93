# SPDX-License-Identifier: Apache-2.0
"""What the BS expects a device's answer to take, and what all ways of expecting it have in common."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from bridge.network import NS_PER_S, LinkState, Outcome, Status, Transfer
from model_side.routing import Floats, Indices

DEFAULT_RATE_BPS = 10e6  # before anything is known, the same for every device
UNREACHABLE_S = 10.0  # added while the latest link state says that a device is not connected
RETRY_S = 1.0  # virtual time in which the memory of a missed deadline halves
LEAST_S = 1e-9
SPREAD_MEMORY = 0.9  # what one error leaves of the weight of those before it
FIRST_SPREAD = 0.5  # of the logarithm, before there was any error


@dataclass(frozen=True, slots=True)
class Prediction:
    """Seconds from the departure of a layer's hidden states to each device's whole answer; arrays [..., D].

    `down_s`, `compute_s`, `up_s` are its parts, `vain_s` is what was waited for the device in vain of late, which
    keeps it from being asked. `spread` [D]: standard deviation of the logarithm of what it took over what was
    predicted.
    """

    down_s: Floats
    compute_s: Floats
    up_s: Floats
    vain_s: Floats
    spread: Floats

    @property
    def seconds(self) -> Floats:
        """All of it, above 0 and finite."""
        return np.asarray(np.maximum(self.down_s + self.compute_s + self.up_s, LEAST_S) + self.vain_s)

    def done_by(self, deadline_s: float) -> Floats:
        """The probability that a device's answer is there by then, as if the logarithm of its time were normal."""
        from scipy.special import ndtr  # noqa: PLC0415  (takes a while to load, and few ask)

        off = math.log(max(deadline_s, LEAST_S)) - np.log(self.seconds)
        return np.asarray(ndtr(off / np.maximum(self.spread, 1e-6)))


class Predictor:
    """Predicts the latencies of D devices from past exchanges and link states; a subclass says how.

    A missed deadline adds the time that was waited in vain to what is expected of the device, and again at each
    further miss; it fades with virtual time (by half each `RETRY_S`), so that the device is asked again, and is
    forgotten at its next answer. The same history gives the same prediction.
    """

    def __init__(self, devices: int):
        self.devices = devices
        self.rate_bps = np.full((2, devices), DEFAULT_RATE_BPS)
        """Of each direction [2, D]: what the latest link state says that the device gets with the whole band."""
        self._connected = np.ones(devices, dtype=bool)
        self._missed_s = np.zeros(devices)
        self._missed_ns = np.zeros(devices, dtype=np.int64)
        self._variance = np.full(devices, FIRST_SPREAD**2)

    def times(self, down_bytes: Floats, compute_s: Floats, up_bytes: Floats) -> tuple[Floats, Floats]:
        """Seconds of downlink and of uplink, [..., D] each, where the network's scheduler divides the band."""
        raise NotImplementedError

    def shared_times(
        self, down_bytes: Floats, compute_s: Floats, up_bytes: Floats, shares: Floats
    ) -> tuple[Floats, Floats]:
        """Likewise where each device has its share of the band, [..., D]: bytes over that part of its rate."""
        part = np.maximum(shares, 1e-12)
        return 8 * down_bytes / (part * self.rate_bps[0]), 8 * up_bytes / (part * self.rate_bps[1])

    def learn(self, transfers: Sequence[Transfer], outcome: Outcome) -> None:
        """Learn from the transfers of an exchange that has ended; missed deadlines are seen to already."""
        raise NotImplementedError

    def predict(
        self,
        now_ns: int,
        down_bytes: ArrayLike,
        compute_s: ArrayLike,
        up_bytes: ArrayLike,
        shares: ArrayLike | None = None,
    ) -> Prediction:
        """What so many bytes down [..., D], so much computing and so many bytes up would take, departing now.

        `compute_s` is what the device itself announces for the work.
        """
        down, compute, up = (np.asarray(part, dtype=np.float64) for part in (down_bytes, compute_s, up_bytes))
        if shares is None:
            down_s, up_s = self.times(down, compute, up)
        else:
            down_s, up_s = self.shared_times(down, compute, up, np.asarray(shares, dtype=np.float64))
        vain_s = self._fading_s(now_ns) + UNREACHABLE_S * ~self._connected
        return Prediction(down_s, compute, up_s, vain_s, np.sqrt(self._variance))

    def observe(
        self,
        transfers: Sequence[Transfer],
        outcome: Outcome,
        depart_ns: int,
        deadline_ns: int,
        expected_s: Floats,
    ) -> None:
        """Learn from an exchange that has ended; `expected_s` [D] is what had been predicted of it."""
        done = np.array([(o.device, o.uplink_end_ns) for o in outcome.transfers if o.status is Status.DONE], np.int64)
        if len(done):
            devices, end_ns = done.T
            self._missed_s[devices] = 0
            off = np.log(np.maximum((end_ns - depart_ns) / NS_PER_S, LEAST_S) / expected_s[devices])
            self._variance[devices] += (1 - SPREAD_MEMORY) * (off**2 - self._variance[devices])
        missed = [(o.device, o.status) for o in outcome.transfers if o.status is not Status.DONE]
        if missed:
            fading_s = self._fading_s(outcome.now_ns)
            for device, status in missed:
                end_ns = deadline_ns if status is Status.UNREACHABLE else outcome.now_ns
                self._missed_s[device] = fading_s[device] + (end_ns - depart_ns) / NS_PER_S
                self._missed_ns[device] = outcome.now_ns
        self._read(outcome.links)
        self.learn(transfers, outcome)

    def _read(self, links: Sequence[LinkState]) -> None:
        for link in links:
            self._connected[link.device] = link.connected
            for direction, rate_bps in enumerate((link.downlink_rate_bps, link.uplink_rate_bps)):
                if rate_bps:
                    self.rate_bps[direction, link.device] = rate_bps

    def _fading_s(self, now_ns: int) -> Floats:
        age_s = (now_ns - self._missed_ns) / NS_PER_S
        return np.asarray(self._missed_s * 0.5 ** (age_s / RETRY_S))


def finished(transfers: Sequence[Transfer], outcome: Outcome) -> tuple[Indices, Floats, Floats]:
    """Of the transfers that were done: device [M], bytes [2, M] down and up, and seconds [2, M] of either way."""
    done = [(t, o) for t, o in zip(transfers, outcome.transfers, strict=True) if o.status is Status.DONE]
    devices = np.array([transfer.device for transfer, _ in done], dtype=np.int64)
    size = np.array([(t.downlink_bytes, t.uplink_bytes) for t, _ in done], dtype=np.float64).reshape(-1, 2).T
    times = [(o.downlink_begin_ns, o.downlink_end_ns, o.compute_end_ns, o.uplink_end_ns) for _, o in done]
    begin, received, computed, end = np.array(times, dtype=np.int64).reshape(-1, 4).T
    return devices, size, np.array([received - begin, end - computed]) / NS_PER_S
