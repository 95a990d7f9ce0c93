# SPDX-License-Identifier: Apache-2.0
"""What users wait, over how many arrive."""

from cosim.reporting.cases import Data
from cosim.reporting.figures.drawn import Drawn
from cosim.reporting.figures.serving import RATE, Services, curve, done, lines_over, mean_of, services_of
from cosim.reporting.style import colour, dash, panels

NAME = "arrival-rate"
TITLE = "Latency by arrival rate"


def draw(data: Data) -> Drawn:
    return of(services_of(data))


def of(services: Services) -> Drawn:
    """TTFT and TPOT over the arrival rate, median and 95th percentile."""
    lines = lines_over(services, RATE)
    figure, axes = panels(1, 2, wide=True)
    said = []
    for index, (label, line) in enumerate(lines.items()):
        for panel, name in zip(axes, ("ttft", "request_tpot"), strict=True):
            medians = curve(panel, line, f"{name}_median_s", label, index)
            tail = [mean_of(line[value], f"{name}_p95_s")[0] for value in sorted(line)]
            panel.plot(sorted(line), tail, color=colour(index), ls=dash(index), lw=0.5, marker="_")
            if panel is axes[0]:
                said.append(f"{label}: TTFT {medians[0]:.3g} s at {min(line):g}, {medians[-1]:.3g} s at {max(line):g}")
    axes[0].set(xlabel="requests a second that arrive", ylabel="TTFT in s", ylim=(0, None))
    axes[1].set(xlabel="requests a second that arrive", ylabel="TPOT of a request in s", ylim=(0, None))
    return done(
        figure,
        axes,
        f"Medians (with markers) and 95th percentiles (thin) of what users wait. Medians: {'; '.join(said)}.",
    )
