# SPDX-License-Identifier: Apache-2.0
"""What a MoE layer takes, by its place in the model."""

import numpy as np
from matplotlib.ticker import MaxNLocator

from cosim.reporting.cases import Data
from cosim.reporting.columns import PHASES
from cosim.reporting.figures.drawn import Drawn, median_p95, pooled
from cosim.reporting.style import MARKERS, colour, dash, legend, panels

NAME = "layer-latency"
TITLE = "Latency of layers"


def draw(data: Data) -> Drawn:
    phases = [phase for phase in PHASES if any(len(case.layer_s(phase)) for case in data.cases)]
    figure, axes = panels(1, len(phases), wide=len(phases) > 2)
    said = []
    for index, (label, cases) in enumerate(data.groups.items()):
        told = []
        for number, panel in zip(map(PHASES.index, phases), axes, strict=True):
            layer = pooled([case.exchanges["layer"][case.exchanges["phase"] == number] for case in cases])
            latency_s = pooled([case.layer_s(PHASES[number]) for case in cases])
            if not len(layer):
                continue
            at = np.unique(layer)
            spread = np.array([np.quantile(latency_s[layer == each] * 1e3, [0.05, 0.5, 0.95]) for each in at])
            panel.plot(at, spread[:, 1], label=label, color=colour(index), ls=dash(index), marker=MARKERS[index % 8])
            panel.fill_between(at, spread[:, 0], spread[:, 2], color=colour(index), alpha=0.15, lw=0)
            told.append(f"{PHASES[number]} {median_p95(latency_s)}")
        said.append(f"{label}: {', '.join(told)}")
    for phase, panel in zip(phases, axes, strict=True):
        panel.set(title=phase, xlabel="MoE layer", ylim=(0, None))
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes[0].set_ylabel("latency in ms")
    legend(figure, axes[0], 2)
    return Drawn(
        figure,
        "Median latency of each MoE layer, the base station's computing before it included; shaded: from the 5th to "
        f"the 95th percentile. Medians over all layers: {'; '.join(said)}.",
    )
