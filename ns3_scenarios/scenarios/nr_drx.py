# SPDX-License-Identifier: GPL-2.0-only
"""When connected devices of an NR cell listen: discontinuous reception."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from bridge.network import NS_PER_S, RequestError

CYCLES_S = (
    0.01, 0.02, 0.032, 0.04, 0.06, 0.064, 0.07, 0.08, 0.128, 0.16, 0.256, 0.32, 0.512, 0.64, 1.024, 1.28, 2.048, 2.56,
    5.12, 10.24,
)  # fmt: skip
"""drx-LongCycleStartOffset of TS 38.331 clause 6.3.2."""


class Drx(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The long cycle and its timers (TS 38.321 clause 5.7); by default as networks have been seen to configure them.

    `cycle_s`: drx-LongCycle; a value of TS 38.331 clause 6.3.2.
    `on_duration_s`: drx-onDurationTimer: for so long a device listens at the beginning of each cycle.
    `inactivity_s`: drx-InactivityTimer: and for so long after it was told of a new transmission, either way.
    `harq_rtt_symbols`: drx-HARQ-RTT-TimerDL and -UL: before that no retransmission is expected.
    `retransmission_slots`: drx-RetransmissionTimerDL and -UL: for so long it is expected then.
    """

    cycle_s: float = 0.16
    on_duration_s: Annotated[float, Meta(ge=0.001, le=1.6)] = 0.01
    inactivity_s: Annotated[float, Meta(ge=0, le=2.56)] = 0.1
    harq_rtt_symbols: Annotated[int, Meta(ge=0, le=56)] = 56
    retransmission_slots: Annotated[int, Meta(ge=0, le=320)] = 8

    def check(self) -> None:
        """Raise `RequestError` for what does not fit together."""
        if self.cycle_s not in CYCLES_S:
            known = ", ".join(f"{value:g}" for value in CYCLES_S)
            raise RequestError("radio.drx.cycle_s", f"{self.cycle_s:g} is none of {known}")
        if self.on_duration_s >= self.cycle_s:
            reason = f"{self.on_duration_s:g} s is not below the cycle, {self.cycle_s:g} s"
            raise RequestError("radio.drx.on_duration_s", reason)

    def settings(self, ns: Any) -> Any:
        """For `NrHelper.SetDrx`."""
        settings = ns.cosim.NrDrxSettings()
        settings.isOn, settings.cycleMs = True, round(self.cycle_s * 1000)
        settings.onDuration = ns.NanoSeconds(round(self.on_duration_s * NS_PER_S))
        settings.inactivity = ns.NanoSeconds(round(self.inactivity_s * NS_PER_S))
        settings.rttSymbols, settings.retransmissionSlots = self.harq_rtt_symbols, self.retransmission_slots
        return settings
