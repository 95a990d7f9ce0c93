# SPDX-License-Identifier: Apache-2.0
"""Requests a second within their objectives, by policy."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from cosim.reporting.cases import Data
from cosim.reporting.figures.drawn import Drawn, Lacking
from cosim.reporting.figures.serving import BARS, RATE, Services, curve, done, lines_over, mean_of, services_of
from cosim.reporting.style import HATCHES, colour, panels

NAME = "goodput"
TITLE = "Goodput"


def draw(data: Data) -> Drawn:
    return of(services_of(data))


def of(services: Services) -> Drawn:
    """The same of runs or rows: over the arrival rate where that varies, else a bar for each policy."""
    known = [run for run in services.runs if run.figures["goodput_per_s"] is not None]
    if not known:
        raise Lacking("no run has an objective (service.ttft_s, service.tpot_s)")
    services = Services(known, services.varied)
    told = "Requests a second that were done within"
    told += f" {' and '.join(_objective(known[0].options)) or 'their objectives'}"
    if RATE in services.varied:
        lines = lines_over(services, RATE)
        figure, (panel,) = panels(panel_in=2.2)
        said = []
        for index, (label, line) in enumerate(lines.items()):
            means = curve(panel, line, "goodput_per_s", label, index)
            at = sorted(line)[int(np.argmax(means))]
            said.append(f"{label}: at most {max(means):.3g}, at {at:g} that arrive")
        panel.set(xlabel="requests a second that arrive", ylabel="goodput in requests a second", ylim=(0, None))
        return done(figure, [panel], f"{told}. {'; '.join(said)}.", columns=2)
    bars = {label: [run for runs in line.values() for run in runs] for label, line in services.over("").items()}
    if len(bars) < 2:
        raise Lacking("the runs do not differ; give those of several policies")
    figure, (panel,) = panels(panel_in=0.7 + 0.25 * len(bars))
    means = []
    for index, runs in enumerate(bars.values()):
        mean, low, high = mean_of(runs, "goodput_per_s")
        error = [[max(mean - low, 0)], [max(high - mean, 0)]]
        panel.barh(index, mean, xerr=error, color=colour(index), hatch=HATCHES[index % 6], lw=0.3, height=0.7)
        means.append(mean)
    panel.set_yticks(range(len(bars)), list(bars))
    panel.invert_yaxis()
    panel.grid(visible=False, axis="y")
    panel.set_xlabel("goodput in requests a second")
    said = [f"{label}: {mean:.3g}" for label, mean in zip(bars, means, strict=True)]
    return Drawn(figure, f"{told}. {'; '.join(said)}.{BARS}")


def _objective(options: Mapping[str, Any]) -> list[str]:
    keys = {"service.ttft_s": "a TTFT", "service.tpot_s": "a TPOT"}
    return [f"{words} of {options[key]:g} s" for key, words in keys.items() if options.get(key)]
