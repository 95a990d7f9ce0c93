# SPDX-License-Identifier: GPL-2.0-only
"""Links that stand still and that nobody interferes with, for tests of all else."""

from typing import Any

from ns3_scenarios.simulation import Simulation, open_network

_ALONE = {
    "shadowing_sigma_db": 0.0,
    "neighbours": {"sites": 0},
    "nominal_power_dbm": -80,
    "path_loss_factor": 1.0,
    "fading_speed_mps": 3.0,
}
_ONE_NR_CELL = _ALONE | {"fading": False}
STILL: dict[str, dict[str, Any]] = {
    "lte": _ALONE,
    "nr": _ONE_NR_CELL,
    "nr-multicell": {name: value for name, value in _ONE_NR_CELL.items() if name != "neighbours"},
}
"""By scenario: what the others have by default."""


def open_still(scenario: str, parameters: dict[str, Any], *arguments: Any, **named: Any) -> Simulation:
    """As `open_network`, where what `parameters` does not say is as in `STILL`."""
    return open_network(scenario, STILL.get(scenario, {}) | parameters, *arguments, **named)
