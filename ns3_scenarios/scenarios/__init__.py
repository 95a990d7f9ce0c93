# SPDX-License-Identifier: GPL-2.0-only
"""The built-in scenarios, and how any scenario is found by its name."""

from bridge.names import meant
from bridge.network import RequestError

from ..scenario import Scenario
from ..scripts import script
from .lte import Lte
from .lte_multicell import LteMulticell
from .mixed import Mixed
from .nr import Nr
from .nr_multicell import NrMulticell
from .recorded import Recorded
from .wifi import Wifi
from .wired import Wired

SCENARIOS: dict[str, type[Scenario]] = {
    "lte": Lte,
    "lte-multicell": LteMulticell,
    "mixed": Mixed,
    "nr": Nr,
    "nr-multicell": NrMulticell,
    "recorded": Recorded,
    "wifi": Wifi,
    "wired": Wired,
}


def scenario_class(scenario: str) -> type[Scenario]:
    """The scenario of that name, or the one in a script, `FILE.py` or `FILE.py:CLASS`. Raises `RequestError`."""
    if script.is_script(scenario):
        return script.load_script(scenario)
    if scenario not in SCENARIOS:
        known = ", ".join(sorted(SCENARIOS))
        reason = f"{scenario} is none of {known}, and no script (FILE.py or FILE.py:CLASS)"
        raise RequestError("radio.scenario", reason + meant(scenario, SCENARIOS))
    return SCENARIOS[scenario]
