# SPDX-License-Identifier: Apache-2.0
"""What part of the time each device computes, and its link is busy down and up."""

import numpy as np

from cosim.reporting.cases import Data
from cosim.reporting.figures.drawn import MOST_DEVICES, Drawn, Lacking, busiest, padded
from cosim.reporting.style import HATCHES, colour, legend, panels

NAME = "utilisation"
TITLE = "How busy devices and links are"
_PARTS = {"downlink": "downlink busy", "compute": "computing", "uplink": "uplink busy"}


def draw(data: Data) -> Drawn:
    groups = {label: [case.use for case in cases if case.use] for label, cases in data.groups.items()}
    groups = {label: uses for label, uses in groups.items() if uses}
    if not groups:
        raise Lacking("nothing took any time")
    devices = max((case.devices for case in data.cases), key=len)
    told = busiest(data.cases, MOST_DEVICES)
    figure, axes = panels(1, len(_PARTS), wide=True, sharey=True)
    width, said = 0.8 / len(groups), []
    for index, (label, uses) in enumerate(groups.items()):
        means = {part: np.mean([getattr(use, part) for use in uses], axis=0) for part in _PARTS}
        at = np.arange(len(told)) + (index - (len(groups) - 1) / 2) * width
        for panel, part in zip(axes, _PARTS, strict=True):
            shares = 100 * padded(means[part], len(devices))
            panel.bar(at, shares[told], width, color=colour(index), hatch=HATCHES[index % 6], lw=0.3, label=label)
        parts = (
            f"{words} {means[part].mean():.1%} (most {devices[int(means[part].argmax())]}, {means[part].max():.1%})"
            for part, words in _PARTS.items()
        )
        said.append(f"{label}: {', '.join(parts)}")
    for panel, words in zip(axes, _PARTS.values(), strict=True):
        panel.set_title(words)
        panel.set_xticks(range(len(told)), [devices[device] for device in told], rotation=40, ha="right")
        panel.grid(visible=False, axis="x")
    axes[0].set_ylabel("part of the time in %")
    legend(figure, axes[0], 4)
    return Drawn(
        figure,
        "Part of the time, from when the network was ready, in which each device computed and a transfer to it or from "
        f"it was under way. Means over devices: {'; '.join(said)}.",
    )
