# SPDX-License-Identifier: Apache-2.0
"""Services side by side, whether they are runs or rows of a study: lines over the key in which they differ."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cosim.reporting.cases import Data
from cosim.reporting.figures.drawn import Drawn, Lacking
from cosim.reporting.intervals import mean_interval
from cosim.reporting.style import MARKERS, colour, dash, legend
from cosim.results.figures import service_figures

RATE, AT_A_TIME = "arrivals.rate_per_s", "service.requests"
BARS = " Bars: 95 % bootstrap intervals over seeds, where there are several."


@dataclass(frozen=True)
class Served:
    """A run in which requests arrived: by which `policy` on which `network`, its `options` by key of the configuration,
    and its `figures` as `cosim.results.figures` names them."""

    policy: str
    network: str
    options: Mapping[str, Any]
    figures: Mapping[str, Any]


@dataclass(frozen=True)
class Services:
    """Such runs, and the keys in which they differ, seeds left out."""

    runs: Sequence[Served]
    varied: Sequence[str]

    def over(self, key: str, fewest: int = 1) -> dict[str, dict[float, list[Served]]]:
        """Lines over a key, those of at least so many values, by label: the policy, and in what else lines differ."""
        found: dict[tuple[tuple[str, str], ...], dict[float, list[Served]]] = {}
        for run in self.runs:
            others = (name for name in self.varied if name != key and run.options.get(name) is not None)
            parts = [("policy", run.policy), *((name, str(run.options[name])) for name in others)]
            line = found.setdefault((*parts, ("network", run.network)), {})
            line.setdefault(float(run.options.get(key) or 0), []).append(run)
        lines = {parts: line for parts, line in found.items() if len(line) >= fewest}
        common = set.intersection(*(set(parts[1:]) for parts in lines)) if lines else set()
        return {_label([part for part in parts if part not in common]): line for parts, line in lines.items()}


def _label(parts: Sequence[tuple[str, str]]) -> str:
    """What tells a line from the others, in words."""
    words = {"policy": "{}", "network": "({})"}
    told = [words.get(name, f"{name.rpartition('.')[2]}={{}}").format(value) for name, value in parts]
    return " ".join(told)


def services_of(data: Data) -> Services:
    """Of runs as a report reads them."""
    served = [
        Served(case.policy, case.network, case.options, service_figures(case.service))
        for case in data.cases
        if case.service is not None
    ]
    return Services(served, data.varied)


def lines_over(services: Services, key: str) -> dict[str, dict[float, list[Served]]]:
    """Lines of several values of a key in which the runs differ; a bound of 0, which is none, has no place on them."""
    bound = [run for run in services.runs if (run.options.get(key) or 0) > 0]
    lines = Services(bound, services.varied).over(key, fewest=2)
    if not lines:
        raise Lacking(f"requests did not arrive in runs that differ in {key}")
    return lines


def curve(panel: Axes, line: Mapping[float, Sequence[Served]], name: str, label: str, index: int) -> list[float]:
    """Draw the means of a figure over a line's values; these means."""
    mean, low, high = np.array([mean_of(line[value], name) for value in sorted(line)]).T
    looks: dict[str, Any] = {"marker": MARKERS[index % 8], "elinewidth": 0.6, "color": colour(index), "ls": dash(index)}
    panel.errorbar(sorted(line), mean, np.maximum([mean - low, high - mean], 0), label=label, **looks)
    return list(mean.tolist())


def mean_of(runs: Sequence[Served], name: str) -> tuple[float, float, float]:
    """Of a figure over runs, with its interval; NaN where none has it."""
    known = [run.figures[name] for run in runs if run.figures.get(name) is not None]
    return mean_interval(known) if known else (float("nan"),) * 3


def done(figure: Figure, axes: Sequence[Axes], text: str, columns: int = 3) -> Drawn:
    legend(figure, axes[0], columns)
    return Drawn(figure, f"{text}{BARS}")
