# SPDX-License-Identifier: GPL-2.0-only
"""An ns-3 side whose scenario `aborting` is LTE until ns-3 aborts: `python -m tests.support.aborting_ns3 ENDPOINT`."""

import sys
from typing import Any

from bridge.server import Server
from ns3_scenarios.scenarios import SCENARIOS
from ns3_scenarios.scenarios.lte import Lte
from ns3_scenarios.simulation import open_network

ABORT_AT_S = 1.2


class Aborting(Lte, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """LTE that aborts on an assertion of ns-3's at a virtual time."""

    name = "aborting"

    def build(self, ns: Any) -> Any:
        topology = super().build(ns)
        import cppyy  # only once the wheel's libraries are loaded

        cppyy.cppdef(
            "#include <ns3/simulator.h>\n#include <ns3/fatal-error.h>\n"
            "void abort_at(double s) { ns3::Simulator::Schedule(ns3::Seconds(s) - ns3::Simulator::Now(), "
            '[] { NS_FATAL_ERROR("an assertion of the test"); }); }'
        )
        cppyy.gbl.abort_at(ABORT_AT_S)
        return topology


if __name__ == "__main__":
    SCENARIOS["aborting"] = Aborting
    Server(sys.argv[1], open_network).serve()
