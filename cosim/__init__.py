# SPDX-License-Identifier: Apache-2.0
"""The co-simulation: a model on one side, a radio on the other, one clock, one record.

What is named here is loaded when it is first asked for, since the model's and the radio's parts take seconds.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cosim.config import Config
    from cosim.evaluation.evaluating import evaluate
    from cosim.experiment import replay, resume, run, what_if
    from cosim.networks.ns3_side import Ns3Place
    from cosim.results.summary import summarise
    from cosim.runs.loaded import load
    from cosim.runs.looked_at import compare, report, timeline
    from cosim.sizing.capacity import capacity
    from cosim.studies.cluster import ClusterPlace
    from cosim.studies.sweeping import sweep
    from cosim.tuning.tuning import tune

__all__ = [
    "ClusterPlace",
    "Config",
    "Ns3Place",
    "capacity",
    "compare",
    "evaluate",
    "load",
    "replay",
    "report",
    "resume",
    "run",
    "summarise",
    "sweep",
    "timeline",
    "tune",
    "what_if",
]

_HOMES = {
    "ClusterPlace": "cosim.studies.cluster",
    "Config": "cosim.config",
    "Ns3Place": "cosim.networks.ns3_side",
    "capacity": "cosim.sizing.capacity",
    "compare": "cosim.runs.looked_at",
    "evaluate": "cosim.evaluation.evaluating",
    "load": "cosim.runs.loaded",
    "replay": "cosim.experiment",
    "report": "cosim.runs.looked_at",
    "resume": "cosim.experiment",
    "run": "cosim.experiment",
    "summarise": "cosim.results.summary",
    "sweep": "cosim.studies.sweeping",
    "timeline": "cosim.runs.looked_at",
    "tune": "cosim.tuning.tuning",
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
