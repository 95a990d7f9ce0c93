# SPDX-License-Identifier: Apache-2.0
"""What a MoE layer takes, by its place in the model."""

import numpy as np
from matplotlib.ticker import MaxNLocator

from cosim.reporting.cases import Data
from cosim.reporting.figures.drawn import Drawn, median_p95, pooled
from cosim.reporting.style import MARKERS, colour, dash, legend, panels

NAME = "layer-latency"
TITLE = "Latency of layers"


def draw(data: Data) -> Drawn:
    phases = [
        (name, prefill)
        for name, prefill in (("prefill", 1), ("decode", 0))
        if any((case.exchanges["prefill"] == prefill).any() for case in data.cases)
    ]
    figure, axes = panels(1, len(phases))
    said = []
    for index, (label, cases) in enumerate(data.groups.items()):
        told = []
        for (name, prefill), panel in zip(phases, axes, strict=True):
            layer = pooled([case.exchanges["layer"][case.exchanges["prefill"] == prefill] for case in cases])
            latency_s = pooled([case.layer_s(bool(prefill)) for case in cases])
            if not len(layer):
                continue
            at = np.unique(layer)
            spread = np.array([np.quantile(latency_s[layer == each] * 1e3, [0.05, 0.5, 0.95]) for each in at])
            panel.plot(at, spread[:, 1], label=label, color=colour(index), ls=dash(index), marker=MARKERS[index % 8])
            panel.fill_between(at, spread[:, 0], spread[:, 2], color=colour(index), alpha=0.15, lw=0)
            told.append(f"{name} {median_p95(latency_s)}")
        said.append(f"{label}: {', '.join(told)}")
    for (name, _), panel in zip(phases, axes, strict=True):
        panel.set(title=name, xlabel="MoE layer", ylim=(0, None))
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes[0].set_ylabel("latency in ms")
    legend(figure, axes[0], 2)
    return Drawn(
        figure,
        "Median latency of each MoE layer, the base station's computing before it included; shaded: from the 5th to "
        f"the 95th percentile. Medians over all layers: {'; '.join(said)}.",
    )
