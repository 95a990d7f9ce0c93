# SPDX-License-Identifier: Apache-2.0
"""What the BS expects a device's answer to take, and what all ways of expecting it have in common."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from bridge.network import NS_PER_S, LinkState, Outcome, Status, Transfer
from model_side.prediction.regression import Regression
from model_side.routing import Floats, Indices, Mask

DEFAULT_RATE_BPS = 10e6  # before anything is known, the same for every device
UNREACHABLE_S = 10.0  # added while the latest link state says that a device is not connected
RETRY_S = 1.0  # virtual time in which the memory of a missed deadline halves
LEAST_S = 1e-9
SPREAD_MEMORY = 0.9  # what one error leaves of the weight of those before it
FIRST_SPREAD = 0.5  # of the logarithm, before there was any error
LEAST_SHARE = 1e-12


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


@dataclass(frozen=True, slots=True)
class Load:
    """Bytes down, seconds of computing and bytes up, [..., D] each; what is not `asked` only says what it would be."""

    down_bytes: Floats
    compute_s: Floats
    up_bytes: Floats
    asked: Mask


@dataclass(frozen=True, slots=True)
class Done:
    """Of an exchange, the transfers that were done: `devices` [M], `bytes` and `seconds` [2, M] down and up.

    The times within a transfer are those that the device stamps on its answer. `load` [D] is all that was asked in the
    exchange, 0 bytes of others.
    """

    devices: Indices
    bytes: Floats
    seconds: Floats
    load: Load


class Predictor:
    """Predicts the latencies of D devices from past exchanges and link states; a subclass says how.

    A missed deadline adds the time that was waited in vain to what is expected of the device, and again at each
    further miss; it fades with virtual time (by half each `RETRY_S`), so that the device is asked again, and is
    forgotten at its next answer. The same history gives the same prediction.
    """

    def __init__(self, devices: int):
        self.devices = devices
        self.rate_bps = np.full((2, devices), DEFAULT_RATE_BPS)
        """Of each direction [2, D]: what the latest link state says that the device gets with the whole band.

        Where link states say nothing, as of cables, the most that a transfer has come to.
        """
        self._is_told = np.zeros((2, devices), dtype=bool)
        self._is_seen = np.zeros(devices, dtype=bool)
        self._connected = np.ones(devices, dtype=bool)
        self._missed_s = np.zeros(devices)
        self._missed_ns = np.zeros(devices, dtype=np.int64)
        self._variance = np.full(devices, FIRST_SPREAD**2)
        self._shared = Regression(devices, first=(0.001, 1.1), unsure=(0.01, 0.5))

    def times(self, load: Load) -> tuple[Floats, Floats]:
        """Seconds of downlink and of uplink, [..., D] each, where the network's scheduler divides the band."""
        raise NotImplementedError

    def shared_times(self, load: Load, shares: Floats) -> tuple[Floats, Floats]:
        """Likewise where each device has its share of the band, [..., D].

        A fixed floor, and bytes over that part of the link state's rate, of which the payload has what exchanges with
        shares have shown.
        """
        part = np.maximum(shares, LEAST_SHARE)
        down_s, up_s = (
            floor_s + inverse * 8 * size / (part * rate_bps)
            for floor_s, inverse, size, rate_bps in zip(
                *self._shared.coefficients, (load.down_bytes, load.up_bytes), self.rate_bps, strict=True
            )
        )
        return down_s, up_s

    def learn(self, done: Done) -> None:
        """Learn from what came back of an exchange in which the network's scheduler divided the band.

        Missed deadlines are seen to already; `rate_bps` is that of the link states after it.
        """
        raise NotImplementedError

    def predict(
        self,
        now_ns: int,
        down_bytes: ArrayLike,
        compute_s: ArrayLike,
        up_bytes: ArrayLike,
        shares: ArrayLike | None = None,
        asked: Mask | None = None,
    ) -> Prediction:
        """What so many bytes down [..., D], so much computing and so many bytes up would take, departing now.

        `compute_s` is what the device itself announces for the work. The devices in `asked` [..., D], all by default,
        get it at once; what others would take is told as if each were asked beside these.
        """
        down, compute, up = (np.asarray(part, dtype=np.float64) for part in (down_bytes, compute_s, up_bytes))
        load = Load(down, compute, up, np.ones(down.shape, dtype=bool) if asked is None else asked)
        if shares is None:
            down_s, up_s = self.times(load)
        else:
            down_s, up_s = self.shared_times(load, np.asarray(shares, dtype=np.float64))
        vain_s = self._fading_s(now_ns) + UNREACHABLE_S * ~self._connected
        return Prediction(down_s, compute, up_s, vain_s, np.sqrt(self._variance))

    def observe(
        self,
        transfers: Sequence[Transfer],
        outcome: Outcome,
        depart_ns: int,
        deadline_ns: int,
        expected_s: Floats,
        shares: ArrayLike | None = None,
    ) -> None:
        """Learn from an exchange that has ended; `expected_s` [D] is what had been predicted of it, with `shares`."""
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
        if not len(done):
            return
        came = finished(transfers, outcome, self.devices)
        self._measure(came)
        if shares is None:
            self.learn(came)
        else:
            part = np.maximum(np.asarray(shares, dtype=np.float64)[came.devices], LEAST_SHARE)
            air_s = 8 * came.bytes / (part * self.rate_bps[:, came.devices])
            self._shared.learn(came.devices, air_s[None], came.seconds)

    def _read(self, links: Sequence[LinkState]) -> None:
        for link in links:
            self._connected[link.device] = link.connected
            for direction, rate_bps in enumerate((link.downlink_rate_bps, link.uplink_rate_bps)):
                if rate_bps:
                    self.rate_bps[direction, link.device] = rate_bps
                    self._is_told[direction, link.device] = True

    def _measure(self, done: Done) -> None:
        devices = done.devices
        bps = 8 * done.bytes / np.maximum(done.seconds, LEAST_S)
        known_bps = self.rate_bps[:, devices]
        most_bps = np.where(self._is_seen[devices], np.maximum(known_bps, bps), bps)
        self.rate_bps[:, devices] = np.where(self._is_told[:, devices], known_bps, most_bps)
        self._is_seen[devices] = True

    def _fading_s(self, now_ns: int) -> Floats:
        age_s = (now_ns - self._missed_ns) / NS_PER_S
        return np.asarray(self._missed_s * 0.5 ** (age_s / RETRY_S))


def finished(transfers: Sequence[Transfer], outcome: Outcome, devices: int) -> Done:
    """What was done of an exchange with `devices` devices."""
    asked = np.array([(t.device, t.downlink_bytes, t.compute_ns, t.uplink_bytes) for t in transfers], np.int64)
    asked = asked.reshape(-1, 4)
    load = np.zeros((4, devices))
    load[:, asked[:, 0]] = np.column_stack([asked[:, 1:] / (1, NS_PER_S, 1), np.ones(len(asked))]).T
    is_done = np.array([o.status is Status.DONE for o in outcome.transfers], dtype=bool)
    times = [
        (o.downlink_begin_ns, o.downlink_end_ns, o.compute_end_ns, o.uplink_end_ns)
        for o in outcome.transfers
        if o.status is Status.DONE
    ]
    begin, received, computed, end = np.array(times, dtype=np.int64).reshape(-1, 4).T
    seconds = np.array([received - begin, end - computed]) / NS_PER_S
    size = asked[is_done][:, [1, 3]].T.astype(np.float64)
    return Done(asked[is_done, 0], size, seconds, Load(load[0], load[1], load[2], load[3] > 0))
