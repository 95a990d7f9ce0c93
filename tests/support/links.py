# SPDX-License-Identifier: Apache-2.0
"""Links of closed form, for the ways of predicting."""

from collections.abc import Mapping, Sequence

import numpy as np

from bridge.network import NS_PER_S, LinkState, Outcome, Status, Transfer, TransferOutcome
from model_side.prediction import Predictor
from model_side.routing import Floats

DEADLINE_S = 2.0
COMPUTE_NS = 1_000_000


class Link:
    """One device whose directions take `overhead_s` and bytes over rate; it answers while `alive`."""

    def __init__(
        self, overhead_s: float = 0.004, down_bps: float = 40e6, up_bps: float = 10e6, cell: int | None = None
    ):
        self.overhead_s, self.down_bps, self.up_bps, self.cell = overhead_s, down_bps, up_bps, cell
        self.alive = self.connected = True

    def latency_s(self, down_bytes: int, compute_s: float, up_bytes: int) -> float:
        return 2 * self.overhead_s + 8 * down_bytes / self.down_bps + compute_s + 8 * up_bytes / self.up_bps


def exchange(
    predictor: Predictor,
    links: Sequence[Link],
    depart_s: float,
    asked: Mapping[int, int],
    rates: bool = False,
    *,
    one_band: bool = False,
    shares: Sequence[float] | None = None,
) -> tuple[float, Floats]:
    """Let devices carry out `asked` (device: bytes each way), tell the predictor, and return when it was over and what
    each device took in s [D], NaN of one that was not asked or did not answer.

    With `one_band` those who transmit at once divide each cell equally at every moment; with `shares` each has its own.
    """
    depart_ns = round(depart_s * NS_PER_S)
    deadline_ns = depart_ns + round(DEADLINE_S * NS_PER_S)
    transfers = [Transfer(device, size, COMPUTE_NS, size) for device, size in asked.items()]
    reached = [link.alive and link.connected and (shares is None or shares[d] > 0) for d, link in enumerate(links)]
    answers = {device: size for device, size in asked.items() if reached[device]}
    there = [links[device] for device in answers]
    cells = np.array([link.cell or 0 for link in there])
    part = np.array([1.0 if shares is None else shares[device] for device in answers])
    overhead_s = np.array([link.overhead_s for link in there])
    received_s, end_s = np.zeros(len(there)), np.zeros(len(there))
    for way, ends_s in enumerate((received_s, end_s)):
        begin_s = overhead_s + (received_s + COMPUTE_NS / NS_PER_S if way else 0)
        bps = np.array([(link.up_bps if way else link.down_bps) for link in there])
        air_s = 8 * np.array(list(answers.values())) / (part * bps)
        for cell in set(cells.tolist()) if one_band else ():
            own = cells == cell
            ends_s[own] = processor_sharing(begin_s[own], air_s[own])
        if not one_band:
            ends_s[:] = begin_s + air_s
    outcomes = {
        device: TransferOutcome(
            device,
            Status.DONE,
            depart_ns,
            depart_ns + round(received * NS_PER_S),
            depart_ns + round(received * NS_PER_S) + COMPUTE_NS,
            depart_ns + round(end * NS_PER_S),
        )
        for device, received, end in zip(answers, received_s.tolist(), end_s.tolist(), strict=True)
    }
    for device in asked:
        status = Status.LATE if links[device].connected else Status.UNREACHABLE
        outcomes.setdefault(device, TransferOutcome(device, status, depart_ns, None, None, None))
    now_ns = max((outcomes[device].uplink_end_ns or deadline_ns for device in asked), default=depart_ns)
    states = [
        LinkState(
            device,
            link.connected,
            downlink_rate_bps=link.down_bps if rates else None,
            uplink_rate_bps=link.up_bps if rates else None,
            cell=link.cell,
        )
        for device, link in enumerate(links)
    ]
    outcome = Outcome(now_ns, tuple(outcomes[device] for device in asked), tuple(states))
    predictor.observe(transfers, outcome, depart_ns, deadline_ns, np.ones(len(links)), shares)
    took_s = np.full(len(links), np.nan)
    took_s[list(answers)] = end_s
    return now_ns / NS_PER_S, took_s


def predict(predictor: Predictor, now_s: float, size: int, devices: int = 1) -> list[float]:
    """What so many bytes each way would take at each device, in s."""
    sizes = np.full(devices, size)
    return predictor.predict(round(now_s * NS_PER_S), sizes, np.full(devices, 0.001), sizes).seconds.tolist()


def expected_s(
    predictor: Predictor, now_s: float, asked: Mapping[int, int], shares: Sequence[float] | None = None
) -> Floats:
    """What is expected [D] of the devices when these are asked for so many bytes each way."""
    size = np.ones(predictor.devices)
    is_asked = np.zeros(predictor.devices, dtype=bool)
    for device, each in asked.items():
        size[device], is_asked[device] = each, True
    compute_s = np.full(predictor.devices, COMPUTE_NS / NS_PER_S)
    return predictor.predict(round(now_s * NS_PER_S), size, compute_s, size, shares, is_asked).seconds


def processor_sharing(begin_s: Floats, alone_s: Floats) -> Floats:
    """When each is done that begins at `begin_s` and would take `alone_s` alone, if all who are there share equally."""
    now_s, left_s, end_s = 0.0, alone_s.astype(float), np.full(len(begin_s), np.inf)
    while np.isinf(end_s).any():
        active = (begin_s <= now_s) & np.isinf(end_s)
        ahead = begin_s[begin_s > now_s]
        step_s = ahead.min() - now_s if len(ahead) else np.inf
        through = False
        if active.any() and left_s[active].min() * active.sum() <= step_s:
            step_s, through = left_s[active].min() * active.sum(), True
        if active.any():
            left_s[active] -= step_s / active.sum()
        now_s = now_s + step_s if through else float(ahead.min())
        if through:
            end_s[active & (left_s <= 1e-15 + 1e-12 * alone_s)] = now_s
    return end_s
