# SPDX-License-Identifier: Apache-2.0
"""Latency, quality and energy over the value of the key in which runs differ."""

from collections.abc import Callable
from typing import Any

import numpy as np

from cosim.reporting.cases import Case, Data
from cosim.reporting.figures.drawn import Drawn, Lacking
from cosim.reporting.intervals import mean_interval
from cosim.reporting.style import MARKERS, colour, dash, legend, panels

NAME = "sweep"
TITLE = "Over what the runs differ in"

_FIGURES: dict[str, Callable[[Case], float | None]] = {
    "layer latency in ms": lambda case: 1e3 * float(case.exchanges["latency_s"].mean()),
    "KL divergence in nats": lambda case: float(case.quality.mean_kl_nats) if case.quality else None,
    "energy in mJ a token": lambda case: case.millijoules_a_token(),
}


def draw(data: Data) -> Drawn:
    key = swept(data)
    if key is None:
        raise Lacking("the runs do not differ in a key whose values are numbers; give one run for each value")
    cases = [case for case in data.cases if case.options.get(key) is not None and len(case.exchanges["exchange"])]
    kinds = {name: of for name, of in _FIGURES.items() if all(of(case) is not None for case in cases)}
    figure, axes = panels(1, len(kinds), wide=len(kinds) > 1)
    lines: dict[str, dict[float, list[Case]]] = {}
    for case in cases:
        lines.setdefault(_line(case, key, data), {}).setdefault(float(case.options[key]), []).append(case)
    said = []
    for index, (name, line) in enumerate(lines.items()):
        for panel, (axis, of) in zip(axes, kinds.items(), strict=True):
            values = [mean_interval([of(case) or 0.0 for case in line[value]]) for value in sorted(line)]
            mean, low, high = np.array(values).T
            looks: dict[str, Any] = {
                "marker": MARKERS[index % 8],
                "elinewidth": 0.6,
                "color": colour(index),
                "ls": dash(index),
            }
            panel.errorbar(sorted(line), mean, np.maximum([mean - low, high - mean], 0), label=name, **looks)
            panel.set(xlabel=key, ylabel=axis)
        first, last = (_layer_ms(line[end(line)]) for end in (min, max))
        said.append(f"{name}: mean layer latency {first:.1f} ms at {min(line):g}, {last:.1f} ms at {max(line):g}")
    for index, (label, others) in enumerate(_beside(data, key).items(), len(lines)):
        for panel, (_, of) in zip(axes, kinds.items(), strict=True):
            known = [value for case in others if (value := of(case)) is not None]
            if known:
                panel.axhline(float(np.mean(known)), color=colour(index), ls=dash(index), label=label)
        said.append(f"{label}, which has no such option: {_layer_ms(others):.1f} ms")
    legend(figure, axes[0], 4 if len(kinds) > 1 else 2)
    bars = "bars are 95 % bootstrap intervals over seeds, where there are several"
    return Drawn(figure, f"Means over runs by {key}; {bars}. {'; '.join(said)}.")


def _beside(data: Data, key: str) -> dict[str, list[Case]]:
    """The cases of policies that do not have the option which is swept, by label."""
    return {
        label: cases
        for label, cases in data.groups.items()
        if all(key not in case.options and len(case.exchanges["exchange"]) for case in cases)
    }


def _layer_ms(cases: list[Case]) -> float:
    return 1e3 * float(np.mean([case.exchanges["latency_s"].mean() for case in cases]))


def swept(data: Data) -> str | None:
    """The key with most values among those in which the runs differ, if they are numbers."""
    found: dict[str, set[Any]] = {}
    for key in data.varied:
        values = [case.options[key] for case in data.cases if case.options.get(key) is not None]
        is_numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
        if is_numbers and len(set(values)) > 1:
            found[key] = set(values)
    return max(found, key=lambda key: len(found[key])) if found else None


def _line(case: Case, key: str, data: Data) -> str:
    others = [
        f"{name.rpartition('.')[2]}={case.options[name]}"
        for name in data.varied
        if name != key and name in case.options
    ]
    network = [f"({case.network})"] if len({each.network for each in data.cases}) > 1 else []
    return " ".join([case.policy, *others, *network])
