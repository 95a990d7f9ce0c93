# SPDX-License-Identifier: Apache-2.0
"""Where the virtual time went."""

import numpy as np

from cosim.reporting.cases import Data
from cosim.reporting.figures.drawn import Drawn
from cosim.reporting.style import COLOURS, HATCHES, panels

NAME = "time-split"
TITLE = "Where the time went"


def draw(data: Data) -> Drawn:
    labels = list(data.groups)
    parts = list(data.cases[0].time_s)
    seconds = np.array([[sum(case.time_s[part] for case in cases) for part in parts] for cases in data.groups.values()])
    tokens = np.array([sum(len(case.tokens["latency_s"]) for case in cases) for cases in data.groups.values()])
    each_ms = 1e3 * seconds / np.maximum(tokens, 1)[:, None]
    figure, (panel,) = panels(panel_in=0.9 + 0.28 * len(labels))
    left = np.zeros(len(labels))
    for index, part in enumerate(parts):
        panel.barh(labels, each_ms[:, index], left=left, color=COLOURS[index], label=part, hatch=HATCHES[index], lw=0.3)
        left += each_ms[:, index]
    panel.set_xlabel("virtual time in ms a token" if tokens.any() else "virtual time in ms")
    panel.invert_yaxis()
    panel.grid(visible=False, axis="y")
    figure.legend(loc="outside upper center", ncols=3, borderpad=0)
    said = [
        f"{label}: "
        + ", ".join(f"{part} {share:.0%}" for part, share in zip(parts, row / max(row.sum(), 1e-12), strict=True))
        for label, row in zip(labels, seconds, strict=True)
    ]
    return Drawn(
        figure,
        "Virtual time divided among downlink, computing and uplink of the average transfer, waiting for the slowest "
        f"one after that, and the base station. {'; '.join(said)}.",
    )
