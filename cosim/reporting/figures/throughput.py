# SPDX-License-Identifier: Apache-2.0
"""Tokens a second of the cell, and what each user gets, over how many requests may run at a time."""

from cosim.reporting.cases import Data
from cosim.reporting.figures.drawn import Drawn
from cosim.reporting.figures.serving import AT_A_TIME, Services, curve, done, lines_over, services_of
from cosim.reporting.style import panels

NAME = "throughput"
TITLE = "Throughput by batch"


def draw(data: Data) -> Drawn:
    return of(services_of(data))


def of(services: Services) -> Drawn:
    """Tokens a second, and what each user gets, over how many requests may run at a time."""
    lines = lines_over(services, AT_A_TIME)
    figure, axes = panels(1, 2, wide=True)
    said = []
    for index, (label, line) in enumerate(lines.items()):
        given = curve(axes[0], line, "tokens_per_s", label, index)
        curve(axes[1], line, "request_tpot_median_s", label, index)
        said.append(f"{label}: {given[0]:.3g} tokens a second at {min(line):g}, {given[-1]:.3g} at {max(line):g}")
    axes[0].set(xlabel="requests at a time, at most", ylabel="tokens a second", ylim=(0, None))
    axes[1].set(xlabel="requests at a time, at most", ylabel="TPOT, median, in s", ylim=(0, None))
    return done(figure, axes, f"Throughput of the cell, and what a user waits for a token. {'; '.join(said)}.")
