# SPDX-License-Identifier: Apache-2.0
"""How far the base station's prediction was off."""

import numpy as np

from cosim.reporting.cases import Data
from cosim.reporting.figures.drawn import Drawn, Lacking, pooled
from cosim.reporting.style import colour, dash, legend, panels

NAME = "prediction"
TITLE = "The base station's prediction"


def draw(data: Data) -> Drawn:
    figure, (panel,) = panels()
    said = []
    for index, (label, cases) in enumerate(data.groups.items()):
        off = pooled([case.prediction_errors for case in cases])
        if not len(off):
            continue
        shares = np.linspace(0, 1, min(len(off), 400))
        panel.plot(100 * np.quantile(off, shares), shares, label=label, color=colour(index), ls=dash(index))
        amount = np.abs(off)
        said.append(f"{label}: median {np.median(amount):.0%}, 95th percentile {np.quantile(amount, 0.95):.0%}")
    if not said:
        raise Lacking("no prediction was recorded, or no transfer was done")
    panel.axvline(0, color="#7F7F7F", lw=0.6)
    panel.set(
        xlabel="transfer took longer than predicted, in %", ylabel="share of transfers", ylim=(0, 1), xlim=(-100, 200)
    )
    legend(figure, panel, 2)
    return Drawn(
        figure,
        "What each transfer that was done took over what the base station had predicted (0: as predicted, above: "
        f"longer). Amounts off: {'; '.join(said)}.",
    )
