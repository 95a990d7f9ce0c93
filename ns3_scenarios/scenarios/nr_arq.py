# SPDX-License-Identifier: GPL-2.0-only
"""When RLC's acknowledged mode polls and reports, and how long PDCP waits for order."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from bridge.network import NS_PER_S

Pdus = Annotated[int, Meta(ge=1, le=65536)]
Bytes = Annotated[int, Meta(ge=1000, le=40_000_000)]


class Arq(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Polls and STATUS PDUs (TS 38.322 clauses 5.3.3 and 5.3.4); by default those of srsRAN's `configs/qos.yml`, 5QI 9.

    `poll_pdus`: pollPDU: a poll after so many PDUs.
    `poll_bytes`: pollByte: and after so many bytes (default: any number).
    `poll_retransmit_s`: t-PollRetransmit: for so long after a poll its answer is waited for.
    `reassembly_s`: t-Reassembly: what is missing for so long has failed, whatever HARQ does.
    `status_prohibit_s`: t-StatusProhibit: between two STATUS PDUs at least.
    `reordering_s`: t-Reordering of PDCP: a packet that is missing for so long is lost.
    """

    poll_pdus: Pdus = 16
    poll_bytes: Bytes | None = None
    poll_retransmit_s: Annotated[float, Meta(ge=0.005, le=4)] = 0.02
    reassembly_s: Annotated[float, Meta(ge=0, le=0.2)] = 0.02
    status_prohibit_s: Annotated[float, Meta(ge=0, le=2.4)] = 0.01
    reordering_s: Annotated[float, Meta(ge=0.001, le=3)] = 0.22

    def settings(self, ns: Any) -> Any:
        """For `NrHelper.SetArq`."""
        settings = ns.cosim.NrArqSettings()
        settings.isOn = True
        settings.pollPdus, settings.pollBytes = self.poll_pdus, self.poll_bytes or 0
        settings.pollRetransmit = time(ns, self.poll_retransmit_s)
        settings.reassembly = time(ns, self.reassembly_s)
        settings.statusProhibit = time(ns, self.status_prohibit_s)
        return settings


def time(ns: Any, time_s: float) -> Any:
    """As ns-3 has it."""
    return ns.NanoSeconds(round(time_s * NS_PER_S))
