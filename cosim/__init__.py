# SPDX-License-Identifier: Apache-2.0
"""The co-simulation: a model on one side, a radio on the other, one clock, one record.

What is named here is loaded when it is first asked for, since the model's and the radio's parts take seconds.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cosim.config import Config
    from cosim.experiment import replay, resume, run, what_if
    from cosim.networks.ns3_side import Ns3Place
    from cosim.results.summary import summarise
    from cosim.results.tables import load

__all__ = ["Config", "Ns3Place", "load", "replay", "resume", "run", "summarise", "what_if"]

_HOMES = {
    "Config": "cosim.config",
    "Ns3Place": "cosim.networks.ns3_side",
    "load": "cosim.results.tables",
    "replay": "cosim.experiment",
    "resume": "cosim.experiment",
    "run": "cosim.experiment",
    "summarise": "cosim.results.summary",
    "what_if": "cosim.experiment",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
