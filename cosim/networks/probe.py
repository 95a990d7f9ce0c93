# SPDX-License-Identifier: Apache-2.0
"""One transfer to each device and back, alone on the network: whether it works, and how fast."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bridge.network import NS_PER_S, LinkState, Network, Status, Transfer, TransferOutcome

PROBE_BYTES = 64 * 8192
"""A prompt of 64 tokens as hidden states of Mixtral 8x7B: what a device may well get at once."""
PROBE_LIMIT_S = 60


@dataclass(frozen=True)
class Probe:
    """What became of one transfer of `PROBE_BYTES` each way, alone on the network, the link after it, and why not."""

    name: str
    transfer: TransferOutcome
    link: LinkState
    notes: Sequence[str] = ()

    @property
    def downlink_bps(self) -> float | None:
        """Payload over the time from the first byte sent to the last one received; None if that did not come."""
        return _rate_bps(self.transfer.downlink_begin_ns, self.transfer.downlink_end_ns)

    @property
    def uplink_bps(self) -> float | None:
        """As `downlink_bps`, the other way."""
        return _rate_bps(self.transfer.compute_end_ns, self.transfer.uplink_end_ns)

    @property
    def problem(self) -> str | None:
        """What is wrong with this device, or None."""
        if self.notes:
            return "; ".join(self.notes)
        way = "downlink" if self.transfer.downlink_end_ns is None else "uplink"
        match self.transfer.status:
            case Status.UNREACHABLE:
                return f"{self.name}: it is not connected; its link is too weak, or attach_s is too short for it"
            case Status.LOST:
                return f'{self.name}: packets were dropped in the {way}; longer queues or transport = "tcp" mend that'
            case Status.LATE:
                return f"{self.name}: {PROBE_BYTES} bytes were not through the {way} within {PROBE_LIMIT_S} s"
        return None


def probe_all(network: Network) -> Iterator[Probe]:
    """One device after the other."""
    for device, name in enumerate(network.info.devices):
        deadline_ns = network.now_ns + PROBE_LIMIT_S * NS_PER_S
        outcome = network.exchange([Transfer(device, PROBE_BYTES, 0, PROBE_BYTES)], network.now_ns, deadline_ns)
        yield Probe(name, outcome.transfers[0], outcome.links[device], outcome.notes)


def _rate_bps(begin_ns: int | None, end_ns: int | None) -> float | None:
    if begin_ns is None or end_ns is None:
        return None
    return 8 * PROBE_BYTES * NS_PER_S / (end_ns - begin_ns)
