# SPDX-License-Identifier: GPL-2.0-only
"""LTE whose first device leaves, and returns."""

from ns3_scenarios.scenarios import SCENARIOS
from ns3_scenarios.scenarios.lte import Lte
from tests.support.ns3_worker import Played, Step, play


def move_at(ns, device, when_s: float, x_m: float) -> None:
    """Put a `Device` elsewhere, y = 0, at that virtual time."""
    import cppyy  # only once the wheel's libraries are loaded

    cppyy.cppdef("""
        #ifndef MOVE_AT
        #define MOVE_AT
        void move_at(double s, double m, ns3::Ptr<ns3::MobilityModel> device) {
            ns3::Simulator::Schedule(ns3::Seconds(s), [m, device] { device->SetPosition({m, 0, 1.5}); });
        }
        #endif""")
    cppyy.gbl.move_at(when_s, x_m, device.node.GetObject[ns.MobilityModel]())


class Leaving(Lte, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """LTE whose first device is 100 km away from one virtual time to another."""

    name = "leaving"
    leaves_s: float
    returns_s: float

    def build(self, ns):
        topology = super().build(ns)
        move_at(ns, topology.devices[0], self.leaves_s, 1e5)
        move_at(ns, topology.devices[0], self.returns_s, self.distances_m[0])
        return topology


def play_leaving(steps: list[Step], parameters: dict[str, object]) -> Played:
    SCENARIOS[Leaving.name] = Leaving
    return play(steps, parameters, Leaving.name)
