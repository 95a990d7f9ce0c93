# SPDX-License-Identifier: Apache-2.0
"""How long each policy's decisions took, in wall-clock time of the machine that ran it."""

import numpy as np
from matplotlib.ticker import LogFormatter

from cosim.record.decisions import Decisions
from cosim.reporting.cases import Data
from cosim.reporting.figures.drawn import Drawn, Lacking
from cosim.reporting.style import colour, panels

NAME = "decisions"
TITLE = "How long decisions took"


def draw(data: Data) -> Drawn:
    known = {label: [case.decisions for case in cases if case.decisions] for label, cases in data.groups.items()}
    known = {label: each for label, each in known.items() if each}
    if not known:
        raise Lacking("no variant that came to its end has it recorded")
    figure, (panel,) = panels(panel_in=0.6 + 0.22 * len(known))
    said = []
    for row, (label, each) in enumerate(known.items()):
        p50, p95, most = (1e6 * np.mean([getattr(one, name) for one in each]) for name in ("p50_s", "p95_s", "max_s"))
        panel.plot([p50, p95], [row, row], color=colour(row), lw=3, solid_capstyle="butt")
        panel.plot([p95, most], [row, row], color=colour(row), lw=0.7)
        panel.plot(p50, row, "o", color=colour(row), ms=4)
        said.append(f"{label}: {told(each)}, {most:,.0f} µs at most, of {sum(one.count for one in each):,}")
    panel.set(xscale="log", xlabel="decision, wall clock, in µs", ylim=(len(known) - 0.5, -0.5))
    for axis_formatter in (panel.xaxis.set_major_formatter, panel.xaxis.set_minor_formatter):
        axis_formatter(LogFormatter(minor_thresholds=(1, 0.4)))
    panel.set_yticks(range(len(known)), list(known))
    return Drawn(
        figure,
        "Wall-clock time of a decision for one layer on the machine that ran it, which no virtual time has in it: the "
        f"median (dot), up to the 95th percentile (bar) and the longest (line). {'; '.join(said)}.",
    )


def told(each: list[Decisions]) -> str:
    """Median and 95th percentile, of several runs the mean of theirs."""
    p50, p95 = (1e6 * np.mean([getattr(one, name) for one in each]) for name in ("p50_s", "p95_s"))
    return f"{p50:,.0f} / {p95:,.0f} µs"
