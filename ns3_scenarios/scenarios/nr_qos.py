# SPDX-License-Identifier: GPL-2.0-only
"""QoS flows: the 5QI of hidden states and that of background, and what each 5QI stands for."""

from typing import Any, Literal, NamedTuple

import msgspec

from bridge.network import RequestError

ResourceType = Literal["GBR", "non-GBR", "delay-critical GBR"]


class Characteristics(NamedTuple):
    """Of a QoS flow (TS 23.501 clause 5.7.3)."""

    resource_type: ResourceType
    priority_level: int
    """Lower values go first."""
    packet_delay_budget_s: float
    packet_error_rate: float


STANDARDISED = {
    1: Characteristics("GBR", 20, 0.1, 1e-2),
    2: Characteristics("GBR", 40, 0.15, 1e-3),
    3: Characteristics("GBR", 30, 0.05, 1e-3),
    4: Characteristics("GBR", 50, 0.3, 1e-6),
    5: Characteristics("non-GBR", 10, 0.1, 1e-6),
    6: Characteristics("non-GBR", 60, 0.3, 1e-6),
    7: Characteristics("non-GBR", 70, 0.1, 1e-3),
    8: Characteristics("non-GBR", 80, 0.3, 1e-6),
    9: Characteristics("non-GBR", 90, 0.3, 1e-6),
    65: Characteristics("GBR", 7, 0.075, 1e-2),
    66: Characteristics("GBR", 20, 0.1, 1e-2),
    67: Characteristics("GBR", 15, 0.1, 1e-3),
    69: Characteristics("non-GBR", 5, 0.06, 1e-6),
    70: Characteristics("non-GBR", 55, 0.2, 1e-6),
    71: Characteristics("GBR", 56, 0.15, 1e-6),
    72: Characteristics("GBR", 56, 0.3, 1e-4),
    73: Characteristics("GBR", 56, 0.3, 1e-8),
    74: Characteristics("GBR", 56, 0.5, 1e-8),
    79: Characteristics("non-GBR", 65, 0.05, 1e-2),
    80: Characteristics("non-GBR", 68, 0.01, 1e-6),
    82: Characteristics("delay-critical GBR", 19, 0.01, 1e-4),
    83: Characteristics("delay-critical GBR", 22, 0.01, 1e-4),
    84: Characteristics("delay-critical GBR", 24, 0.03, 1e-5),
    85: Characteristics("delay-critical GBR", 21, 0.005, 1e-5),
}
"""By 5QI: rows of TS 23.501 table 5.7.4-1, restated."""


class QosFlows(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which 5QI (TS 23.501 table 5.7.4-1) each of a device's two QoS flows has.

    `hidden_states`: of what the edge server exchanges with the device, users' requests among it.
    `background`: of all else, by the default QoS rule.
    """

    hidden_states: int = 80
    background: int = 9

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            if (given := getattr(self, name)) not in STANDARDISED:
                known = ", ".join(map(str, STANDARDISED))
                raise RequestError(f"radio.qos_flows.{name}", f"5QI {given} is none of {known}")

    def settings(self, ns: Any) -> Any:
        """For `NrHelper.SetQosFlows`."""
        settings = ns.cosim.NrQosSettings()
        settings.isOn = True
        settings.hiddenStatesPriority = STANDARDISED[self.hidden_states].priority_level
        settings.backgroundPriority = STANDARDISED[self.background].priority_level
        return settings
