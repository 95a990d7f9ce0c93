# SPDX-License-Identifier: Apache-2.0
"""Which device ended the layer how often, beside how often it was asked."""

import numpy as np

from cosim.reporting.cases import Data
from cosim.reporting.figures.drawn import MOST_DEVICES, Drawn, Lacking, busiest, pooled
from cosim.reporting.style import HATCHES, INK, colour, legend, panels

NAME = "bottleneck"
TITLE = "Which device ended the layer"


def draw(data: Data) -> Drawn:
    devices = max((case.devices for case in data.cases), key=len)
    figure, (panel,) = panels()
    told = busiest(data.cases, MOST_DEVICES)
    width, said = 0.8 / len(data.groups), []
    for index, (label, cases) in enumerate(data.groups.items()):
        ends = pooled([case.ended_by for case in cases])
        asked = pooled([case.transfers["device"] for case in cases]).astype(int)
        ended = np.bincount(ends[~np.isnan(ends)].astype(int), minlength=len(devices))
        if not ended.sum():
            continue
        at = np.arange(len(told)) + (index - (len(data.groups) - 1) / 2) * width
        share = ended / len(ends)
        asked_share = np.bincount(asked, minlength=len(devices)) / len(ends)
        panel.bar(at, 100 * share[told], width, color=colour(index), hatch=HATCHES[index % 6], lw=0.3, label=label)
        panel.plot(at, 100 * asked_share[told], "_", color=INK)
        worst = int(share.argmax())
        said.append(f"{label}: {devices[worst]} ended {share[worst]:.0%} of the layers")
    if not said:
        raise Lacking("no transfer came to its end")
    slanted = len(told) > 4
    names = [devices[device] for device in told]
    panel.set_xticks(range(len(told)), names, rotation=40 if slanted else 0, ha="right" if slanted else "center")
    panel.set(ylabel="share of layers in %", ylim=(0, None))
    panel.grid(visible=False, axis="x")
    legend(figure, panel, 2)
    return Drawn(
        figure,
        "Share of layers that waited for each device to their end (bars), and in which it was asked (dashes). "
        f"{'; '.join(said)}.",
    )
